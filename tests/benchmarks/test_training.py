"""The script that measures training beside TRL's packing, on a tiny model."""

import gzip
import json
from pathlib import Path

import pytest
from tiny import tiny_tokenizer

from benchmarks.training import CASES, main
from contrapeso.data import load_spider, spider_folder

POCKET_SPIDER = spider_folder("pocket")


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_ours_and_trl_are_measured_on_the_same_rows(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, out = tmp_path / "rows.json.gz", tmp_path / "out"
    folders = ["--spider", str(POCKET_SPIDER), "--tokenizer", str(tokenizer)]
    main([*folders, "--write-rows", str(rows)])
    with gzip.open(rows, "rt") as stream:
        written = json.load(stream)
    assert len(written) == len(load_spider(POCKET_SPIDER, "train"))
    few = [len(row["input_ids"]) for row in written if len(row["input_ids"]) < 400][:64]

    trl = next(number for number, case in enumerate(CASES) if case.trl_length)
    main(["--rows", str(rows), "--tokenizer", str(tokenizer), "--out", str(out), "--tiny", "--cases", "0", str(trl)])
    report = json.loads((out / "result.json").read_text())
    ours, theirs = report["results"].values()
    assert report["mean_example_tokens"] == pytest.approx(sum(few) / len(few))
    assert theirs["tokens_per_example"] == pytest.approx(sum(few) / len(few))  # TRL repeats every schema
    assert ours["tokens_per_example"] < 0.95 * theirs["tokens_per_example"]
    mean_step = sum(ours["step_seconds"]) / len(ours["step_seconds"])
    assert ours["examples_per_second"] == pytest.approx(4 / mean_step)  # 4 examples a step in a tiny run
    [agreement] = report["packed_against_one_by_one"].values()
    assert agreement["loss"] < 1e-5 and agreement["gradient"] < 1e-5
    assert (out / "table.md").read_text() in capsys.readouterr().out


def test_a_case_that_fails_says_so_and_costs_no_other(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("too much")

    monkeypatch.setattr("benchmarks.training.train_trl", fail)
    folders = ["--spider", str(POCKET_SPIDER), "--tokenizer", str(tokenizer), "--out", str(tmp_path / "out")]
    trl = next(number for number, case in enumerate(CASES) if case.trl_length)
    main([*folders, "--tiny", "--cases", str(trl), "0"])
    failed, measured = json.loads((tmp_path / "out" / "result.json").read_text())["results"].values()
    assert failed == {"error": "MemoryError: too much"}
    assert measured["examples_per_second"] > 0
