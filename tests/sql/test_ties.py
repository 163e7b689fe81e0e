"""Gold queries whose LIMIT cuts through ties, against a count that looks at every row without LIMIT."""

import json
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from contrapeso.sql import Sandbox, judge_sql
from contrapeso.sql.ties import ranking

STATEMENTS = """
CREATE TABLE part (id INTEGER PRIMARY KEY, kind TEXT, word TEXT COLLATE NOCASE, size INTEGER, other INTEGER);
INSERT INTO part VALUES (1, 'a', 'one', 5, 1), (2, 'a', 'ONE', 5, 2), (3, 'b', 'two', 7, 1), (4, 'b', 'two', NULL, 1),
    (5, 'c', 'two', NULL, 3), (6, 'd', 'six', 9, 9);
"""


def flags(sandbox: Sandbox, database: Path, gold: str) -> tuple[str, ...]:
    return judge_sql(sandbox, [(database, gold, gold)])[0].flags


@pytest.mark.parametrize(
    ("gold", "ties"),
    [
        ("SELECT id FROM part ORDER BY size DESC LIMIT 1", False),
        ("SELECT id FROM part ORDER BY size LIMIT 1", True),  # two NULLs come first
        ("SELECT id FROM part ORDER BY size LIMIT 2", False),
        ("SELECT id FROM part ORDER BY size LIMIT 2 OFFSET 1", True),
        ("SELECT id FROM part ORDER BY size LIMIT 2 OFFSET 2", False),
        ("SELECT id FROM part ORDER BY size DESC, id LIMIT 3", False),
        ("SELECT id FROM part ORDER BY size DESC LIMIT 3;", True),
        ("SELECT size FROM part ORDER BY size DESC LIMIT 3", False),  # tied rows that are the same
        ("SELECT kind AS k, size AS s FROM part ORDER BY s DESC LIMIT 3", False),
        ("SELECT kind, other FROM part ORDER BY 1 LIMIT 1", True),
        ("SELECT kind FROM part GROUP BY kind ORDER BY count(*) DESC LIMIT 1", True),
        ("SELECT kind FROM part GROUP BY kind ORDER BY count(*) DESC LIMIT 2", False),
        ("SELECT kind, count(*) AS n FROM part GROUP BY kind ORDER BY n DESC LIMIT 3", True),
        ("SELECT kind FROM part GROUP BY kind HAVING count(*) > 1 ORDER BY max(size) DESC LIMIT 1", False),
        ("SELECT id FROM part ORDER BY word LIMIT 1", True),  # the column does not mind the case
        ("SELECT id FROM part ORDER BY word COLLATE BINARY LIMIT 1", False),
        ("SELECT id FROM part ORDER BY kind COLLATE NOCASE LIMIT 1", True),
        ("SELECT id FROM part ORDER BY size + other DESC LIMIT 3", False),
        ("SELECT id FROM part LIMIT 2", True),
        ("SELECT id FROM part LIMIT 6", False),
        ("SELECT id FROM part ORDER BY kind LIMIT 100", False),
        ("SELECT DISTINCT kind FROM part ORDER BY kind LIMIT 2", False),
        ("SELECT DISTINCT kind, other FROM part ORDER BY kind LIMIT 1", True),
        ("SELECT kind, size FROM part UNION SELECT word, other FROM part ORDER BY size LIMIT 1", True),
        ("SELECT kind, size FROM part UNION SELECT kind, 10 FROM part WHERE id = 1 ORDER BY 2 DESC LIMIT 1", False),
        ("SELECT id FROM (SELECT * FROM part WHERE kind = 'a') AS p ORDER BY p.size LIMIT 1", True),
        ("WITH p AS (SELECT * FROM part) SELECT id FROM p ORDER BY size LIMIT 1", True),
        ("SELECT id FROM part WHERE size = (SELECT size FROM part ORDER BY kind LIMIT 1)", False),
    ],
)
def test_ties_at_the_limit_are_flagged(
    sandbox: Sandbox, make_database: Callable[..., Path], gold: str, ties: bool
) -> None:
    database = make_database(STATEMENTS, "parts.sqlite")
    assert flags(sandbox, database, gold) == (("gold_ties",) if ties else ())


@pytest.mark.parametrize(
    "gold",
    [
        "SELECT DISTINCT kind FROM part ORDER BY size LIMIT 1",
        "SELECT id FROM part ORDER BY size LIMIT 1 + 1",
        "SELECT id FROM part ORDER BY size LIMIT -1",
        "SELECT size AS other FROM part ORDER BY other + 1 LIMIT 1",
    ],
)
def test_where_ties_cannot_be_told_nothing_is_said(
    sandbox: Sandbox, make_database: Callable[..., Path], gold: str
) -> None:
    assert ranking(gold, 1) is None
    assert flags(sandbox, make_database(STATEMENTS, "parts.sqlite"), gold) == ()


def other_rows_possible(rows: Sequence[tuple[Any, ...]], start: int, stop: int) -> bool:
    """Whether rows sorted by their last cell leave a choice of which to return between two places."""
    position = 0
    for _, tied in groupby(rows, key=lambda row: row[-1]):
        group = [row[:-1] for row in tied]
        inside = len(range(max(position, start), min(position + len(group), stop)))
        if 0 < inside < len(group) and len(set(group)) > 1:
            return True
        position += len(group)
    return False


def test_flags_agree_with_all_rows_looked_at_on_random_tables(
    sandbox: Sandbox, make_database: Callable[..., Path]
) -> None:
    choose = random.Random(3)
    values = ", ".join(
        f"({choose.choice('abc')!r}, {choose.choice((1, 1, 2, 'NULL'))}, {choose.randint(0, 3)})" for _ in range(14)
    )
    database = make_database(
        f"CREATE TABLE t (a TEXT, b INTEGER, c INTEGER); INSERT INTO t VALUES {values};", "t.sqlite"
    )
    connection = sqlite3.connect(database)
    golds, expected = [], []
    for _ in range(300):
        source = choose.choice(("FROM t", "FROM t WHERE c > 0", "FROM t GROUP BY a", "FROM t GROUP BY a, c"))
        grouped = "GROUP" in source
        selected = choose.choice(("a", "a, count(*)", "max(b)") if grouped else ("a", "a, b", "c", "a, b, c"))
        key = choose.choice(("count(*)", "sum(b)", "a") if grouped else ("b", "c", "b + c", "a"))
        direction, limit, offset = choose.choice(("", "ASC", "DESC")), choose.randint(1, 6), choose.choice((0, 0, 1, 3))
        skip = f" OFFSET {offset}" if offset else ""
        golds.append(f"SELECT {selected} {source} ORDER BY {key} {direction} LIMIT {limit}{skip}")
        rows = connection.execute(f"SELECT {selected}, {key} {source} ORDER BY {key} {direction}").fetchall()
        expected.append(other_rows_possible(rows, offset, offset + limit))
    verdicts = judge_sql(sandbox, [(database, gold, gold) for gold in golds])
    wrong = [
        gold
        for gold, verdict, ties in zip(golds, verdicts, expected, strict=True)
        if ("gold_ties" in verdict.flags) != ties
    ]
    assert wrong == []
    assert 60 < sum(expected) < 240


_SUPERLATIVE = re.compile(
    r"SELECT (?!DISTINCT)(.+?) FROM (.+) ORDER BY (.+?)(?: (ASC|DESC))? LIMIT (\d+)\s*;?\s*", re.IGNORECASE
)


def test_flags_of_spider_agree_with_all_rows_looked_at(shared_data: Path) -> None:
    dev = json.loads((shared_data / "spider" / "dev.json").read_text())
    items, expected = [], []
    for row in dev:
        found = _SUPERLATIVE.fullmatch(" ".join(row["query"].split()))
        if found is None or re.search(r"\b(union|except|intersect)\b|\(select", row["query"], re.IGNORECASE):
            continue
        selected, source, key, direction, limit = found.groups()
        database = shared_data / "spider" / "database" / row["db_id"] / f"{row['db_id']}.sqlite"
        connection = sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        rows = connection.execute(
            f"SELECT {selected}, ({key}) FROM {source} ORDER BY {key} {direction or ''}"
        ).fetchall()
        items.append((database, row["query"], row["query"]))
        expected.append(other_rows_possible(rows, 0, int(limit)))
        connection.close()
    with Sandbox(workers=2) as sandbox:
        verdicts = judge_sql(sandbox, items)
    assert len(items) > 150
    assert ["gold_ties" in verdict.flags for verdict in verdicts] == expected
    assert sum(expected) > 30
