"""The rule `spider` against verdicts that the official evaluator gave, and where it gives none or does harm.

Verdicts in `AS_OFFICIAL` come from `eval_exec_match(plug_value=False, keep_distinct=False)` of
github.com/taoyds/test-suite-sql-eval (sqlparse 0.6.1) on the database of `conftest.py`. The 3,102 real predictions with
official verdicts are in `test_judging.py`.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from contrapeso.sql.equivalence import equivalent_spider, official_form
from contrapeso.sql.sandbox import Sandbox

NAMES = "SELECT name FROM singer"
ORDERED = "SELECT name FROM singer ORDER BY name"
YEARS = "SELECT DISTINCT year FROM concert"
TWO = "SELECT name, country FROM singer"
EMPTY = "SELECT name FROM singer WHERE country = 'Chile'"
RIO = "SELECT name FROM singer WHERE country = 'Brasil'"

AS_OFFICIAL = [
    # (gold, prediction, official verdict)
    (NAMES, "select NAME from SINGER", 1),
    (NAMES, "SELECT name FROM singer ORDER BY name DESC", 1),
    (ORDERED, "SELECT name FROM singer ORDER BY name DESC", 0),
    (ORDERED, "SELECT name FROM singer ORDER BY name LIMIT 3", 1),
    ("SELECT name FROM (SELECT name FROM singer ORDER BY name)", "SELECT name FROM singer ORDER BY name DESC", 0),
    ("SELECT name FROM singer WHERE name != 'order by'", "SELECT name FROM singer ORDER BY name DESC", 0),
    ("SELECT name FROM singer ORDER  BY name", "SELECT name FROM singer ORDER BY name DESC", 1),
    # DISTINCT is dropped from both, as a word of its own outside quotes.
    (YEARS, "SELECT year FROM concert", 1),
    (YEARS, "SELECT year FROM concert GROUP BY year", 0),
    ("SELECT count(DISTINCT year) FROM concert", "SELECT 3", 1),
    ("SELECT count(DISTINCT year) FROM concert", "SELECT 2", 0),
    ("SELECT 'DISTINCT'", "SELECT 'DISTINCT'", 1),
    ("SELECT 'DISTINCT'", "SELECT ''", 0),
    ("SELECT 1", "SELECT 1 AS [distinct]", 1),
    ("SELECT 1", "SELECT 1 IS DISTINCT FROM 2", 0),
    (YEARS, "SELECT /* DISTINCT */ year FROM concert -- DISTINCT", 1),
    # Columns may come in any order, cells are exact, duplicates count.
    (TWO, "SELECT country, name FROM singer", 1),
    (TWO, "SELECT country, country FROM singer", 0),
    (TWO, "SELECT name, country, 1 FROM singer", 0),
    ("SELECT 1", "SELECT 1.0", 1),
    ("SELECT 1", "SELECT '1'", 0),
    ("SELECT 1.0", "SELECT 1.0000001", 0),
    ("SELECT 10, '10/'", "SELECT 10.0, '10/'", 0),  # sorted as text, the two rows do not meet
    ("SELECT 10, '1'", "SELECT 10.0, '1'", 1),
    ("SELECT NULL", "SELECT ''", 0),
    ("SELECT x'61'", "SELECT 'a'", 0),
    (YEARS, "SELECT year FROM concert UNION ALL SELECT '2014'", 0),
    # Two empty results are equal whatever their columns, and whatever is not a query gives one.
    (EMPTY, "SELECT 1, 2 FROM singer WHERE 0", 1),
    (EMPTY, "-- I do not know", 1),
    (EMPTY, "-- I do not know\0", 0),
    (EMPTY, "/* nothing */", 1),
    (EMPTY, ";", 1),
    (EMPTY, "; SELECT 1", 1),
    (EMPTY, "--\rSELECT 1", 1),
    (NAMES, "-- I do not know", 0),
    (EMPTY, "I do not know", 0),
    (EMPTY, "SELECT nothing FROM singer", 0),
    # Only the first statement counts, found by its semicolon.
    (NAMES, "SELECT name FROM singer; and some prose", 1),
    (NAMES, "SELECT name FROM singer ; SELECT 1", 1),
    (NAMES, "SELECT name FROM singer; # a comment that SQLite does not know", 0),
    (NAMES, "SELECT name FROM singer;\n# the same on a line of its own", 1),
    (NAMES, "SELECT name FROM singer; -- a comment", 1),
    (NAMES, "SELECT name FROM singer;\u00a0 and some prose", 0),
    (NAMES, "SELECT name FROM singer GO", 1),
    (NAMES, "SELECT name FROM singer GO SELECT 1", 1),
    (NAMES, "SELECT name FROM singer go SELECT 1", 0),
    ("SELECT ';' ", "SELECT ';' ; x", 1),
    (NAMES, "SELECT name FROM singer ```", 0),
    (NAMES, "\ufeffSELECT name FROM singer", 1),
    (NAMES, "SELECT\u00a0name FROM singer", 0),
    (NAMES, "SELECT name FROM singer /* never closed", 1),
    # A backslash keeps a quote inside its literal for the official evaluator, not for SQLite.
    ("SELECT 1", r"SELECT '\' != 'DISTINCT'", 1),
    ("SELECT 1", r"SELECT '\' = '' OR 'DISTINCT' = ''", 1),
    ("SELECT 1", r"SELECT length('\')", 1),
    ("SELECT '; '", r"SELECT '; ' WHERE '\' != ''; SELECT 2", 1),
    ("SELECT 'it''s; DISTINCT'", "SELECT 'it''s; DISTINCT'", 1),
    # Split comparison signs are joined, in literals too; YEAR(CURDATE()) is 2020.
    (RIO, "SELECT name FROM singer WHERE country ! = 'Portugal'", 1),
    ("SELECT '> ='", "SELECT '>='", 1),
    ("SELECT 2014", "SELECT YEAR( curdate() ) - 6", 1),
    ("SELECT '2020'", "SELECT 'YEAR(CURDATE())'", 1),
    # The word "value" is left alone by eval_exec_match.
    ("SELECT 'value'", "SELECT 'value'", 1),
    ("SELECT 'value'", "SELECT '1'", 0),
    # A word glued to a number is a word of its own; GO beside a point or a bracket is a name.
    ("SELECT 1500.0", "SELECT 1.5e3DISTINCT", 1),
    ("SELECT 31", "SELECT 0x1FGO and the rest", 1),
    (NAMES, "SELECT name FROM singer GO. # and the rest", 0),
    ("SELECT '0.67'", "SELECT printf('%.2f', 2.0 / 3)", 1),
    ("SELECT 'Ação'", "WITH x AS (SELECT 'Ação') SELECT * FROM x", 1),
]


@pytest.mark.parametrize(("gold", "prediction", "official"), AS_OFFICIAL)
def test_spider_gives_the_official_verdict(
    sandbox: Sandbox, database: Path, gold: str, prediction: str, official: int
) -> None:
    assert spider(sandbox, database, gold, prediction) is bool(official)


def spider(sandbox: Sandbox, database: Path, gold: str, prediction: str) -> bool:
    """The verdict of the rule, from the queries to the end."""
    results = sandbox.run([(database, official_form(gold)), (database, official_form(prediction))])
    return equivalent_spider(*results, ordered="order by" in official_form(gold).lower())


@pytest.mark.parametrize(
    "prediction",
    [
        "",
        " \n\t",
        "DROP TABLE singer",
        "DELETE FROM singer",
        "INSERT INTO singer (name) VALUES ('Zoe')",
        "PRAGMA user_version = 7",
        "ATTACH 'elsewhere.sqlite' AS elsewhere",
        "SELECT randomblob(1000000000)",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n WHERE x = 2",
        "SELECT " + "(" * 2_000 + "1" + ")" * 2_000 + " WHERE 0",
    ],
    ids=lambda sql: sql[:20],
)
def test_what_crashes_hangs_or_writes_in_the_official_evaluator_is_wrong_also_on_an_empty_gold_result(
    sandbox: Sandbox, database: Path, prediction: str
) -> None:
    before = database.read_bytes()
    assert spider(sandbox, database, EMPTY, prediction) is False
    assert database.read_bytes() == before


def test_spider_answers_on_wide_tables_where_the_official_evaluator_tries_all_orders_of_columns(
    sandbox: Sandbox, make_database: Callable[..., Path]
) -> None:
    columns = [f"c{number}" for number in range(40)]
    table = f"CREATE TABLE wide ({', '.join(columns)}); INSERT INTO wide (c3, c5) VALUES (1, 2), (3, 4), (NULL, 6);"
    database = make_database(table, "wide.sqlite")
    backwards = ", ".join(reversed(columns))
    assert spider(sandbox, database, "SELECT * FROM wide", f"SELECT {backwards} FROM wide")
    assert not spider(sandbox, database, "SELECT * FROM wide", f"SELECT {backwards.replace('c5', 'c6')} FROM wide")


def test_bytes_that_are_no_text_are_dropped_as_in_the_official_evaluator(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "broken.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t (x TEXT); INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT));")
    connection.close()
    assert spider(sandbox, path, "SELECT x FROM t", "SELECT t.x FROM t")
    assert spider(sandbox, path, "SELECT x FROM t", "SELECT 'ab'")
    assert not spider(sandbox, path, "SELECT x FROM t", "SELECT 'abc'")


def test_the_replacement_character_itself_is_kept_as_in_the_official_evaluator(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "replaced.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE t (broken TEXT, sound TEXT); INSERT INTO t VALUES (CAST(x'ff' AS TEXT), char(65533));"
    )
    connection.close()
    assert not spider(sandbox, path, "SELECT sound FROM t", "SELECT ''")
    assert not spider(sandbox, path, "SELECT sound FROM t", "SELECT broken FROM t")
    assert spider(sandbox, path, "SELECT broken FROM t", "SELECT ''")
    assert spider(sandbox, path, "SELECT sound FROM t", "SELECT char(65533)")
