"""Queries that set out to hang, fill, crash or change something, each with the one reason it must end with.

Used by `benchmarks.sandbox_fuzz` and by the tests of the sandbox. `build_database` makes the file they attack.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple


class Hostile(NamedTuple):
    """One attack: what it tries, the reason it must end with, and its text."""

    promise: str
    reason: str
    sql: str


def numbers(count: int) -> str:
    """A subquery with the numbers from 1 to `count` in a column `i`."""
    return f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {count}) SELECT i FROM n)"


def doubling(body: str, levels: int) -> str:
    """A chain of named subqueries that each read the one before twice: twice as much to compile per level."""
    chain = ", ".join(f"c{level} AS ({body.format(f'c{level - 1}')})" for level in range(1, levels))
    return f"WITH c0 AS (SELECT 1 AS x), {chain} SELECT count(*) FROM c{levels - 1}"


LONG_TEXT = "(WITH RECURSIVE t(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM t LIMIT 18) SELECT max(x) FROM t)"
"""A subquery that gives 131,072 letters."""

NESTED_PRINTF = "printf('%s%*d', printf('%s%*d', printf('%*d', 60000, i), 60000, i), 60000, i)"
"""A call that gives 180,000 letters."""

_RUNAWAY = (
    ("recursion without end", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"),
    ("recursion that gives rows nobody reads", "SELECT max(i) FROM " + numbers(10**12)),
    ("cross join of 10^12 rows", f"SELECT count(*) FROM {numbers(10**6)} a, {numbers(10**6)} b"),
    ("cross join of one table with itself", "SELECT count(*) FROM " + ", ".join(f"singer s{n}" for n in range(26))),
    (
        "cross join by outer joins",
        "SELECT count(*) FROM singer" + "".join(f" LEFT JOIN singer s{n}" for n in range(26)),
    ),
    (
        "quadratic window frame",
        "SELECT max(m) FROM (SELECT nth_value(i, 2) OVER (ORDER BY i RANGE BETWEEN 50000 PRECEDING AND 50000 FOLLOWING "
        f"EXCLUDE TIES) AS m FROM {numbers(10**6)})",
    ),
    (
        "correlated subqueries",
        f"SELECT count(*) FROM {numbers(10**5)} a WHERE (SELECT sum(i * a.i) FROM {numbers(10**5)}) < 0",
    ),
    ("text functions over millions of rows", f"SELECT sum(length(upper(hex(i)))) FROM {numbers(10**8)}"),
    ("dates over millions of rows", f"SELECT max(strftime('%Y-%j %f', i)) FROM {numbers(10**8)}"),
    (
        "looking for long text in long text",
        f"SELECT sum(instr(x, substr(x, 1, 60000) || i)) FROM {numbers(10**6)}, (SELECT {LONG_TEXT} AS x)",
    ),
    (
        "LIKE that starts anew at every letter",
        f"SELECT sum({LONG_TEXT} LIKE '%{'a' * 900}b%' || i) FROM {numbers(10**6)}",
    ),
    (
        "GLOB that starts anew at every letter",
        f"SELECT sum({LONG_TEXT} GLOB '*{'[a-z]' * 150}b*' || i) FROM {numbers(10**6)}",
    ),
    ("printf that counts to a billion many times", f"SELECT printf('{'%.*c' * 50}'{', 1000000000, 1' * 50})"),
    (
        "format that counts to a billion in every row",
        f"SELECT sum(format('%.*c', 1e9, i) IS NULL) FROM {numbers(10**8)}",
    ),
    (
        "printf of long text over millions of rows",
        f"SELECT sum(length(printf('%*d', 199999, i))) FROM {numbers(10**8)}",
    ),
    ("printf inside printf over millions of rows", f"SELECT sum(length({NESTED_PRINTF})) FROM {numbers(10**8)}"),
    ("zeroblobs over millions of rows", f"SELECT sum(length(hex(zeroblob(99999 - i % 2)))) FROM {numbers(10**8)}"),
    ("replacing in long text", f"SELECT sum(length(replace({LONG_TEXT} || i, 'aaaaaaab', 'c'))) FROM {numbers(10**7)}"),
)
_TOO_LARGE = (
    ("ten million rows", "SELECT i FROM " + numbers(10**7)),
    ("few rows of long text", f"SELECT {LONG_TEXT} FROM {numbers(1000)}"),
    ("few rows of long blobs", f"SELECT CAST({LONG_TEXT} AS BLOB) FROM {numbers(1000)}"),
    ("few rows of many columns", f"SELECT {', '.join('i' for _ in range(1900))} FROM {numbers(1000)}"),
    ("text that doubles", "WITH RECURSIVE c(x) AS (SELECT 'ab' UNION ALL SELECT x || x FROM c) SELECT max(x) FROM c"),
    ("group_concat of a long text", "SELECT length(group_concat(i)) FROM " + numbers(10**5)),
    ("json_group_array of a long text", "SELECT length(json_group_array(i)) FROM " + numbers(10**5)),
    ("replace that multiplies", f"SELECT replace({LONG_TEXT}, 'a', '{'x' * 1000}')"),
    ("zeroblob of a gigabyte", "SELECT zeroblob(1000000000)"),
    ("zeroblob of a gigabyte as text", "SELECT printf('%s', zeroblob(1e9))"),
    ("few rows of zeroblobs", f"SELECT zeroblob(150000) FROM {numbers(1000)}"),
    ("few rows of padded text", f"SELECT printf('%*d', 150000, i) FROM {numbers(1000)}"),
    ("hex that doubles", f"SELECT hex(hex({LONG_TEXT}))"),
    (
        "distinct rows that fill the memory",
        f"SELECT count(*) FROM (SELECT DISTINCT {LONG_TEXT} || i FROM {numbers(10**5)})",
    ),
    (
        "sorted rows that fill the memory",
        f"SELECT max(x) FROM (SELECT {LONG_TEXT} || i AS x FROM {numbers(10**5)} ORDER BY 1 LIMIT 9 OFFSET 9999)",
    ),
    ("subqueries that double while compiled", doubling("SELECT a.x FROM {0} a, {0} b LIMIT 1", 200)),
    ("unions that double while compiled", doubling("SELECT x FROM {0} UNION SELECT x FROM {0}", 200)),
    ("a LIKE pattern of 100,000 wildcards", f"SELECT {LONG_TEXT} LIKE '{'%a' * 50_000}b'"),
    ("a GLOB pattern of 50,000 wildcards", f"SELECT {LONG_TEXT} GLOB '{'*a' * 25_000}b'"),
    ("nested parentheses", "SELECT " + "(" * 50_000 + "1" + ")" * 50_000),
    ("nested subqueries", "SELECT " + "(SELECT " * 5_000 + "1" + ")" * 5_000),
    ("nested subqueries in FROM", "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "singer" + ")" * 5_000),
    ("nested EXISTS", "SELECT 1 WHERE " + "EXISTS (SELECT 1 WHERE " * 5_000 + "1" + ")" * 5_000),
    ("nested CASE", "SELECT " + "CASE WHEN 1 THEN " * 5_000 + "1" + " END" * 5_000),
    ("a chain of operators", "SELECT 1" + " + 1" * 40_000),
    ("a chain of NOT", "SELECT " + "NOT " * 40_000 + "1"),
    ("many columns", "SELECT " + ", ".join(["1"] * 50_000)),
    ("many tables", "SELECT 1 FROM " + ", ".join(f"singer s{number}" for number in range(500))),
    ("many unions", "SELECT 1" + " UNION SELECT 1" * 10_000),
    ("a megabyte of SQL", "SELECT '" + "a" * 1_000_000 + "'"),
    ("a megabyte of comment", "SELECT 1 --" + "a" * 1_000_000),
    ("a megabyte of semicolons", ";" * 1_000_000),
)
_REFUSED = (
    ("randomblob of a gigabyte", "SELECT hex(randomblob(1e9))"),
    ("extension", "SELECT load_extension('evil.so')"),
    ("extension with an entry point, in capitals", "SELECT LOAD_EXTENSION('evil.so', 'start')"),
    ("extension through a view of the file", "SELECT * FROM loading_view"),
    ("address of a tokenizer of fts3", "SELECT fts3_tokenizer('simple')"),
    ("tokenizer of fts3 from an address", "SELECT fts3_tokenizer('evil', x'4141414141414141')"),
    ("ATTACH a new file", "ATTACH 'stolen.sqlite' AS stolen"),
    ("DETACH", "DETACH main"),
    ("PRAGMA that allows writing", "PRAGMA query_only = 0"),
    ("PRAGMA that opens the schema", "PRAGMA writable_schema = 1"),
    ("PRAGMA that only reads", "PRAGMA table_info(singer)"),
    ("PRAGMA as a table", "SELECT * FROM pragma_table_info('singer')"),
    ("PRAGMA as a table that changes a setting", "SELECT * FROM pragma_journal_mode('wal')"),
    ("writing the schema", "UPDATE sqlite_master SET sql = 'x'"),
    ("writing the schema behind WITH", "WITH t AS (SELECT 1) UPDATE sqlite_master SET sql = 'x'"),
    ("VACUUM", "VACUUM"),
    ("VACUUM INTO a new file", "VACUUM INTO 'stolen.sqlite'"),
    ("DROP", "DROP TABLE singer"),
    ("DROP behind a comment", "/* SELECT */ DROP TABLE singer"),
    ("DROP behind a SELECT", "SELECT 1; DROP TABLE singer"),
    ("DROP behind a semicolon", "; DROP TABLE singer"),
    ("DELETE", "DELETE FROM singer"),
    ("DELETE behind WITH", "WITH t AS (SELECT 9) DELETE FROM singer WHERE id IN t"),
    ("DELETE with RETURNING", "WITH t AS (SELECT 9) DELETE FROM singer RETURNING *"),
    ("UPDATE behind WITH", "WITH t AS (SELECT 9) UPDATE singer SET name = 'x'"),
    ("INSERT behind WITH", "WITH t AS (SELECT 9) INSERT INTO singer SELECT 9, 'x', 'y', 1 FROM t"),
    ("REPLACE behind WITH", "WITH t AS (SELECT 9) REPLACE INTO singer SELECT 1, 'x', 'y', 1 FROM t"),
    ("UPDATE", "UPDATE singer SET name = 'x'"),
    ("INSERT", "INSERT INTO singer VALUES (9, 'x', 'y', 1)"),
    ("REPLACE", "REPLACE INTO singer VALUES (1, 'x', 'y', 1)"),
    ("ALTER", "ALTER TABLE singer RENAME TO loser"),
    ("temporary table", "CREATE TEMP TABLE t AS SELECT * FROM singer"),
    ("temporary view", "CREATE TEMP VIEW t AS SELECT 1"),
    ("temporary trigger", "CREATE TEMP TRIGGER t AFTER INSERT ON singer BEGIN SELECT 1; END"),
    ("virtual table", "CREATE VIRTUAL TABLE t USING fts5(x)"),
    ("transaction", "BEGIN EXCLUSIVE"),
    ("COMMIT", "COMMIT"),
    ("SAVEPOINT", "SAVEPOINT s"),
    ("REINDEX", "REINDEX"),
    ("ANALYZE", "ANALYZE"),
    ("EXPLAIN", "EXPLAIN SELECT 1"),
    ("EXPLAIN QUERY PLAN", "EXPLAIN QUERY PLAN SELECT 1"),
    ("fts5 table of the file", "SELECT * FROM notes5 WHERE notes5 MATCH 'a* OR b*'"),
    ("fts4 table of the file", "SELECT snippet(notes4), matchinfo(notes4) FROM notes4 WHERE notes4 MATCH 'a'"),
    ("fts5 command", "WITH t AS (SELECT 1) INSERT INTO notes5(notes5) VALUES ('optimize')"),
    ("vocabulary of fts5", "SELECT * FROM words"),
    ("rtree table of the file", "SELECT * FROM boxes"),
    ("check of an rtree", "SELECT rtreecheck('boxes')"),
    ("json_each, whose code counts no steps", "SELECT count(*) FROM json_each('[1,2]') a, json_each('[1,2]') b"),
    ("pages of the file", "SELECT * FROM dbstat"),
    ("statements of the connection", "SELECT * FROM sqlite_stmt"),
)
_OTHER = (
    ("table of numbers that is not there", "unknown_table", "SELECT count(*) FROM generate_series(1, 1000000000000)"),
    ("file function of the shell", "misuse", "SELECT writefile('stolen.txt', 'x')"),
    ("another file function of the shell", "misuse", "SELECT readfile('/etc/passwd')"),
    ("NUL byte", "syntax", "SELECT name\0 FROM singer"),
    ("NUL byte after the end", "syntax", "SELECT 1;\0 DROP TABLE singer"),
    ("nothing but a NUL byte", "syntax", "\0"),
    ("half of a surrogate pair", "syntax", "SELECT '\ud800'"),
    ("bytes that were no UTF-8", "syntax", b"SELECT '\xff\xfe'".decode("utf-8", "surrogateescape")),
    ("an open quote", "syntax", "SELECT '" + "''" * 50_000),
    ("an open comment", "empty", "/*" + "*" * 100_000),
    ("open comments in a row", "empty", "/*/" * 50_000),
    ("nothing but semicolons", "empty", ";" * 100_000),
    ("nothing but comments", "empty", "-- one\n/* two */ ; -- three"),
    ("noise", "not_sql", "\x01\x02\ufffd\U0001f4a3" * 1_000),
    ("a name of 100,000 letters", "unknown_column", "SELECT " + "a" * 100_000),
    ("an integer that overflows", "error", "SELECT abs(-9223372036854775807 - 1)"),
    ("names that define each other", "error", "WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a"),
)

HOSTILE = (
    *(Hostile(promise, "timeout", sql) for promise, sql in _RUNAWAY),
    *(Hostile(promise, "too_large", sql) for promise, sql in _TOO_LARGE),
    *(Hostile(promise, "refused", sql) for promise, sql in _REFUSED),
    *(Hostile(promise, reason, sql) for promise, reason, sql in _OTHER),
)

_DATABASE = """
CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT, country TEXT, w REAL);
INSERT INTO singer VALUES (1, 'Ana', 'Brasil', 60.5), (2, 'Rui', 'Portugal', NULL), (3, 'Eva', 'Brasil', 70.0);
CREATE TABLE odd (label TEXT, doubled INT GENERATED ALWAYS AS (length(label) * 2));
INSERT INTO odd (label) VALUES (CAST(x'61ff62' AS TEXT)), ('b' || char(0) || 'c');
CREATE VIEW loading_view AS SELECT load_extension('evil.so') AS loaded;
CREATE VIEW broken_view AS SELECT * FROM nowhere;
CREATE TRIGGER changing AFTER INSERT ON singer BEGIN DELETE FROM odd; END;
CREATE VIRTUAL TABLE notes5 USING fts5(body);
CREATE VIRTUAL TABLE notes4 USING fts4(body);
CREATE VIRTUAL TABLE words USING fts5vocab(notes5, 'row');
CREATE VIRTUAL TABLE boxes USING rtree(id, low, high);
INSERT INTO notes5 VALUES ('a b'); INSERT INTO notes4 VALUES ('a b'); INSERT INTO boxes VALUES (1, 0, 1);
"""


def build_database(path: Path) -> None:
    """Make the file under attack, in WAL mode: opened carelessly, even a reader would leave files beside it."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_DATABASE)
    connection.close()
