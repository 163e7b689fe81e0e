"""The script that times a whole study: what it asks for, and the whole of it on a CPU."""

import json
import re
from pathlib import Path

import pytest
from tiny import tiny_tokenizer

from benchmarks.random_mistral import forget_cached
from benchmarks.whole_study import main, run_cold, study_text
from contrapeso import load_study
from contrapeso.data import load_mmlu, mmlu_folder, spider_folder


def test_the_study_is_two_epochs_over_all_of_spider_and_everything_measured(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(study_text(tmp_path / "spider", tmp_path / "mmlu", "auto"))
    study = load_study(tmp_path / "study.toml")
    original = load_study("mistral-7b")
    assert [(run.epochs, run.packing) for run in study.runs] == [(1, "shared_prefix")] * 2
    for run, first in zip(study.runs, original.runs, strict=True):
        for setting in ("learning_rate", "rank", "alpha", "dropout", "target_modules"):
            assert getattr(run, setting) == getattr(first, setting)
    assert (study.target.limit, study.target.train_limit, study.general.limit_per_subject) == (None, None, None)
    assert (study.general.shots, study.general.subjects, study.target.schema_style) == (5, (), "ddl")
    assert (study.model.quantization, study.evaluate.engine) == ("none", "auto")


def test_files_are_forgotten_by_the_system_and_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"7" * 10_000)
    forget_cached(tmp_path)
    assert (tmp_path / "weights").read_bytes() == b"7" * 10_000


def test_a_tiny_study_runs_in_a_process_of_its_own_and_every_second_is_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    work = tmp_path / "work"
    folders = {"spider": spider_folder("pocket"), "mmlu": mmlu_folder("pocket"), "tokenizer": tmp_path / "tokenizer"}
    words = [word for name, folder in folders.items() for word in (f"--{name}", str(folder))]
    main([*words, "--work", str(work), "--tiny"])
    result = json.loads((work / "result.json").read_text())
    assert result["complete"] and result["report"] == ["report.html", "report.md", "report.pdf"]
    assert sorted(result["outcomes"].values()) == [20] * 3 + [len(load_mmlu(folders["mmlu"]).dev)] * 3  # one a subject
    assert [run["examples"] for run in result["trained"].values()] == [24, 24]
    stages = result["stages_seconds"]
    assert [stage.split()[0] for stage in stages].count("measure") == 6
    assert result["other_seconds"] == pytest.approx(result["wall_seconds"] - sum(stages.values()), abs=0.11)
    said = (work / "said.txt").read_text().splitlines()
    seconds = [float(line.split()[0]) for line in said]
    assert seconds == sorted(seconds) and seconds[-1] <= result["wall_seconds"] + 0.1
    assert any(re.match(r" *[0-9.]+ engine local, because", line) for line in said)
    assert f"**{result['wall_seconds']:.1f}**" in capsys.readouterr().out


def test_a_study_that_fails_ends_the_script_and_leaves_what_was_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="exit code 2"):
        run_cold(tmp_path / "missing.toml", tmp_path / "out", tmp_path / "said.txt")
    assert "missing.toml" in (tmp_path / "said.txt").read_text()
