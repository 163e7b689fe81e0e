"""`contrapeso recommend`: from a study folder to a variant, in words and as JSON."""

import json
import re

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, mmlu, spider
from studies import contrapeso, write_tiny_study

from contrapeso import load_study, run
from contrapeso.recommend import candidates_among, recommendation_lines
from contrapeso.report.measurement import Measurement
from contrapeso.stats.selection import Rule, recommend

MEASURED = {
    (m.variant, m.task): m
    for m in (
        spider(BASE, 0.2, seed=0),
        mmlu(BASE, 0.6, seed=0),
        spider(RUN_1, 0.5, seed=1),
        mmlu(RUN_1, 0.59, seed=1),
        spider(RUN_2, 0.7, seed=2),
        mmlu(RUN_2, 0.4, seed=2),
    )
}


def test_differences_are_those_of_the_outcomes_item_by_item():
    candidate = candidates_among([RUN_1], MEASURED, FACTS)[0]
    base, tuned = MEASURED[BASE, "spider"].counted, MEASURED[RUN_1, "spider"].counted
    assert candidate.target.values.tolist() == [t.correct - b.correct for b, t in zip(base, tuned, strict=True)]
    assert len(set(candidate.target.groups.tolist())) == 12 and len(set(candidate.general.groups.tolist())) == 8


def test_items_that_only_one_of_them_answered_are_left_out():
    some = MEASURED[RUN_1, "mmlu"]
    fewer = {**MEASURED, (RUN_1, "mmlu"): Measurement(RUN_1, "mmlu", "options", some.outcomes[100:300])}
    candidate = candidates_among([RUN_1], fewer, FACTS)[0]
    assert candidate.general.items.tolist() == list(range(100, 300))


def test_the_dear_variant_is_not_recommended_within_a_small_budget():
    candidates = candidates_among([RUN_1, RUN_2], MEASURED, FACTS)
    assert recommend(candidates, Rule("max_loss", 0.05), seed=1).chosen == RUN_1
    assert recommend(candidates, Rule("max_loss", 0.5), seed=1).chosen == RUN_2
    assert recommend(candidates, Rule("max_loss", 0.001), seed=1).chosen is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("recommend")
    run(load_study(write_tiny_study(root)), root / "out", allow_failing_audit=FAILING)
    return root / "out"


FAILING = ["unstopped_answers", "below_chance", "letter_rate", "unchanged_adapter"]


def test_a_study_without_a_valid_trade_off_recommends_nothing_and_says_why(folder, monkeypatch, capsys):
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    for row in summary["tradeoff"]:
        row["valid"] = False
    (folder / "summary.json").rename(folder / "kept.json")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    try:
        assert contrapeso(monkeypatch, "recommend", folder, "--max-loss", "5") == 3
        assert "valid measurement" in capsys.readouterr().err
    finally:
        (folder / "kept.json").rename(folder / "summary.json")


def test_the_command_prints_the_budget_the_choice_and_every_candidate(folder, tmp_path, monkeypatch, capsys):
    file = tmp_path / "choice.json"
    assert contrapeso(monkeypatch, "recommend", folder, "--max-loss", "30", "--json", file) == 0
    printed, found = capsys.readouterr().out, json.loads(file.read_text(encoding="utf-8"))
    assert printed.splitlines() == recommendation_lines(found)
    assert printed.startswith("budget: at most 30 points of MMLU lost, with 95 % confidence\nrecommended: ")
    assert {one["name"] for one in found["candidates"]} == set(re.findall(r"^[*+-] (.*):", printed, re.MULTILINE))
    assert sum(row["share"] for row in found["held_out"]["chosen"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "--max-loss"),
        (("--max-loss", "1", "--min-gain", "1"), 2, "either"),
        (("--max-loss", "0"), 3, "budget"),
        (("--min-gain", "5", "--confidence", "1"), 3, "confidence"),
    ],
)
def test_a_budget_that_is_none_is_refused(folder, arguments, code, words, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "recommend", folder, *arguments) == code
    assert words in capsys.readouterr().err


def test_a_folder_that_is_no_study_is_refused(tmp_path, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "recommend", tmp_path, "--max-loss", "1") == 6
    assert "summary.json" in capsys.readouterr().err
