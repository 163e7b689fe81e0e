"""Why a prediction is wrong: one hand-written case per word, the traps, and hostile text."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contrapeso.sql import Sandbox, judge_sql, read_schema
from contrapeso.sql.clauses import read_clauses
from contrapeso.sql.diagnosis import WORDS, diagnose
from contrapeso.sql.differences import large_differences
from contrapeso.sql.sandbox import Result
from contrapeso.sql.ties import ranking
from contrapeso.sql.tokens import tokenize

STATEMENTS = """
CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT, country TEXT, age INTEGER, fans INTEGER);
CREATE TABLE concert (concert_id INTEGER PRIMARY KEY, singer_id INTEGER, year TEXT, city TEXT);
CREATE TABLE award (award_id INTEGER PRIMARY KEY, singer_id INTEGER, title TEXT);
INSERT INTO singer VALUES (1, 'Ana', 'Brasil', 20, 7), (2, 'Rui', 'Portugal', 20, NULL), (3, 'Eva', 'Brasil', 30, 9),
    (4, 'Zé', 'Angola', 45, 9), (5, 'Ana', 'Chile', 50, 1);
INSERT INTO concert VALUES (10, 1, '2014', 'Recife'), (11, 1, '2015', 'Natal'), (12, 3, '2015', 'Recife'),
    (13, 4, '2016', 'Lisboa');
INSERT INTO award VALUES (1, 1, 'gold'), (2, 3, 'gold'), (3, 3, 'silver');
"""


@pytest.fixture
def database(make_database: Callable[..., Path]) -> Path:
    return make_database(STATEMENTS)


def why(sandbox: Sandbox, database: Path, gold: str, predicted: str, rule: str = "unordered") -> tuple[str, str]:
    found = judge_sql(sandbox, [(database, gold, predicted)], rule=rule)[0]
    return found.reason, found.detail


JOIN = "SELECT T1.name FROM singer AS T1 JOIN concert AS T2 ON T1.singer_id = T2.singer_id"


@pytest.mark.parametrize(
    ("gold", "predicted", "word", "sentence"),
    [
        (
            "SELECT year FROM concert",
            "SELECT CAST(year AS INT) FROM concert",
            "type_mismatch",
            "the values are the same, but text on one side and numbers on the other",
        ),
        (
            "SELECT DISTINCT country FROM singer",
            "SELECT country FROM singer",
            "duplicates",
            "the same rows, repeated differently: gold 4, prediction 5, 4 of them different",
        ),
        ("SELECT name FROM singer", "SELECT name, age FROM singer", "wrong_columns", "the prediction also selects age"),
        (
            "SELECT name FROM singer",
            "SELECT country FROM singer",
            "wrong_columns",
            "the gold selects name, the prediction country",
        ),
        (
            "SELECT name FROM singer",
            "SELECT * FROM singer",
            "wrong_columns",
            "the prediction also selects age, country, fans, singer_id",
        ),
        (
            "SELECT max(age) FROM singer",
            "SELECT MIN(age) FROM singer",
            "wrong_aggregation",
            "the gold selects MAX(age), the prediction MIN(age)",
        ),
        (
            "SELECT count(DISTINCT country) FROM singer",
            "SELECT count(*) FROM singer",
            "wrong_aggregation",
            "the gold selects COUNT(DISTINCT country), the prediction COUNT(*)",
        ),
        (
            "SELECT city, count(*) FROM concert GROUP BY city",
            "SELECT city, count(*) FROM concert GROUP BY year",
            "wrong_aggregation",
            "the gold groups by city, the prediction year",
        ),
        (JOIN, "SELECT name FROM singer", "wrong_tables", "the gold also reads concert"),
        (
            "SELECT count(*) FROM concert",
            "SELECT count(*) FROM singer",
            "wrong_tables",
            "the gold reads concert, the prediction singer",
        ),
        (JOIN, JOIN.replace("JOIN", "LEFT JOIN"), "wrong_tables", "the prediction also uses LEFT JOIN concert"),
        (
            JOIN,
            JOIN.replace("T2.singer_id", "T2.concert_id"),
            "wrong_tables",
            "the gold joins on concert.singer_id = singer.singer_id, "
            "the prediction concert.concert_id = singer.singer_id",
        ),
        (
            "SELECT name FROM singer WHERE age > 20",
            "SELECT name FROM singer WHERE age >= 20",
            "wrong_condition",
            "condition on age: gold > 20, prediction >= 20",
        ),
        (
            "SELECT name FROM singer WHERE country = 'Brasil'",
            'SELECT name FROM singer WHERE country = "brasil"',
            "wrong_condition",
            "condition on country: gold = 'Brasil', prediction = 'brasil'",
        ),
        (
            "SELECT name FROM singer WHERE age > 20 AND country = 'Brasil'",
            "SELECT name FROM singer WHERE age > 20",
            "wrong_condition",
            "the gold also asks for country = 'Brasil'",
        ),
        (
            "SELECT name FROM singer WHERE age > 20 AND country = 'Brasil'",
            "SELECT name FROM singer WHERE age > 20 OR country = 'Brasil'",
            "wrong_condition",
            "only the prediction joins conditions by OR",
        ),
        (
            "SELECT city FROM concert GROUP BY city HAVING count(*) > 1",
            "SELECT city FROM concert GROUP BY city HAVING count(*) >= 1",
            "wrong_condition",
            "condition on COUNT(*): gold > 1, prediction >= 1",
        ),
        (
            "SELECT name FROM singer WHERE singer_id NOT IN (SELECT singer_id FROM concert)",
            "SELECT name FROM singer WHERE singer_id IN (SELECT singer_id FROM concert)",
            "wrong_condition",
            "the gold also asks for singer.singer_id NOT IN (concert.singer_id)",
        ),
        (
            "SELECT fans FROM singer ORDER BY age LIMIT 1",
            "SELECT fans FROM singer ORDER BY age DESC LIMIT 1",
            "wrong_order",
            "gold ORDER BY age LIMIT 1, prediction ORDER BY age DESC LIMIT 1",
        ),
        (
            "SELECT name FROM singer ORDER BY fans DESC LIMIT 1",
            "SELECT name FROM singer WHERE fans = (SELECT max(fans) FROM singer)",
            "wrong_order",
            "gold ORDER BY fans DESC LIMIT 1, prediction has no LIMIT",
        ),
        (
            "SELECT name FROM singer WHERE age = (SELECT min(age) FROM singer)",
            "SELECT name FROM singer ORDER BY age LIMIT 1",
            "wrong_order",
            "gold has no LIMIT, prediction ORDER BY age LIMIT 1",
        ),
        ("SELECT 1.0", "SELECT 1.1 - 0.2", "wrong_columns", "the gold selects 1.0, the prediction 1.1 - 0.2"),
        (
            "SELECT name FROM singer WHERE age = 20",
            "SELECT name FROM singer WHERE '20' = age AND (0 OR singer_id = 1 OR 1 = 2)",
            "wrong_condition",
            "the prediction also asks for 0, 1 = 2, singer_id = 1",
        ),
    ],
)
def test_the_difference_is_named(
    sandbox: Sandbox, database: Path, gold: str, predicted: str, word: str, sentence: str
) -> None:
    assert why(sandbox, database, gold, predicted) == (word, sentence)


@pytest.mark.parametrize(
    ("ties", "expected"),
    [
        (False, ("wrong_result", "rows x columns: gold 1 x 1, prediction 1 x 1")),
        (True, ("wrong_order", "rows tie at the gold's LIMIT and the prediction took other ones")),
    ],
)
def test_where_queries_do_not_differ_ties_are_the_reason_or_none_is_given(
    database: Path, ties: bool, expected: tuple[str, str]
) -> None:
    gold, predicted = (f"SELECT {name}.country FROM singer AS {name} ORDER BY age LIMIT 1" for name in ("a", "b"))
    results = [Result(1, ((country,),)) for country in ("Brasil", "Portugal")]
    schema = read_schema(database)
    assert diagnose(gold, predicted, gold=results[0], predicted=results[1], schema=schema, ties=ties) == expected


@pytest.mark.parametrize(
    ("predicted", "word", "sentence"),
    [
        ("", "empty", "there is no SQL"),
        ("Sorry, no.", "not_sql", "starts with 'sorry', which begins no SQL statement"),
        ("DROP TABLE singer", "refused", "only SELECT, WITH and VALUES are run, not DROP"),
        ("SELECT name FROM", "syntax", "incomplete input"),
        ("SELECT name FROM singers", "unknown_table", "no such table: singers; nearest: singer"),
        ("SELECT nam FROM singer", "unknown_column", "no such column: nam; nearest: singer.name"),
        ("SELECT T1.yaer FROM concert AS T1", "unknown_column", "no such column: T1.yaer; nearest: concert.year"),
        ("SELECT s.year FROM singer s", "unknown_column", "no such column: s.year; concert has it"),
        ("SELECT xyzzy FROM singer", "unknown_column", "no such column: xyzzy"),
        ("SELECT singer_id FROM singer, concert", "ambiguous_column", "ambiguous column name: singer_id"),
        ("SELECT count(*) FROM singer WHERE count(*) > 1", "misuse", "misuse of aggregate: count()"),
        ("SELECT abs(-9223372036854775808)", "error", "integer overflow"),
    ],
)
def test_a_prediction_that_does_not_run_keeps_its_reason_and_learns_the_nearest_names(
    sandbox: Sandbox, database: Path, predicted: str, word: str, sentence: str
) -> None:
    assert why(sandbox, database, "SELECT name FROM singer", predicted) == (word, sentence)


@pytest.mark.parametrize("reason", ["timeout", "too_large", "crashed"])
def test_reasons_that_take_long_to_make_pass_through(database: Path, reason: str) -> None:
    failed = Result(0, (), reason, "what happened")
    found = diagnose("SELECT 1", "SELECT 2", gold=Result(1, ((1,),)), predicted=failed, schema=read_schema(database))
    assert found == (reason, "what happened")


SAME = [
    ("SELECT name FROM singer", 'select "T1".[NAME] as `x` from `Singer` T1;'),
    ("SELECT * FROM award", "SELECT award_id, singer_id, title FROM award"),
    (
        "SELECT T1.* FROM award AS T1 JOIN singer USING (singer_id)",
        "SELECT a.award_id, a.singer_id, title FROM award a, singer s WHERE s.singer_id = a.singer_id",
    ),
    (JOIN, "SELECT name FROM concert JOIN singer ON concert.singer_id = singer.singer_id"),
    (JOIN, "SELECT name FROM concert NATURAL JOIN singer"),
    (JOIN, "SELECT name FROM singer WHERE singer_id IN (SELECT singer_id FROM concert)"),
    (JOIN, "WITH c AS (SELECT singer_id AS id FROM concert) SELECT s.name FROM c JOIN singer s ON s.singer_id = c.id"),
    (
        JOIN,
        JOIN.replace("T1.singer_id =", "T3.singer_id =").replace(
            "JOIN", "JOIN award AS T3 ON T3.singer_id = T1.singer_id JOIN"
        ),
    ),
    (
        "SELECT concert.singer_id FROM concert JOIN singer USING (singer_id)",
        "SELECT singer.singer_id FROM concert JOIN singer ON singer.singer_id = concert.singer_id",
    ),
    ("SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE 20 < singer.age"),
    ("SELECT name FROM singer WHERE age > 20", "SELECT name FROM singer WHERE NOT (age <= '20')"),
    ("SELECT name FROM singer WHERE age BETWEEN 1 AND 9", "SELECT name FROM singer WHERE age <= 9 AND age >= 1"),
    ("SELECT name FROM singer WHERE age IN (1, 2)", "SELECT name FROM singer WHERE age = 1 OR age = 2"),
    ("SELECT name FROM singer WHERE age NOT IN (1, 2)", "SELECT name FROM singer WHERE age != 1 AND age <> 2"),
    (
        "SELECT name FROM singer WHERE age = 1 UNION SELECT name FROM singer WHERE age = 2",
        "SELECT name FROM singer WHERE age = 2 OR age = 1",
    ),
    (
        "SELECT singer_id FROM singer EXCEPT SELECT singer_id FROM award",
        "SELECT singer_id FROM singer WHERE singer_id NOT IN (SELECT singer_id FROM award)",
    ),
    (
        "SELECT singer_id FROM singer INTERSECT SELECT singer_id FROM award",
        "SELECT singer_id FROM singer WHERE singer_id IN (SELECT singer_id FROM award)",
    ),
    ('SELECT name FROM singer WHERE country = "Brasil"', "SELECT name FROM singer WHERE country = 'Brasil'"),
    (
        "SELECT city FROM concert GROUP BY city ORDER BY count(*) DESC LIMIT 1",
        "SELECT city FROM (SELECT city, count(singer_id) AS n FROM concert GROUP BY 1) ORDER BY n DESC LIMIT 1",
    ),
    (
        "SELECT city, count(*) FROM concert GROUP BY city HAVING count(*) > 1",
        "SELECT city, count(*) AS n FROM concert GROUP BY 1 HAVING n > 1 ORDER BY 2",
    ),
    ("SELECT DISTINCT city FROM concert", "SELECT city FROM concert GROUP BY city"),
    ("SELECT name FROM singer ORDER BY age LIMIT 3", "SELECT name FROM singer ORDER BY singer.age ASC LIMIT 3"),
]


@pytest.mark.parametrize(("gold", "predicted"), SAME)
def test_another_way_to_write_the_same_is_no_large_difference(database: Path, gold: str, predicted: str) -> None:
    sqlite3.connect(database).execute(predicted)
    clauses = read_clauses(gold, predicted, read_schema(database))
    assert clauses is not None
    assert large_differences(*clauses) == {}


HOSTILE = {
    "deep parentheses": "SELECT " + "(" * 90 + "1" + ")" * 90,
    "deep queries": "SELECT * FROM " + "(SELECT * FROM " * 300 + "singer" + ")" * 300,
    "a megabyte": "SELECT name FROM singer -- " + "x" * 10**6,
    "many conditions": "SELECT name FROM singer WHERE " + " OR ".join(f"age = {number}" for number in range(400)),
    "doubling columns": "WITH a0 AS (SELECT * FROM singer)"
    + "".join(f", a{number + 1} AS (SELECT * FROM a{number} x, a{number} y)" for number in range(40))
    + " SELECT 1",
    "doubling expressions": "SELECT a FROM "
    + "(SELECT a + a AS a FROM " * 30
    + "(SELECT age AS a FROM singer)"
    + ")" * 30,
    "shadowed names": "SELECT t.name FROM (WITH singer AS (SELECT 1 AS name) SELECT name FROM singer) AS t JOIN singer",
    "recursion": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT x FROM c",
    "no tables": "VALUES (1), (2)",
    "rows": "SELECT name FROM singer WHERE (age, fans) = (1, 2) AND (age, fans) IN (SELECT 1, 2)",
    "not SQL to sqlglot": "SELECT name FROM singer WHERE ) OR (",
    "nothing": "",
    "odd characters": "SELECT 'é\x00\ud800' FROM singer",
    "windows": "SELECT rank() OVER (PARTITION BY age ORDER BY fans) FROM singer WINDOW w AS (ORDER BY age)",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_gets_a_word_and_never_an_exception(database: Path, name: str) -> None:
    schema = read_schema(database)
    results = [Result(1, ((1,),)), Result(1, ((2,), (3,)))]
    for gold, predicted in (("SELECT name FROM singer", HOSTILE[name]), (HOSTILE[name], "SELECT name FROM singer")):
        word, sentence = diagnose(gold, predicted, gold=results[0], predicted=results[1], schema=schema)
        assert word in WORDS and 0 < len(sentence) <= 300
    assert ranking(HOSTILE[name] + " LIMIT 1", 1) is None or "RANK()" in str(ranking(HOSTILE[name] + " LIMIT 1", 1))


def test_broken_queries_never_raise(database: Path) -> None:
    """Tokens of real queries, cut, doubled and swapped; most do not run, all are diagnosed."""
    choose = random.Random(7)
    schema = read_schema(database)
    queries = [query for pair in SAME for query in pair]
    tokens = [token.text for query in queries for token in tokenize(query)]
    results = [Result(1, ((1,),)), Result(1, ((2,),))]
    for _ in range(400):
        gold = choose.choice(queries)
        broken = [token.text for token in tokenize(choose.choice(queries))]
        for _ in range(choose.randint(1, 4)):
            place = choose.randrange(len(broken))
            broken[place : place + choose.randint(0, 2)] = choose.choices(tokens, k=choose.randint(0, 2)) or [" "]
        predicted = "".join(broken)
        assert diagnose(gold, predicted, gold=results[0], predicted=results[1], schema=schema)[0] in WORDS
        ranking(predicted, 1)


def test_names_are_looked_for_in_a_long_query_too(database: Path) -> None:
    """One word of 150,000 letters: looking for the alias from each of them would take minutes."""
    predicted = f"SELECT T1.yaer, '{'x' * 150_000}' FROM concert AS T1"
    failed = Result(0, (), "unknown_column", "no such column: T1.yaer")
    found = diagnose("SELECT 1", predicted, gold=Result(1, ((1,),)), predicted=failed, schema=read_schema(database))
    assert found == ("unknown_column", "no such column: T1.yaer; nearest: concert.year")


def test_sqlglot_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, contrapeso.sql; sys.exit('sqlglot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
