"""Checkpoints, scaled adapters and adapters trained elsewhere in a whole study: measured, resumed, found, exported."""

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from studies import contrapeso, files, write_tiny_study
from tiny import save_random_adapter, save_tiny_mistral
from transformers import AutoModelForCausalLM

from contrapeso import load_study, run
from contrapeso.errors import ModelError, ResourceError, StoreError, StudyError
from contrapeso.export import export_variant
from contrapeso.importing import import_adapter
from contrapeso.models.adapters import Adapters, adapter_identity
from contrapeso.models.variants import find_variant
from contrapeso.store import fingerprint

ONE_RUN = 'runs=[{name="Run", learning_rate=2e-2, epochs=2, rank=4, alpha=8, batch_size=4, checkpoint_steps=3}]'
POINTS = ("evaluate.checkpoints='all'", "evaluate.scales=[0.25, 0.5, 1.0]", "evaluate.probe_items=4")
NAMES = ["Baseline Model", "Run", "Run @3", "Run @6", "Run x0.25", "Run x0.5"]
TOKENS = torch.tensor([[1, 40, 41, 42, 43]])


class Recorder:
    """A reporter that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def track(self, label: str, total: int, done: int = 0) -> Any:
        from contrapeso.progress import Silent

        return Silent().track(label, total, done)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, model and study file, and in `out` the study with its points."""
    root = tmp_path_factory.mktemp("points")
    study = load_study(write_tiny_study(root), ["target.baseline_shots=0", ONE_RUN, *POINTS])
    (root / "study.toml").write_text(study.to_toml(), encoding="utf-8")
    run(study, root / "out")
    return root


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def foreign(finished: Path, tmp_path: Path) -> Path:
    """What a trainer elsewhere left: an adapter among other things."""
    folder = save_random_adapter(tmp_path / "elsewhere" / "their run", finished / "model", seed=9)
    configuration = json.loads((folder / "adapter_config.json").read_text())
    configuration |= {"base_model_name_or_path": "/home/them/secret/mistral", "inference_mode": False}
    (folder / "adapter_config.json").write_text(json.dumps(configuration))
    (folder / "training_args.bin").write_bytes(b"\x80\x04a pickle")
    shutil.copytree(folder, folder / "checkpoint-7")
    (folder / "checkpoint-7" / "optimizer.pt").write_bytes(b"\x80\x04a pickle")
    return folder


def again(root: Path, *overrides: str) -> tuple[dict[str, Any], list[str]]:
    reporter = Recorder()
    return run(load_study(root / "study.toml", overrides), root / "out", reporter=reporter), reporter.lines


def outcomes(root: Path, variant: str, task: str) -> list[dict[str, Any]]:
    path = root / "out" / "outcomes" / variant / f"{task}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def identities(root: Path) -> dict[str, int]:
    """Every outcome and weight file -> when it was written."""
    return {
        name: (root / "out" / name).stat().st_mtime_ns
        for name in files(root / "out")
        if name.endswith((".jsonl", ".safetensors"))
    }


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


def base_of(root: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(root / "model").eval()


def test_points_are_measured_on_the_same_probe_items_and_ends_on_all(finished: Path) -> None:
    summary = json.loads((finished / "out" / "summary.json").read_text(encoding="utf-8"))
    assert list(summary["variants"]) == NAMES and summary["complete"]
    for task, whole in (("spider", 9), ("mmlu", 10)):
        assert [summary["variants"][name][task]["n"] for name in NAMES] == [whole, whole, 4, 4, 4, 4]
        probes = {tuple(row["item"] for row in outcomes(finished, name, task)) for name in ("Run__3", "Run_x0.25")}
        assert len(probes) == 1
    assert summary["points"]["Run x0.5"] == {
        "origin": "Run",
        "step": None,
        "scale": 0.5,
        "imported": False,
        "probe": True,
    }


def test_points_are_compared_with_the_base_on_the_items_both_have(finished: Path) -> None:
    summary = json.loads((finished / "out" / "summary.json").read_text(encoding="utf-8"))
    base = {row["item"]: row["correct"] for row in outcomes(finished, "Baseline_Model", "mmlu")}
    for row in summary["comparisons"]:
        if row["task"] == "mmlu":
            theirs = outcomes(finished, row["variant"].replace(" ", "_").replace("@", "_"), "mmlu")
            lost = sum(base[outcome["item"]] and not outcome["correct"] for outcome in theirs)
            gained = sum(outcome["correct"] and not base[outcome["item"]] for outcome in theirs)
            assert (row["n"], row["lost"], row["gained"]) == (len(theirs), lost, gained)
    checks = {check["check"]: check for check in summary["audit"]}
    assert checks["different_items"]["status"] == checks["different_prompts"]["status"] == "ok"
    # Looking at the way to a run makes nothing less certain about the run: families of their own.
    alone = [row for row in summary["comparisons"] if row["variant"] == "Run"]
    assert all(row["p_holm"] == row["p_verdict"] for row in alone)


def test_the_verdict_speaks_of_no_point_and_the_way_there_of_all(finished: Path) -> None:
    summary = json.loads((finished / "out" / "summary.json").read_text(encoding="utf-8"))
    assert "@3" not in summary["verdict"] and "x0.5" not in summary["verdict"]
    page = (finished / "out" / "report.html").read_text(encoding="utf-8")
    assert "Run @3" in page and "4 / 4" in page
    assert "| Run x0\\.5 |".replace("\\", "") in (finished / "out" / "report.md").read_text(encoding="utf-8")


def test_a_scaled_run_is_measured_between_base_and_run(finished: Path) -> None:
    values = [
        torch.tensor([row["log_probabilities"] for row in outcomes(finished, name, "mmlu")[:4]])
        for name in ("Run_x0.25", "Run_x0.5")
    ]
    ends = [
        {row["item"]: row["log_probabilities"] for row in outcomes(finished, name, "mmlu")}
        for name in ("Baseline_Model", "Run")
    ]
    items = [row["item"] for row in outcomes(finished, "Run_x0.5", "mmlu")]
    base, tuned = (torch.tensor([end[item] for item in items]) for end in ends)
    assert not torch.equal(values[0], values[1])
    far = [float((value - base).abs().mean()) for value in (*values, tuned)]
    assert far[0] < far[1] < far[2]


def test_other_scales_train_nothing_and_measure_only_what_is_new(copy: Path) -> None:
    before = identities(copy)
    summary, lines = again(copy, "evaluate.scales=[0.5, 0.75]")
    assert not [line for line in lines if "train" in line or "again" in line]
    assert list(summary["variants"]) == [*NAMES[:4], "Run x0.5", "Run x0.75"]
    after = identities(copy)
    new = {name for name in after if after[name] != before.get(name)}
    assert new - {"items/spider.jsonl", "items/mmlu.jsonl"} == {
        f"outcomes/Run_x0.75/{task}.jsonl" for task in ("spider", "mmlu")
    }


def test_steps_that_were_not_kept_are_trained_for_once_more_and_said_to_be(copy: Path) -> None:
    before = identities(copy)
    summary, lines = again(copy, "evaluate.checkpoints=[3, 5]")
    assert any("without keeping step 5: again, up to there; its end stays" in line for line in lines)
    assert "Run @5" in summary["variants"] and "Run @6" not in summary["variants"]
    after = identities(copy)
    for name in before:
        if name.startswith(("adapters/Run/", "adapters/Run__3/", "outcomes/Run/")):
            assert after[name] == before[name], name
    _, lines = again(copy, "evaluate.checkpoints=[3, 5]")
    assert lines == [f"{copy / 'out'} holds this study, complete: nothing to do"]
    assert not list((copy / "out" / "checkpoints").glob("*/*"))


def test_checkpoints_kept_in_one_training_and_fetched_later_are_the_same(copy: Path) -> None:
    kept = adapter_identity(copy / "out" / "adapters" / "Run__3")
    shutil.rmtree(copy / "out" / "adapters" / "Run__3")
    again(copy)
    assert adapter_identity(copy / "out" / "adapters" / "Run__3") == kept


def test_a_study_of_before_is_filed_under_the_same_keys(tmp_path: Path) -> None:
    study = load_study(write_tiny_study(tmp_path), ["target.baseline_shots=0", ONE_RUN])
    run(study, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    earlier = study.model_dump(mode="json")  # as that version wrote it: without what came later
    del earlier["adapters"], earlier["axes"]
    for entry in earlier["target"]["leave_out"]:
        del entry["file"]
    for name in ("checkpoints", "scales", "probe_items"):
        del earlier["evaluate"][name]
    sections = {"model": study.model, "target": study.target, "general": study.general, "report": study.report}
    for section, settings in sections.items():
        for name in settings.later:
            del earlier[section][name]
    for name in study.runs[0].later:
        del earlier["runs"][0][name]
    for name in study.evaluate.later - {"checkpoints", "scales", "probe_items"}:
        del earlier["evaluate"][name]
    assert manifest["inputs"]["study"] == fingerprint(earlier)
    key = json.loads((tmp_path / "out" / "outcomes" / "Run" / "mmlu.key.json").read_text(encoding="utf-8"))
    assert "scale" not in key
    assert "points" not in json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["Run", "Run @3", "Run x0.25"])
def test_an_exported_variant_has_in_plain_peft_the_logits_it_was_measured_with(
    name: str, finished: Path, tmp_path: Path
) -> None:
    found = find_variant(finished / "out", name)
    base = base_of(finished)
    with Adapters(base).using(found.adapter, found.scale):
        measured = logits(base)
    for out in (tmp_path / "a", tmp_path / "b"):
        export_variant(finished / "out", name, out)
    assert files(tmp_path / "a") == files(tmp_path / "b")  # the same bytes
    alone = PeftModel.from_pretrained(base_of(finished), tmp_path / "a").eval()
    torch.testing.assert_close(logits(alone), measured, atol=1e-5, rtol=1e-5)
    assert f"# {name}" in (tmp_path / "a" / "README.md").read_text(encoding="utf-8")


def test_export_never_overwrites_and_has_nothing_to_say_of_the_base(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(StoreError, match="exists"):
        export_variant(finished / "out", "Run x0.5", tmp_path / "mine")
    with pytest.raises(StudyError, match="base model itself"):
        export_variant(finished / "out", "Baseline Model", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_variant_that_is_not_there_is_refused_with_those_that_are(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"did you mean 'Run x0.5'.*Run @3"):
        find_variant(finished / "out", "Run x0.55")
    assert find_variant(finished / "out", "run  X0.5").scale == 0.5
    assert find_variant(finished / "out", "Baseline Model").adapter is None
    with pytest.raises(StoreError, match="not a study folder"):
        find_variant(tmp_path, "Run")


def archived(folder: Path, archive: Path) -> Path:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(archive, "w:gz") as file:
            file.add(folder, folder.name)
    return archive


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_an_adapter_from_elsewhere_is_measured_and_nothing_else_done_again(
    kind: str, copy: Path, foreign: Path
) -> None:
    before = identities(copy)
    source = foreign if kind == "folder" else archived(foreign, foreign.parent / f"their run.{kind}")
    reporter = Recorder()
    summary = import_adapter(source, copy / "out", reporter=reporter)
    assert "their run" in summary["variants"] and summary["complete"]
    assert summary["points"]["their run"]["imported"] and summary["points"]["their run x0.5"]["probe"]
    after = identities(copy)
    assert {name for name in before if after[name] != before[name]} <= {"items/spider.jsonl", "items/mmlu.jsonl"}
    copied = copy / "out" / "adapters" / "their_run"
    assert sorted(path.name for path in copied.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "key.json",
    ]
    assert "secret" not in (copied / "adapter_config.json").read_text()
    assert "trained elsewhere" in (copied / "README.md").read_text(encoding="utf-8")
    assert any("names mistral as its base and is measured on model" in line for line in reporter.lines)
    checks = {check["check"]: check for check in summary["audit"]}
    assert checks["trained_elsewhere"]["status"] == "warn"
    assert "mistral" in checks["trained_elsewhere"]["detail"]
    base = base_of(copy)
    expected = logits(PeftModel.from_pretrained(base_of(copy), foreign).eval())
    with Adapters(base).using(find_variant(copy / "out", "their run").adapter):
        assert torch.equal(logits(base), expected)


def test_a_study_with_an_imported_adapter_resumes_from_its_folder_wherever_that_is_moved(
    copy: Path, foreign: Path, tmp_path: Path
) -> None:
    import_adapter(foreign, copy / "out", name="theirs")
    shutil.rmtree(foreign)
    moved = (copy / "out").rename(copy / "moved")
    reporter = Recorder()
    run(load_study(moved / "study.toml"), moved, reporter=reporter)
    assert reporter.lines == [f"{moved} holds this study, complete: nothing to do"]


def test_the_same_adapter_again_goes_on_and_another_under_its_name_is_refused(
    copy: Path, foreign: Path, finished: Path, tmp_path: Path
) -> None:
    import_adapter(foreign, copy / "out", name="theirs")
    reporter = Recorder()
    import_adapter(foreign, copy / "out", name="theirs", reporter=reporter)
    assert reporter.lines == [f"{copy / 'out'} holds this study, complete: nothing to do"]
    other = save_random_adapter(tmp_path / "other", finished / "model", seed=4)
    with pytest.raises(StudyError, match="another adapter called 'theirs'"):
        import_adapter(other, copy / "out", name="Theirs")
    with pytest.raises(StudyError, match="must differ"):
        import_adapter(other, copy / "out", name="Run")
    with pytest.raises(StudyError, match="holds a study already"):
        import_adapter(other, copy / "out", study="pocket")


def test_an_adapter_alone_makes_a_study_without_training(copy: Path, foreign: Path, tmp_path: Path) -> None:
    reporter = Recorder()
    summary = import_adapter(
        foreign, tmp_path / "new", study=str(copy / "study.toml"), overrides=["runs=[]"], reporter=reporter
    )
    assert list(summary["variants"]) == ["Baseline Model", "their run", "their run x0.25", "their run x0.5"]
    assert not [line for line in reporter.lines if line.startswith("train")]
    with pytest.raises(StudyError, match="--study"):
        import_adapter(foreign, tmp_path / "none")


def test_an_adapter_of_another_base_leaves_the_study_as_it_was(copy: Path, tmp_path: Path) -> None:
    wide = save_tiny_mistral(tmp_path / "wide", hidden_size=96, intermediate_size=64)
    other = save_random_adapter(tmp_path / "other", wide)
    before = files(copy / "out")
    with pytest.raises(ModelError, match="does not fit this base model"):
        import_adapter(archived(other, tmp_path / "other.zip"), copy / "out")
    assert files(copy / "out") == before


def test_an_adapter_that_went_wrong_leaves_study_and_report_as_they_were(
    copy: Path, foreign: Path, tmp_path: Path
) -> None:
    weights = load_file(foreign / "adapter_model.safetensors")
    save_file({name: weight * float("nan") for name, weight in weights.items()}, foreign / "adapter_model.safetensors")
    before = files(copy / "out")
    with pytest.raises(ModelError, match="no numbers"):
        import_adapter(foreign, copy / "out")
    assert files(copy / "out") == before


@pytest.mark.parametrize("name", ["Run @3", "Run x0.5", "run__3", "Baseline Model"])
def test_an_imported_adapter_takes_no_name_of_another_variant(copy: Path, foreign: Path, name: str) -> None:
    before = files(copy / "out")
    with pytest.raises(StudyError):
        import_adapter(foreign, copy / "out", name=name)
    assert files(copy / "out") == before


def test_an_export_deletes_nothing_that_lies_beside_it(copy: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.part" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    export_variant(copy / "out", "Run x0.5", tmp_path / "mine")
    assert mine.read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir() if path != copy) == ["mine", "mine.part"]


def test_a_disk_that_fills_up_during_an_export_leaves_nothing(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*rest: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("contrapeso.export.point_card", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        export_variant(copy / "out", "Run x0.5", tmp_path / "ex")
    assert sorted(tmp_path.iterdir()) == [copy]
    with pytest.raises(StoreError, match="exists"):
        export_variant(copy / "out", "Run", copy)


def test_from_the_command_line(
    copy: Path, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert contrapeso(monkeypatch, "import-adapter", foreign, "--out", copy / "out", "--name", "Theirs") == 0
    assert "Theirs" in capsys.readouterr().out
    assert contrapeso(monkeypatch, "export", copy / "out", "--variant", "Theirs x0.5", "--out", tmp_path / "ex") == 0
    assert (tmp_path / "ex" / "adapter_model.safetensors").is_file()
    assert contrapeso(monkeypatch, "export", copy / "out", "--variant", "Nobody", "--out", tmp_path / "no") == 2
    assert "it has Baseline Model, Run, Theirs" in capsys.readouterr().err
