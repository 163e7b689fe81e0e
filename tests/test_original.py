"""The original study's 300 published predictions, judged by its own rule and by ours.

Its numbers come out as published, and every row where a sound rule disagrees is named with its reason.
"""

import csv
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from contrapeso.sql import RULES, Sandbox, Verdict, judge_sql

MODELS = ("Baseline_Model", "Fine-Tuned_Run_1", "Fine-Tuned_Run_2")
PUBLISHED = {"Baseline_Model": 0.09, "Fine-Tuned_Run_1": 0.21, "Fine-Tuned_Run_2": 0.22}

Key = tuple[str, int]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def rows_or_nothing(database: Path, sql: str) -> tuple[list[tuple[object, ...]], bool]:
    """What the original makes of a query: its rows, or no rows when it fails; and whether it ran."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        try:
            return connection.execute(sql).fetchall(), True
        except (sqlite3.Error, sqlite3.Warning):
            return [], False


def rule_of_the_original(database: Path, gold: str, predicted: str) -> bool:
    """Equal sets of rows as text: row order and duplicates do not count, and a failure is an empty result."""
    left, right = (rows_or_nothing(database, sql)[0] for sql in (gold, predicted))
    return set(map(str, left)) == set(map(str, right))


@pytest.fixture(scope="module")
def recomputed(shared_data: Path) -> dict[Key, dict[str, str]]:
    """What was found out about every row, by (model, dev index)."""
    return {(row["model"], int(row["index"])): row for row in rows_of(shared_data / "seed_results" / "recomputed.csv")}


@pytest.fixture(scope="module")
def triples(shared_data: Path, recomputed: dict[Key, dict[str, str]]) -> dict[Key, tuple[Path, str, str]]:
    """Database, gold and prediction of every row; the database is the one at the row's place in dev."""
    found = {}
    for model in MODELS:
        for index, row in enumerate(rows_of(shared_data / "seed_results" / f"avaliacao_{model}.csv")):
            name = recomputed[model, index]["db_id"]
            database = shared_data / "spider" / "database" / name / f"{name}.sqlite"
            found[model, index] = (database, row["expected_sql"], row["generated_sql"])
    return found


@pytest.fixture(scope="module")
def originals(triples: dict[Key, tuple[Path, str, str]]) -> dict[Key, bool]:
    """Verdicts of the original's rule."""
    return {key: rule_of_the_original(*triple) for key, triple in triples.items()}


@pytest.fixture(scope="module")
def verdicts(triples: dict[Key, tuple[Path, str, str]]) -> dict[Key, Verdict]:
    """Verdicts of ours."""
    with Sandbox(workers=2) as sandbox:
        return dict(zip(triples, judge_sql(sandbox, list(triples.values())), strict=True))


def test_its_own_rule_gives_the_published_scores_row_by_row(shared_data, originals):
    folder = shared_data / "seed_results"
    for model in MODELS:
        published = [row["score"] for row in rows_of(folder / f"avaliacao_{model}.csv")]
        assert [float(originals[model, index]) for index in range(100)] == list(map(float, published))
        assert sum(originals[model, index] for index in range(100)) / 100 == PUBLISHED[model]
    summary = {row[""]: float(row["Execution Accuracy"]) for row in rows_of(folder / "summary_fase3_accuracy.csv")}
    assert summary == {model.replace("_", " "): share for model, share in PUBLISHED.items()}


def test_most_predictions_do_not_run_since_no_prompt_showed_a_schema(triples, verdicts):
    failing = Counter(key[0] for key, (database, _, sql) in triples.items() if not rows_or_nothing(database, sql)[1])
    assert failing == {"Baseline_Model": 95, "Fine-Tuned_Run_1": 81, "Fine-Tuned_Run_2": 79}
    unknown = Counter(key[0] for key, v in verdicts.items() if v.reason in ("unknown_table", "unknown_column"))
    assert unknown == {"Baseline_Model": 73, "Fine-Tuned_Run_1": 75, "Fine-Tuned_Run_2": 68}


def test_ten_rows_are_correct_only_because_a_failing_query_equals_an_empty_result(triples, originals, verdicts):
    fooled = [
        (model, index)
        for (model, index), (database, gold, predicted) in triples.items()
        if originals[model, index]
        and not rows_or_nothing(database, predicted)[1]
        and rows_or_nothing(database, gold) == ([], True)
    ]
    assert fooled == [
        *(("Baseline_Model", index) for index in (14, 15, 59, 60)),
        *((model, index) for model in MODELS[1:] for index in (15, 59, 60)),
    ]
    for key in fooled:
        assert not any(verdicts[key].rules.values()) and "gold_empty" in verdicts[key].flags


def test_the_sound_rules_give_these_counts(verdicts):
    counts = {model: [sum(verdicts[model, i].rules[rule] for i in range(100)) for rule in RULES] for model in MODELS}
    assert RULES == ("unordered", "spider", "strict")
    assert counts == {"Baseline_Model": [5, 4, 5], "Fine-Tuned_Run_1": [18, 19, 17], "Fine-Tuned_Run_2": [19, 19, 19]}


def test_the_spider_rule_is_the_official_verdict_on_all_300(verdicts, recomputed):
    official = {key: row["official"] == "1" for key, row in recomputed.items()}
    assert {key: verdict.rules["spider"] for key, verdict in verdicts.items()} == official


def test_every_row_where_the_headline_rule_disagrees_with_the_original_has_its_reason(originals, verdicts):
    """Beside the ten failures: columns in another order are forgiven, a duplicate row is not."""
    differ = {key for key in originals if originals[key] != verdicts[key].rules["unordered"]}
    failing = {key for key in differ if originals[key] and verdicts[key].predicted is None}
    assert len(failing) == 10
    assert differ - failing == {("Fine-Tuned_Run_1", 11), ("Fine-Tuned_Run_1", 75)}
    swapped, repeated = verdicts["Fine-Tuned_Run_1", 11], verdicts["Fine-Tuned_Run_1", 75]
    assert swapped.rules == {"unordered": True, "spider": True, "strict": False} and swapped.reason == "ok"
    assert repeated.rules == {"unordered": False, "spider": True, "strict": False}
    assert repeated.reason == "duplicates"


def test_the_documents_table_shows_what_is_measured_here(triples, originals, verdicts):
    document = Path(__file__).resolve().parents[1] / "docs" / "scoring.md"
    words = " ".join(document.read_text(encoding="utf-8").split())
    for model in MODELS:
        keys = [(model, index) for index in range(100)]
        failing = [key for key in keys if not rows_or_nothing(triples[key][0], triples[key][2])[1]]
        numbers = [sum(originals[key] for key in keys)]
        numbers += [sum(verdicts[key].rules[rule] for key in keys) for rule in RULES]
        numbers += [len(failing), sum(originals[key] for key in failing)]
        assert f"| {model.replace('_', ' ')} | {' | '.join(map(str, numbers))} |" in words
    unknown = sum(verdict.reason in ("unknown_table", "unknown_column") for verdict in verdicts.values())
    assert f"{unknown} of the 300 queries name a table or a column" in words
