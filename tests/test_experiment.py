"""A whole study from file to report: what it leaves, that it repeats bit for bit, that it redoes only what it must."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from studies import SUBJECTS, VARIANTS, changed, files, outcome_lines, results, write_tiny_study
from tiny import save_tiny_mistral

from contrapeso import load_study, run
from contrapeso.errors import StudyError

REPORT = {"summary.json", "report.md", "report.html", "report.pdf", "figures/accuracy.svg", "figures/accuracy.png"}
ALL_OUTCOMES = {f"outcomes/{name}/{task}.jsonl" for name in VARIANTS for task in ("spider", "mmlu")}
FEW_SHOT = "outcomes/Baseline_Model__3-shot_/spider.jsonl"
RUN_1, RUN_2 = "Fine-Tuned_Run_1", "Fine-Tuned_Run_2"


class Recorder:
    """A reporter that keeps the lines."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)

    def track(self, label, total, done=0):
        from contrapeso.progress import Silent

        return Silent().track(label, total, done)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with data, model and study file, and the finished study in `out`."""
    root = tmp_path_factory.mktemp("finished")
    summary = run(load_study(write_tiny_study(root)), root / "out")
    assert summary == json.loads((root / "out" / "summary.json").read_text(encoding="utf-8"))
    return root


@pytest.fixture
def copy(finished, tmp_path):
    """A finished study that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def no_model(monkeypatch):
    """Loading a model is an error."""

    def refuse(*args, **kwargs):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("contrapeso.models.loading.load_model", refuse)


def again(root, *overrides):
    """Run once more with other settings; returns what was said."""
    reporter = Recorder()
    run(load_study(root / "study.toml", overrides), root / "out", reporter=reporter)
    return reporter.lines


def summary_of(root):
    return json.loads((root / "out" / "summary.json").read_text(encoding="utf-8"))


def redone(before, root):
    """Journals and adapter weights that were written anew. Files are compared by identity, not content."""
    names = {n for n in before if n.startswith(("outcomes/", "adapters/")) and n.endswith((".jsonl", ".safetensors"))}
    return {name for name in names if identity(root / "out" / name) != before[name]}


def identity(path):
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def identities(root):
    return {name: identity(root / "out" / name) for name in files(root / "out")}


def test_a_study_leaves_every_file_of_the_layout(finished):
    left = set(files(finished / "out"))
    adapters = {f"adapters/{n}/adapter_{f}" for n in (RUN_1, RUN_2) for f in ("config.json", "model.safetensors")}
    cards = {f"adapters/{name}/README.md" for name in (RUN_1, RUN_2)}
    tables = {"csv/summary_fase3_accuracy.csv", "csv/avaliacao_mmlu_resultados.csv"}
    tables |= {f"csv/avaliacao_{name}.csv" for name in (*VARIANTS, "Baseline_Model__3-shot_")}
    expected = REPORT | {"study.toml", "manifest.json", FEW_SHOT} | ALL_OUTCOMES | adapters | cards | tables
    assert expected - left == set()
    assert not [name for name in left if ".tmp" in name or ".part" in name or name.startswith("checkpoints")]


def test_the_resolved_study_reads_back_as_the_study_that_ran(finished):
    assert load_study(finished / "out" / "study.toml") == load_study(finished / "study.toml")


def test_the_manifest_names_versions_hashes_seed_hardware_and_timings(finished):
    manifest = json.loads((finished / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"] is True and manifest["seed"] == 7
    assert {"torch", "transformers", "peft", "trl", "python", "sqlite"} <= set(manifest["versions"])
    assert manifest["hardware"]["cores"] >= 1 and manifest["peak_memory"]["process_gib"] > 0
    assert manifest["timings_seconds"]["train Fine-Tuned Run 2"] > 0
    assert manifest["files"] == {
        name: value for name, value in files(finished / "out").items() if name not in ("manifest.json", ".lock")
    }


def test_the_summary_has_the_documented_keys(finished):
    summary = summary_of(finished)
    assert {"study", "complete", "variants", "comparisons", "tradeoff", "audit"} <= set(summary)
    assert summary["study"] == "tiny" and summary["complete"] is True
    names = ["Baseline Model", "Fine-Tuned Run 1", "Fine-Tuned Run 2"]
    for name in names:
        spider, mmlu = summary["variants"][name]["spider"], summary["variants"][name]["mmlu"]
        assert {"n", "correct", "accuracy", "ci", "rules"} <= set(spider)
        assert set(spider["rules"]) == {"unordered", "spider", "strict"}
        assert {"n", "correct", "accuracy", "ci", "groups"} <= set(mmlu) and set(mmlu["groups"]) == set(SUBJECTS)
    wanted = {"variant", "against", "task", "n", "delta", "ci", "lost", "gained", "p", "p_holm", "verdict"}
    assert all(wanted <= set(row) for row in summary["comparisons"])
    assert [row["variant"] for row in summary["tradeoff"]] == names[1:]
    assert all({"gain", "loss", "exchange_rate", "ci"} <= set(row) for row in summary["tradeoff"])
    assert all({"check", "status", "detail"} <= set(row) for row in summary["audit"])


def test_numbers_in_the_summary_are_counts_of_the_outcomes(finished):
    summary = summary_of(finished)
    for name, shown in zip(VARIANTS, ("Baseline Model", "Fine-Tuned Run 1", "Fine-Tuned Run 2"), strict=True):
        for task in ("spider", "mmlu"):
            counted = [line for line in outcome_lines(finished / "out", name, task) if not line.get("left_out")]
            entry = summary["variants"][shown][task]
            assert (entry["n"], entry["correct"]) == (len(counted), sum(line["correct"] for line in counted))


def test_csv_files_have_the_columns_of_the_original(finished):
    def rows(name):
        with (finished / "out" / "csv" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    predictions = rows("avaliacao_Baseline_Model.csv")
    assert predictions[0] == ["question", "generated_sql", "expected_sql", "score"]
    assert len(predictions) == 1 + 9 and {row[3] for row in predictions[1:]} <= {"0.0", "1.0"}
    general = rows("avaliacao_mmlu_resultados.csv")
    assert general[0] == ["", "STEM", "Humanidades", "Acurácia Agregada"]
    assert [row[0] for row in general[1:]] == ["Baseline", "Run 1", "Run 2"]
    headline = rows("summary_fase3_accuracy.csv")
    assert headline[0] == ["", "Execution Accuracy"]
    assert {row[0] for row in headline[1:]} == {
        "Baseline Model",
        "Baseline Model (3-shot)",
        "Fine-Tuned Run 1",
        "Fine-Tuned Run 2",
    }


def test_every_item_has_one_outcome_in_the_same_order_for_every_variant(finished):
    for task, expected in (
        ("spider", {f"dev/{n:04d}" for n in range(10)}),
        ("mmlu", {f"{subject}/{n:04d}" for subject in SUBJECTS for n in range(5)}),
    ):
        orders = [[line["item"] for line in outcome_lines(finished / "out", name, task)] for name in VARIANTS]
        assert orders[0] == orders[1] == orders[2]
        assert len(orders[0]) == len(expected) and set(orders[0]) == expected


def test_base_and_tuned_answer_byte_identical_prompts(finished):
    for task in ("spider", "mmlu"):
        seen = [[line["prompt_sha"] for line in outcome_lines(finished / "out", name, task)] for name in VARIANTS]
        assert seen[0] == seen[1] == seen[2]
        assert len(set(seen[0])) == len(seen[0])
    few = outcome_lines(finished / "out", "Baseline_Model__3-shot_", "spider")
    zero = outcome_lines(finished / "out", "Baseline_Model", "spider")
    length = {line["item"]: line["prompt_tokens"] for line in zero}
    assert all(line["prompt_tokens"] > length[line["item"]] for line in few)


def test_training_changes_what_the_model_answers(finished):
    base, tuned = (outcome_lines(finished / "out", name, "spider") for name in (VARIANTS[0], RUN_2))
    assert [line["answer"] for line in base] != [line["answer"] for line in tuned]
    assert any(line["answer"].startswith("SELECT") for line in tuned)


def test_shots_in_the_prompt_are_measured_on_the_target_only(finished):
    assert set(summary_of(finished)["variants"]["Baseline Model (3-shot)"]) == {"spider"}
    assert set(files(finished / "out" / "outcomes" / "Baseline_Model__3-shot_")) == {"spider.jsonl", "spider.key.json"}


def test_items_left_out_are_reported_apart(finished):
    entry = summary_of(finished)["variants"]["Fine-Tuned Run 1"]["spider"]
    assert entry["n"] == 9
    assert entry["left_out"]["n"] == 1 and entry["left_out"]["reason"] == "made to be left out"
    line = next(li for li in outcome_lines(finished / "out", RUN_1, "spider") if li["item"] == "dev/0003")
    assert line["left_out"] == "made to be left out"


def test_adapters_load_with_plain_peft(finished):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([[5, 6, 7, 8]])
    logits = {}
    for name in (None, RUN_1, RUN_2):
        model = AutoModelForCausalLM.from_pretrained(finished / "model")
        if name:
            model = PeftModel.from_pretrained(model, finished / "out" / "adapters" / name)
        with torch.no_grad():
            logits[name] = model.eval()(input_ids=ids).logits
    assert (logits[None] - logits[RUN_1]).abs().max() > 1e-3
    assert (logits[RUN_1] - logits[RUN_2]).abs().max() > 1e-3


def test_the_same_study_in_another_folder_gives_the_same_bytes(finished):
    run(load_study(finished / "study.toml"), finished / "elsewhere")
    assert changed(results(finished / "out"), results(finished / "elsewhere")) == set()
    assert len(results(finished / "out")) > 20


def test_a_second_run_does_nothing_and_says_so(finished, no_model):
    before = files(finished / "out")
    stamps = identities(finished)
    lines = again(finished)
    assert len(lines) == 1 and "complete: nothing to do" in lines[0]
    assert files(finished / "out") == before and identities(finished) == stamps


def test_a_moved_study_or_one_with_deleted_reports_is_reported_again_without_the_model(copy, no_model):
    stamps = identities(copy)
    again(copy)  # the study file now names other paths
    settled = results(copy / "out")
    for names in (["report.pdf"], [*REPORT, "csv/avaliacao_Fine-Tuned_Run_1.csv", f"adapters/{RUN_1}/README.md"]):
        for name in names:
            (copy / "out" / name).unlink()
        again(copy)
        assert all((copy / "out" / name).stat().st_size > 0 for name in names)
        assert redone(stamps, copy) == set() and results(copy / "out") == settled


def test_another_learning_rate_of_one_run_redoes_that_run_alone(copy):
    before, stamps = results(copy / "out"), identities(copy)
    again(copy, "runs.1.learning_rate=5e-3")
    mine = {f"outcomes/{RUN_2}/spider.jsonl", f"outcomes/{RUN_2}/mmlu.jsonl"}
    assert redone(stamps, copy) == mine | {f"adapters/{RUN_2}/adapter_model.safetensors"}
    different = changed(before, results(copy / "out"))
    assert not [name for name in different if RUN_1 in name and "README" not in name]
    assert f"adapters/{RUN_2}/adapter_model.safetensors" in different


def test_a_longer_answer_redoes_the_target_alone(copy):
    stamps = identities(copy)
    lines = again(copy, "target.max_new_tokens=13")
    assert redone(stamps, copy) == {name for name in ALL_OUTCOMES if "spider" in name} | {FEW_SHOT}
    assert any("because of a change in task" in line for line in lines)


def test_another_seed_redoes_training_and_shots_but_not_the_base(copy):
    stamps = identities(copy)
    again(copy, "seed=8")
    untouched = {"outcomes/Baseline_Model/spider.jsonl", "outcomes/Baseline_Model/mmlu.jsonl"}
    weights = {f"adapters/{name}/adapter_model.safetensors" for name in (RUN_1, RUN_2)}
    assert redone(stamps, copy) == (ALL_OUTCOMES | {FEW_SHOT} | weights) - untouched


def test_other_batch_sizes_of_the_evaluation_measure_nothing_again(copy, no_model):
    stamps = identities(copy)
    again(copy, "evaluate.generate_batch=3", "evaluate.score_batch=2", "evaluate.sql_workers=2")
    assert redone(stamps, copy) == set()


def test_an_edited_gold_query_redoes_the_target_alone(copy):
    file = copy / "spider" / "dev.json"
    entries = json.loads(file.read_text(encoding="utf-8"))
    entries[0]["query"] = "SELECT count(id) FROM rose"
    file.write_text(json.dumps(entries), encoding="utf-8")
    stamps = identities(copy)
    again(copy)
    assert redone(stamps, copy) == {name for name in ALL_OUTCOMES if "spider" in name} | {FEW_SHOT}


def test_an_edited_database_redoes_the_target_alone(copy):
    import sqlite3

    with sqlite3.connect(copy / "spider" / "database" / "garden" / "garden.sqlite") as connection:
        connection.execute("UPDATE rose SET price = 99 WHERE id = 1")
    connection.close()
    stamps = identities(copy)
    again(copy)
    assert redone(stamps, copy) == {name for name in ALL_OUTCOMES if "spider" in name} | {FEW_SHOT}


def test_other_base_weights_redo_everything(copy):
    save_tiny_mistral(copy / "model", seed=1, max_position_embeddings=1024)
    stamps = identities(copy)
    again(copy)
    weights = {f"adapters/{name}/adapter_model.safetensors" for name in (RUN_1, RUN_2)}
    assert redone(stamps, copy) == ALL_OUTCOMES | {FEW_SHOT} | weights


def test_an_adapter_that_lost_its_weights_is_trained_again(copy):
    weights = copy / "out" / "adapters" / RUN_1 / "adapter_model.safetensors"
    before = weights.read_bytes()
    weights.unlink()
    again(copy)
    assert weights.read_bytes() == before


def test_the_report_of_the_study_before_a_change_does_not_stay(copy, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("contrapeso.models.loading.load_model", stop)
    with pytest.raises(KeyboardInterrupt):
        again(copy, "target.max_new_tokens=13")
    left = files(copy / "out")
    assert not [name for name in left if name.startswith(("csv", "figures", "report", "summary"))]
    assert "adapters/Fine-Tuned_Run_1/adapter_model.safetensors" in left


def test_a_variant_no_longer_in_the_study_leaves_the_tables(copy, no_model):
    again(copy, "target.baseline_shots=0")
    assert "Baseline Model (3-shot)" not in summary_of(copy)["variants"]
    assert not (copy / "out" / "csv" / "avaliacao_Baseline_Model__3-shot_.csv").exists()


def test_an_audit_check_allowed_to_fail_prints_the_withheld_numbers_of_a_finished_study(copy, no_model):
    study = load_study(copy / "study.toml")
    withheld = run(study, copy / "out")["variants"]["Baseline Model"]["spider"]
    assert withheld["valid"] is False and withheld["invalid_reason"].startswith("unstopped_answers")
    allowed = run(study, copy / "out", allow_failing_audit=["unstopped_answers"])
    assert allowed["variants"]["Baseline Model"]["spider"]["valid"] is True
    assert run(study, copy / "out")["variants"]["Baseline Model"]["spider"]["valid"] is False


def test_an_unknown_audit_check_is_refused_before_any_work(finished, tmp_path, no_model):
    with pytest.raises(StudyError, match=r"no audit check 'below_chanse'.*below_chance"):
        run(load_study(finished / "study.toml"), tmp_path / "out", allow_failing_audit=["below_chanse"])
