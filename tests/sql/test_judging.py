"""Verdicts on whole queries, and agreement with the official evaluator on three published systems."""

import json
from collections import Counter
from pathlib import Path

import pytest

from contrapeso.sql import Sandbox, judge_sql


def verdict(sandbox: Sandbox, database: Path, gold: str, predicted: str) -> tuple[bool, bool, bool, str]:
    found = judge_sql(sandbox, [(database, gold, predicted)])[0]
    return found.rules["unordered"], found.rules["spider"], found.rules["strict"], found.reason


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ("SELECT name FROM singer", "SELECT name FROM singer;", (True, True, True, "ok")),
        ("SELECT name FROM singer", "SELECT T1.name FROM singer AS T1 ORDER BY 1", (True, True, True, "ok")),
        ("SELECT name, country FROM singer", "SELECT country, name FROM singer", (True, True, False, "ok")),
        ("SELECT name FROM singer ORDER BY name", "SELECT name FROM singer", (True, False, False, "ok")),
        ("SELECT DISTINCT country FROM singer", "SELECT country FROM singer", (False, True, False, "wrong_result")),
        ("SELECT DISTINCT year FROM concert", "SELECT year FROM concert GROUP BY 1", (True, False, True, "ok")),
        ("SELECT sum(weight) FROM singer", "SELECT 130.50001", (True, False, True, "ok")),
        ("SELECT year FROM concert", "SELECT CAST(year AS INT) FROM concert", (False, False, False, "wrong_result")),
        ("SELECT name FROM singer WHERE 0", "SELECT nam FROM singer", (False, False, False, "no_such_column")),
        ("SELECT name FROM singer WHERE 0", "DROP TABLE singer", (False, False, False, "refused")),
        ("SELECT name FROM singer WHERE 0", "", (False, False, False, "empty")),
        ("SELECT name FROM singer WHERE 0", "-- sorry", (False, False, False, "empty")),
        ("SELECT 1", "SELECT singer_id FROM singer WHERE singer_id > = 1 LIMIT 1", (False, True, False, "syntax")),
        ("SELECT 1", "SELECT 1; SELECT 2", (False, True, False, "refused")),
        ("SELECT nothing FROM singer", "SELECT nothing FROM singer", (False, False, False, "gold_fails")),
    ],
)
def test_verdicts_by_rule(
    sandbox: Sandbox, database: Path, gold: str, predicted: str, expected: tuple[bool, bool, bool, str]
) -> None:
    assert verdict(sandbox, database, gold, predicted) == expected


def test_the_detail_of_a_wrong_result_tells_the_shapes(sandbox: Sandbox, database: Path) -> None:
    found = judge_sql(sandbox, [(database, "SELECT name FROM singer", "SELECT name, country FROM singer LIMIT 1")])[0]
    assert found.detail == "rows x columns: gold 3 x 1, prediction 1 x 2"


def test_each_query_runs_once_however_often_it_occurs(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(workers=1) as sandbox:
        asked: Counter[str] = Counter()
        run = sandbox.run

        def counting(requests: list[tuple[Path, str]]):
            asked.update(sql for _, sql in requests)
            return run(requests)

        monkeypatch.setattr(sandbox, "run", counting)
        items = [(database, "SELECT DISTINCT name FROM singer", f"SELECT {number % 2}") for number in range(20)]
        judge_sql(sandbox, items)
    assert set(asked.values()) == {1}
    assert len(asked) == 4


@pytest.mark.parametrize("system", ["din_sql_gpt4", "dts_sql_mistral7b", "chatgpt_zero_shot"])
def test_spider_agrees_with_the_official_evaluator_on_every_prediction(shared_data: Path, system: str) -> None:
    dev = json.loads((shared_data / "spider" / "dev.json").read_text())
    folder = shared_data / "spider_predictions"
    predictions = (folder / f"{system}.sql").read_text().splitlines()
    official = json.loads((folder / f"{system}.verdicts.json").read_text())
    databases = [shared_data / "spider" / "database" / row["db_id"] / f"{row['db_id']}.sqlite" for row in dev]
    items = [(path, row["query"], sql) for path, row, sql in zip(databases, dev, predictions, strict=True)]
    with Sandbox(workers=2) as sandbox:
        verdicts = judge_sql(sandbox, items)
    assert len(official) == len(verdicts) == 1034
    disagreements = [index for index, found in enumerate(verdicts) if found.rules["spider"] != bool(official[index])]
    assert disagreements == []


def test_every_gold_query_of_spider_scores_against_itself(shared_data: Path) -> None:
    dev = json.loads((shared_data / "spider" / "dev.json").read_text())
    databases = [shared_data / "spider" / "database" / row["db_id"] / f"{row['db_id']}.sqlite" for row in dev]
    with Sandbox(workers=2) as sandbox:
        verdicts = judge_sql(
            sandbox, [(path, row["query"], row["query"]) for path, row in zip(databases, dev, strict=True)]
        )
    assert all(found.reason == "ok" and all(found.rules.values()) for found in verdicts)
