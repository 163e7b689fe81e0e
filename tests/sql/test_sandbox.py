"""What comes out of the sandbox: values, reasons, and errors about databases. See the neighbours for attacks."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.hostile_sql import numbers
from contrapeso.errors import DataError, StudyError
from contrapeso.sql import Limits, Result, Sandbox


def run_one(sandbox: Sandbox, database: Path, sql: str) -> Result:
    return sandbox.run([(database, sql)])[0]


def test_values_keep_their_storage_class(sandbox: Sandbox, database: Path) -> None:
    result = run_one(sandbox, database, "SELECT 1, 1.0, '1', x'00ff', NULL, 9e999, -9223372036854775808, 'é'")
    assert result == Result(8, ((1, 1.0, "1", b"\x00\xff", None, float("inf"), -(2**63), "é"),))
    assert [type(cell) for cell in result.rows[0][:4]] == [int, float, str, bytes]


def test_an_empty_result_still_has_its_columns(sandbox: Sandbox, database: Path) -> None:
    assert run_one(sandbox, database, "SELECT name, country FROM singer WHERE 0") == Result(2, ())


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "empty"),
        (" ; -- nothing here\n /* nor here */ ;", "empty"),
        ("The answer is SELECT 1", "not_sql"),
        ("```sql\nSELECT 1\n```", "not_sql"),
        ("SELECT name FRM singer", "syntax"),
        ("SELECT (1", "syntax"),
        ("SELECT 'a", "syntax"),
        ("SELECT 0xfffffffffffffffff", "syntax"),
        ("SELECT * FROM nobody", "unknown_table"),
        ("SELECT age FROM singer", "unknown_column"),
        ("SELECT singer_id FROM singer JOIN concert", "ambiguous_column"),
        ("SELECT name FROM singer WHERE count(*) > 1", "misuse"),
        ("SELECT abs(1, 2)", "misuse"),
        ("SELECT frobnicate(1)", "misuse"),
        ("SELECT 1 UNION SELECT 1, 2", "misuse"),
        ("SELECT ?", "misuse"),
        ("SELECT 1; SELECT 2", "refused"),
        ("; SELECT 1; SELECT 2", "refused"),
    ],
)
def test_a_bad_query_has_its_reason(sandbox: Sandbox, database: Path, sql: str, reason: str) -> None:
    result = run_one(sandbox, database, sql)
    assert (result.reason, result.columns, result.rows) == (reason, 0, ())
    assert result.detail


@pytest.mark.parametrize(
    "sql", ["SELECT 1;", "SELECT 1 -- one\n;\n-- end", "/* a; b */ SELECT 1 ;;", "VALUES (1)", "\ufeffSELECT 1"]
)
def test_comments_and_a_closing_semicolon_are_no_second_statement(sandbox: Sandbox, database: Path, sql: str) -> None:
    assert run_one(sandbox, database, sql).rows == ((1,),)


def test_text_that_is_not_utf8_is_read_with_replacement(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database("CREATE TABLE t(x); INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT));")
    assert run_one(sandbox, path, "SELECT x FROM t").rows == (("a\ufffdb",),)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("printf('%.2f', 2.0 / 3)", "0.67"),
        ("format('%s-%04d', 'a', 7)", "a-0007"),
        ("zeroblob(3)", b"\0\0\0"),
        ("printf('%*d', 1000000000, 1)", None),  # a text past the limit is NULL
        ("printf('%.1000000000f', 1.0)", None),
        ("printf('%.*c', 10000000, 'x')", None),
        ("length(printf('%*s', 199999, 'a'))", 199_999),
    ],
)
def test_printf_format_and_zeroblob_give_what_fits_the_limit_on_lengths(
    sandbox: Sandbox, database: Path, call: str, value: object
) -> None:
    assert run_one(sandbox, database, f"SELECT {call}").rows == ((value,),)


def test_sqlite_itself_may_take_half_of_the_memory_of_a_worker(database: Path) -> None:
    # Texts of 20,000 letters to sort, 40 MB of them and 600 MB: these would still fit the address space.
    sorting = "SELECT max(x) FROM (SELECT hex(zeroblob(10000)) || i AS x FROM {} ORDER BY 1 LIMIT 9 OFFSET {})"
    with Sandbox(workers=1, limits=Limits(memory_megabytes=1_024)) as roomy:
        few, many = [roomy.run([(database, sorting.format(numbers(n), n - 1))])[0] for n in (2_000, 30_000)]
    assert (few.reason, many.reason, many.detail) == ("ok", "too_large", "the query needs more memory than the limit")


def test_a_like_pattern_may_have_a_thousand_bytes(sandbox: Sandbox, database: Path) -> None:
    results = sandbox.run([(database, f"SELECT 'b' LIKE '{'a' * length}'") for length in (1_000, 1_001)])
    assert [result.reason for result in results] == ["ok", "too_large"]


def test_a_path_with_special_signs_is_the_file_it_names(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database(name="a?mode=rw#%20 b.sqlite")
    assert run_one(sandbox, path, "SELECT count(*) FROM singer").rows == ((3,),)


def test_a_database_written_anew_is_read_anew(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database("CREATE TABLE t(x); INSERT INTO t VALUES (1);")
    assert run_one(sandbox, path, "SELECT x FROM t").rows == ((1,),)
    path.unlink()
    make_database("CREATE TABLE t(x); INSERT INTO t VALUES (2);")
    assert run_one(sandbox, path, "SELECT x FROM t").rows == ((2,),)


@pytest.mark.parametrize("content", [b"", b"not a database at all, by far", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_broken_database_is_a_data_error_that_names_it(tmp_path: Path, sandbox: Sandbox, content: bytes) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"broken\.sqlite"):
        run_one(sandbox, path, "SELECT * FROM t")


def test_a_damaged_page_is_a_data_error(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database("CREATE TABLE t(x);" + "INSERT INTO t VALUES (hex(zeroblob(3000)));" * 5)
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 4096 + path.read_bytes()[8192:])
    with pytest.raises(DataError, match=r"music\.sqlite"):
        run_one(sandbox, path, "SELECT * FROM t")


def test_a_missing_database_is_a_data_error_that_names_it(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(DataError, match=r"nowhere\.sqlite"):
        run_one(sandbox, tmp_path / "nowhere.sqlite", "SELECT 1")
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_a_database_with_unmerged_changes_is_a_data_error(database: Path, sandbox: Sandbox) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("DELETE FROM singer")
    connection.commit()
    with pytest.raises(DataError, match="wal"):
        run_one(sandbox, database, "SELECT count(*) FROM singer")
    connection.close()


def test_a_database_in_the_middle_of_a_transaction_is_a_data_error(database: Path, sandbox: Sandbox) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = PERSIST")
    connection.execute("PRAGMA cache_size = 5")  # so few pages that the file is written to before the end
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM singer")
    connection.executemany("INSERT INTO concert (year) VALUES (?)", [("x" * 1000,)] * 200)
    with pytest.raises(DataError, match="-journal"):
        run_one(sandbox, database, "SELECT count(*) FROM singer")
    connection.execute("COMMIT")
    connection.close()
    assert database.with_name(database.name + "-journal").stat().st_size > 0
    assert run_one(sandbox, database, "SELECT count(*) FROM singer").rows == ((0,),)


def test_a_column_name_that_is_not_utf8_is_no_syntax_error(
    make_database: Callable[..., Path], sandbox: Sandbox
) -> None:
    path = make_database("CREATE TABLE t(size INT, zzzz INT); INSERT INTO t VALUES (1, 2);")
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"z\xe9zz"))
    assert run_one(sandbox, path, "SELECT size FROM t").rows == ((1,),)
    result = run_one(sandbox, path, "SELECT * FROM t")
    assert (result.reason, "not UTF-8" in result.detail) == ("error", True)


@pytest.mark.parametrize("sql", ["SELECT '" + "é" * 150_000, "SELECT " + "x" * 150_000, "y" * 150_000])
def test_the_detail_of_a_reason_stays_short(sandbox: Sandbox, database: Path, sql: str) -> None:
    assert 0 < len(run_one(sandbox, database, sql).detail) <= 300


def test_text_counts_as_much_as_it_takes_in_memory(sandbox: Sandbox, database: Path) -> None:
    texts = "WITH RECURSIVE t(x) AS (SELECT '{}' UNION ALL SELECT x || x FROM t LIMIT 17) SELECT x FROM t"
    assert sandbox.limits.result_bytes == 300_000  # the texts have 131,071 characters
    assert [run_one(sandbox, database, texts.format(letter)).reason for letter in "eé"] == ["ok", "too_large"]


def test_a_sandbox_without_workers_is_refused() -> None:
    with pytest.raises(StudyError, match="workers=0"):
        Sandbox(workers=0)


@pytest.mark.parametrize("limit", [{"memory_megabytes": 20}, {"steps": 0}, {"seconds": -1.0}])
def test_limits_under_which_nothing_can_run_are_refused(limit: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=next(iter(limit))):
        Limits(**limit)
