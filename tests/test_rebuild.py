"""`contrapeso report`: the whole report again, from the study folder alone."""

import json
import shutil
from dataclasses import replace

import pytest
from studies import changed, contrapeso, files, write_tiny_study

from contrapeso import load_study, run
from contrapeso.errors import StoreError, StudyError
from contrapeso.rebuild import rebuild_report
from contrapeso.report.record import read_record, read_sources
from contrapeso.store import StudyFolder

REPORT = ("csv", "summary.json", "report.md", "report.html", "report.pdf", "figures")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    run(load_study(write_tiny_study(root)), root / "out")
    return root


@pytest.fixture
def copy(finished, tmp_path):
    """The study folder alone, moved: neither model nor data nor databases lie beside it."""
    return shutil.copytree(finished / "out", tmp_path / "elsewhere")


def test_the_same_report_comes_from_the_folder_alone(copy):
    before = files(copy, *REPORT)
    for name in REPORT:
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    rebuild_report(copy)
    assert changed(before, files(copy, *REPORT)) == set()


def test_a_report_written_again_leaves_a_study_that_is_complete(finished, copy, tmp_path):
    rebuild_report(copy, language="pt-BR")
    assert 'lang="pt-BR"' in (copy / "report.html").read_text(encoding="utf-8")
    rebuild_report(copy, language="en")
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"] is True
    stamps = files(copy)
    run(load_study(finished / "study.toml"), copy)
    assert changed(stamps, files(copy)) == set()


def test_what_is_not_measured_to_the_end_is_left_out_and_said(copy):
    journal = copy / "outcomes" / "Fine-Tuned_Run_2" / "mmlu.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:3]), encoding="utf-8")
    summary = rebuild_report(copy)
    assert summary["complete"] is False and summary["verdict"].startswith("Incomplete study.")
    assert set(summary["variants"]["Fine-Tuned Run 2"]) == {"spider"}
    assert [row["variant"] for row in summary["tradeoff"]] == ["Fine-Tuned Run 1"]


def test_outcomes_of_another_adapter_do_not_count(copy):
    weights = copy / "adapters" / "Fine-Tuned_Run_1" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert "Fine-Tuned Run 1" not in rebuild_report(copy)["variants"]


def test_questions_options_schemas_and_losses_are_at_hand_without_the_data(copy):
    folder = StudyFolder(copy)
    sources = read_sources(folder, read_record(folder))
    assert sources.items["spider"]["dev/0000"].question == "How many roses are there?"
    assert len(sources.items["mmlu"]["astronomy/0000"].choices) == 4
    assert "rose" in sources.schemas["garden"]
    assert [row["step"] for row in sources.training["Fine-Tuned Run 1"]] == [1, 2, 3, 4]
    left_out = [o.item for m in sources.measurements for o in m.left_out]
    assert set(left_out) == {"dev/0003"}


def test_a_folder_without_measurements_is_refused(copy, tmp_path):
    with pytest.raises(StoreError, match="not a study folder"):
        rebuild_report(tmp_path)
    shutil.rmtree(copy / "outcomes")
    with pytest.raises(StoreError, match="measured to the end"):
        rebuild_report(copy)


def test_an_unknown_audit_check_is_refused(copy):
    with pytest.raises(StudyError, match="no audit check 'nonsense'"):
        rebuild_report(copy, allow_failing_audit=["nonsense"])


def test_a_damaged_record_is_named(copy):
    record = json.loads((copy / "record.json").read_text(encoding="utf-8"))
    del record["facts"]
    (copy / "record.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(StoreError, match=r"record\.json is damaged"):
        rebuild_report(copy)


def test_the_command_prints_the_verdict_and_open_wants_a_page(copy, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "report", copy) == 0
    assert "Fine-Tuned Run 1" in capsys.readouterr().out
    (copy / "report.html").unlink()
    assert contrapeso(monkeypatch, "open", copy) == 6
    assert "report.html" in capsys.readouterr().err


def test_records_survive_the_way_to_disk(copy):
    record = read_record(StudyFolder(copy))
    assert record == replace(record) and record.plan[0].variant == "Baseline Model" and record.gold_verdicts


def test_a_study_whose_base_is_not_measured_to_the_end_is_reported_without_comparisons(copy):
    (copy / "outcomes" / "Baseline_Model" / "spider.jsonl").unlink()
    summary = rebuild_report(copy)
    assert summary["complete"] is False and "spider" not in summary["variants"]["Baseline Model"]
    assert {row["task"] for row in summary["comparisons"]} == {"mmlu"}


def test_options_of_a_report_are_for_that_report_alone(copy):
    before = (copy / "record.json").read_bytes()
    rebuild_report(copy, language="pt-BR", allow_failing_audit=["unstopped_answers"])
    assert (copy / "record.json").read_bytes() == before
    rebuild_report(copy)
    assert 'lang="en"' in (copy / "report.html").read_text(encoding="utf-8")


def test_an_outcome_of_the_wrong_kind_is_named(copy):
    journal = copy / "outcomes" / "Baseline_Model" / "mmlu.jsonl"
    journal.write_text(journal.read_text(encoding="utf-8").replace('"correct": true', '"correct": "yes"'), "utf-8")
    with pytest.raises(StoreError, match=r"mmlu\.jsonl, line \d+ is damaged"):
        rebuild_report(copy)
