"""Hardness: equal to the official list, level by level as worked by hand, and an answer for any text."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrapeso.sql.hardness import LEVELS, hardness


def test_hardness_equals_the_official_list_on_every_dev_query(shared_data: Path) -> None:
    dev = json.loads((shared_data / "spider" / "dev.json").read_text(encoding="utf-8"))
    official = json.loads((shared_data / "spider_predictions" / "hardness.json").read_text(encoding="utf-8"))
    assert [hardness(row["query"]) for row in dev] == official
    assert Counter(official) == {"easy": 248, "medium": 446, "hard": 174, "extra": 166}


def test_hardness_of_the_train_queries_is_distributed_as_the_official_one(shared_data: Path) -> None:
    """Counts of the official code over train; it fails on one query (number 3,153), which is "extra" here."""
    train = json.loads((shared_data / "spider" / "train_spider.json").read_text(encoding="utf-8"))
    counts = Counter(hardness(row["query"]) for row in train)
    assert counts == {"easy": 1694, "medium": 2777, "hard": 1460, "extra": 1068 + 1}


# Parts, nested queries and extras counted by hand; those without a remark are read by the official parser.
WORKED = [
    ("SELECT count(*) FROM singer", "easy"),
    ("SELECT name FROM singer WHERE age > 20", "easy"),
    ("SELECT name FROM singer WHERE name LIKE '%Ana%'", "medium"),  # WHERE and LIKE
    ("SELECT name FROM singer WHERE age > 20 AND age < 60", "medium"),  # two conditions
    ("SELECT name FROM singer WHERE age > 20 OR age < 10", "medium"),  # WHERE, OR; two conditions
    ("SELECT name FROM singer WHERE age > 20 OR name LIKE '%a%'", "hard"),  # WHERE, OR, LIKE
    ("SELECT name , age FROM singer", "medium"),
    ("SELECT name FROM singer ORDER BY age LIMIT 1", "medium"),
    ("SELECT name , age FROM singer WHERE age > 20 AND id > 3 ORDER BY age", "extra"),  # the gap in the table
    ("SELECT count(*) , max(age) FROM singer WHERE a > 1 AND b > 2 GROUP BY c , d", "hard"),  # two parts, four extras
    ("SELECT count(*) , max(age) FROM singer GROUP BY c , d", "hard"),  # one part, three extras
    ("SELECT name FROM singer WHERE age > ( SELECT avg(age) FROM singer )", "hard"),
    ("SELECT name FROM singer WHERE id NOT IN ( SELECT id FROM concert )", "hard"),
    ("SELECT name , age FROM singer WHERE id IN ( SELECT id FROM concert )", "extra"),
    ("SELECT name FROM singer UNION SELECT name FROM concert", "hard"),
    ("SELECT name FROM singer UNION SELECT name FROM concert ORDER BY name LIMIT 3", "hard"),  # of the second
    ("( SELECT name FROM singer ) EXCEPT ( SELECT name FROM concert )", "hard"),
    ("SELECT T1.a FROM s AS T1 JOIN c AS T2 ON T1.i = T2.i JOIN d AS T3 ON T2.i = T3.i", "medium"),
    ("SELECT count(*) FROM ( SELECT a FROM s WHERE x = 1 OR y = 2 )", "easy"),  # FROM's query is one table
    ("SELECT a FROM s WHERE x BETWEEN 1 AND 2", "easy"),  # its AND joins no conditions
    ("SELECT a FROM s WHERE x = 'union' AND y = \"order by\"", "medium"),
    # A column compared with a column: the OR behind it is read over, up to the next AND.
    ("SELECT a FROM s AS t JOIN c ON t.i = c.i OR t.j = c.j", "easy"),
    ("SELECT a FROM s JOIN c ON i = 1 OR j = 2", "medium"),
    ("SELECT a FROM s WHERE x = y OR z = 1 AND w = 2", "medium"),
    # NOT in a condition, and an AND in HAVING, count as aggregates.
    ("SELECT count(*) FROM s WHERE x NOT LIKE 'a'", "medium"),
    ("SELECT a FROM s GROUP BY a HAVING count(*) > 1 AND count(*) < 5 ORDER BY count(*)", "medium"),
    ("SELECT (max(a) - min(a)) , b FROM s GROUP BY b", "medium"),
    # The official parser fails on these; the stated rule is worked by hand.
    ("SELECT name AS n FROM singer AS s LEFT JOIN concert AS c ON s.id = c.id WHERE c.id IS NULL", "medium"),
    ("SELECT name FROM a, b", "easy"),
    ("SELECT name FROM a, b, c WHERE x IS NOT NULL OR y IS NULL", "extra"),
    ("WITH x AS (SELECT 1) SELECT * FROM x", "hard"),
    ("WITH x AS (SELECT 1), y AS (SELECT 2) SELECT * FROM x", "extra"),
    ("SELECT a FROM s WHERE (x = 1 OR y = 2) AND z = 3", "medium"),
    ("SELECT a FROM s WHERE EXISTS (SELECT 1 FROM t)", "hard"),
    ("SELECT (SELECT max(b) FROM t) FROM s", "hard"),
    ("SELECT CASE WHEN a > 1 AND b > 2 THEN 1 ELSE 0 END FROM s", "easy"),
    ("SELECT rank() OVER (PARTITION BY a ORDER BY b) FROM s", "easy"),
    ("SELECT round(avg(a), 2), count(*) FROM s", "medium"),
    ("SELECT a FROM s -- WHERE b = 1 OR c = 2", "easy"),
    ("SELECT a IS DISTINCT FROM b FROM s", "easy"),
]


@pytest.mark.parametrize(("sql", "level"), WORKED)
def test_hardness_of_queries_worked_by_hand(sql: str, level: str) -> None:
    assert hardness(sql) == level


@pytest.mark.parametrize("sql", ["", "   ", ";", "-- nothing", "Sorry, I cannot", "VALUES (1)", "((", ")))", "\x00"])
def test_text_without_select_is_extra(sql: str) -> None:
    assert hardness(sql) == "extra"


WORDS = "select from where group by order limit union join on , ( ) and or not like between in = a b 1 'x' ; with as is"


@given(st.lists(st.sampled_from(WORDS.split()), max_size=40).map(" ".join) | st.text(max_size=60))
def test_any_text_has_a_level_that_case_and_space_do_not_change(sql: str) -> None:
    level = hardness(sql)
    assert level in LEVELS
    if sql.isascii():
        assert hardness(f"\n{sql.upper()} \t") == level


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM s WHERE " + "(" * 60_000,
        "(" * 60_000 + "SELECT 1" + ")" * 60_000,
        "(x " * 20_000 + ")",
        "SELECT " + "(SELECT " * 20_000,
        "SELECT a FROM s WHERE x = 1" + " OR x = 1" * 20_000,
        "/*" * 60_000,
        "'" + "\\'" * 60_000,
    ],
    ids=lambda sql: sql[:12],
)
def test_long_hostile_text_has_a_level(sql: str) -> None:
    assert hardness(sql) in LEVELS
