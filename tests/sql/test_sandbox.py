"""One adversarial test for each promise of the sandbox."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from contrapeso.errors import DataError, ResourceError, StudyError
from contrapeso.sql import Limits, Result, Sandbox

FOREVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
# Minutes within one step of the virtual machine: looking for two million letters in four million.
SLOW_STEP = (
    "WITH RECURSIVE t(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM t LIMIT 23) "
    "SELECT instr(x, substr(x, 2000000) || 'b') FROM t WHERE length(x) > 4000000"
)


def run_one(sandbox: Sandbox, database: Path, sql: str) -> Result:
    return sandbox.run([(database, sql)])[0]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the condition never came true")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_values_keep_their_storage_class(sandbox: Sandbox, database: Path) -> None:
    result = run_one(sandbox, database, "SELECT 1, 1.0, '1', x'00ff', NULL, 9e999, -9223372036854775808, 'é'")
    assert result == Result(8, ((1, 1.0, "1", b"\x00\xff", None, float("inf"), -(2**63), "é"),))
    assert [type(cell) for cell in result.rows[0][:4]] == [int, float, str, bytes]


def test_an_empty_result_still_has_its_columns(sandbox: Sandbox, database: Path) -> None:
    assert run_one(sandbox, database, "SELECT name, country FROM singer WHERE 0") == Result(2, ())


def test_results_come_in_the_order_of_requests(database: Path) -> None:
    with Sandbox(workers=3, limits=Limits(steps=3_000_000)) as sandbox:
        queries = [FOREVER if number % 7 == 0 else f"SELECT {number}" for number in range(60)]
        results = sandbox.run([(database, sql) for sql in queries])
    for number, result in enumerate(results):
        assert (result.reason, result.rows) == (("timeout", ()) if number % 7 == 0 else ("ok", ((number,),)))


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
        ("SELECT name\0 FROM singer", "syntax"),
        ("SELECT '\ud800'", "syntax"),
        ("SELECT * FROM nobody", "no_such_table"),
        ("SELECT age FROM singer", "no_such_column"),
        ("SELECT singer_id FROM singer JOIN concert", "ambiguous_column"),
        ("SELECT name FROM singer WHERE count(*) > 1", "misuse"),
        ("SELECT abs(1, 2)", "misuse"),
        ("SELECT frobnicate(1)", "misuse"),
        ("SELECT 1 UNION SELECT 1, 2", "misuse"),
        ("SELECT ?", "misuse"),
        ("SELECT 1; SELECT 2", "refused"),
        ("SELECT 1; DROP TABLE singer", "refused"),
        ("; SELECT 1; SELECT 2", "refused"),
    ],
)
def test_a_bad_query_has_its_reason(sandbox: Sandbox, database: Path, sql: str, reason: str) -> None:
    result = run_one(sandbox, database, sql)
    assert (result.reason, result.columns, result.rows) == (reason, 0, ())
    assert result.detail


@pytest.mark.parametrize("sql", ["SELECT 1;", "SELECT 1 -- one\n;\n-- end", "/* a; b */ SELECT 1 ;;", "VALUES (1)"])
def test_comments_and_a_closing_semicolon_are_no_second_statement(sandbox: Sandbox, database: Path, sql: str) -> None:
    assert run_one(sandbox, database, sql).rows == ((1,),)


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'stolen.sqlite' AS stolen",
        "PRAGMA query_only = 0",
        "PRAGMA table_info(singer)",
        "SELECT * FROM pragma_table_info('singer')",
        "DROP TABLE singer",
        "DELETE FROM singer",
        "UPDATE singer SET name = 'x'",
        "INSERT INTO singer VALUES (9, 'x', 'y', 1)",
        "WITH t AS (SELECT 9) INSERT INTO singer SELECT 9, 'x', 'y', 1 FROM t",
        "WITH t AS (SELECT 9) DELETE FROM singer",
        "VACUUM",
        "VACUUM INTO 'stolen.sqlite'",
        "CREATE TEMP TABLE t(x)",
        "CREATE VIEW v AS SELECT 1",
        "BEGIN EXCLUSIVE",
        "REINDEX",
        "ANALYZE",
        "EXPLAIN SELECT 1",
        "SELECT load_extension('evil.so')",
        "SELECT LOAD_EXTENSION('evil.so', 'start')",
        "SELECT printf('%.*c', 1000000000, 'x')",
        "SELECT format('%.*c', 1000000000, 'x')",
        "SELECT zeroblob(1000000000)",
        "SELECT hex(randomblob(1000000000))",
    ],
)
def test_only_reading_is_allowed(sandbox: Sandbox, database: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(database.parent)
    before = digest(database)
    assert run_one(sandbox, database, sql).reason == "refused"
    assert digest(database) == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]


@pytest.mark.parametrize(
    "sql",
    [
        FOREVER,
        "SELECT count(*) FROM " + ", ".join(f"singer AS s{number}" for number in range(30)),
        "SELECT max(s0.name || s1.name) FROM " + ", ".join(f"singer AS s{number}" for number in range(30)),
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT group_concat(x) FROM c",
    ],
)
def test_a_runaway_query_is_stopped_by_its_steps(sandbox: Sandbox, database: Path, sql: str) -> None:
    assert run_one(sandbox, database, sql).reason == "timeout"
    assert run_one(sandbox, database, "SELECT 1").rows == ((1,),)


def test_the_step_budget_decides_at_the_same_count_every_time(database: Path) -> None:
    counting = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {}) SELECT count(*) FROM c"
    queries = [(database, counting.format(rows)) for rows in range(4_000, 12_000, 20)]
    verdicts = []
    for workers in (1, 2):
        with Sandbox(workers=workers, limits=Limits(steps=100_000)) as sandbox:
            verdicts += [[result.reason for result in sandbox.run(queries)] for _ in range(2)]
    assert verdicts[0] == verdicts[1] == verdicts[2] == verdicts[3]
    assert verdicts[0] == sorted(verdicts[0]) and set(verdicts[0]) == {"ok", "timeout"}


def test_a_query_hanging_inside_one_step_is_killed_by_the_clock(database: Path) -> None:
    with Sandbox(workers=1, limits=Limits(seconds=0.5, value_bytes=5_000_000)) as sandbox:
        results = sandbox.run([(database, "SELECT 1"), (database, SLOW_STEP), (database, "SELECT 2")])
    assert [result.reason for result in results] == ["ok", "timeout", "ok"]
    assert "killed" in results[1].detail


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
        "WITH RECURSIVE c(x) AS (SELECT 'abcdefgh' UNION ALL SELECT x || x FROM c) SELECT x FROM c",
        "SELECT replace(hex(hex(hex('" + "a" * 1000 + "'))), '3', '" + "x" * 1000 + "')",
        "SELECT " + ", ".join(["1"] * 2_001),
        "SELECT " + "(" * 5_000 + "1" + ")" * 5_000,
        "SELECT " + " + ".join(["1"] * 1_200),
        "SELECT '" + "a" * 1_000_000 + "'",
        "SELECT 1 " * 111_111,
        "SELECT 1 " + "UNION ALL SELECT 1 " * 600,
    ],
)
def test_what_is_too_large_is_refused(sandbox: Sandbox, database: Path, sql: str) -> None:
    assert run_one(sandbox, database, sql).reason == "too_large"
    assert run_one(sandbox, database, "SELECT 1").rows == ((1,),)


def test_memory_of_a_query_is_bounded(database: Path) -> None:
    sorting = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000) "
        "SELECT count(*) FROM (SELECT DISTINCT x || hex('" + "a" * 5_000 + "') FROM c)"
    )
    with Sandbox(workers=1, limits=Limits(memory_megabytes=128)) as sandbox:
        results = sandbox.run([(database, sorting), (database, "SELECT 1")])
    assert [result.reason for result in results] == ["too_large", "ok"]


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads the limits of a process from /proc")
def test_a_query_cannot_write_temporary_files(database: Path) -> None:
    with Sandbox(workers=1) as sandbox:
        run_one(sandbox, database, "SELECT 1")
        limits = Path(f"/proc/{sandbox._workers[0].pid}/limits").read_text().splitlines()
    assert next(line for line in limits if line.startswith("Max file size")).split()[3:5] == ["0", "0"]


def test_text_that_is_not_utf8_is_read_with_replacement(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database("CREATE TABLE t(x); INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT));")
    assert run_one(sandbox, path, "SELECT x FROM t").rows == (("a\ufffdb",),)


def test_a_path_with_special_signs_is_the_file_it_names(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database(name="a?mode=rw#%20 b.sqlite")
    assert run_one(sandbox, path, "SELECT count(*) FROM singer").rows == ((3,),)


def test_a_database_written_anew_is_read_anew(make_database: Callable[..., Path], sandbox: Sandbox) -> None:
    path = make_database("CREATE TABLE t(x); INSERT INTO t VALUES (1);")
    assert run_one(sandbox, path, "SELECT x FROM t").rows == ((1,),)
    path.unlink()
    make_database("CREATE TABLE t(x); INSERT INTO t VALUES (2);")
    assert run_one(sandbox, path, "SELECT x FROM t").rows == ((2,),)


def test_a_worker_killed_mid_query_costs_no_result(database: Path) -> None:
    counting = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 3000000) SELECT count(*) FROM c"
    with Sandbox(workers=1) as sandbox:
        sandbox.run([(database, "SELECT 1")])
        victim = sandbox._workers[0].pid
        threading.Timer(0.1, os.kill, (victim, signal.SIGKILL)).start()
        results = sandbox.run([(database, counting), (database, "SELECT 2")])
        assert sandbox._workers[0].pid != victim
    assert [result.rows for result in results] == [((3_000_000,),), ((2,),)]


def test_a_worker_killed_while_idle_is_replaced(database: Path) -> None:
    with Sandbox(workers=1) as sandbox:
        for _ in range(3):
            assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)
            pid = sandbox._workers[0].pid
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not is_running(pid))


def test_a_query_that_always_kills_its_worker_is_reported_as_crashed(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contrapeso.sql import process

    send = process.WorkerProcess.send

    def send_and_kill(worker: process.WorkerProcess, job: process.Job) -> bool:
        sent = send(worker, job)
        if "666" in job.sql:
            os.kill(worker.pid, signal.SIGKILL)
        return sent

    monkeypatch.setattr(process.WorkerProcess, "send", send_and_kill)
    requests = [(database, "SELECT 1"), (database, FOREVER + " -- 666"), (database, "SELECT 2")]
    with Sandbox(workers=2) as sandbox:
        results = sandbox.run(requests)
    assert [result.reason for result in results] == ["ok", "crashed", "ok"]


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


def test_closing_ends_the_workers_and_a_later_run_starts_new_ones(database: Path) -> None:
    with Sandbox(workers=2) as sandbox:
        sandbox.run([(database, f"SELECT {number}") for number in range(10)])
        pids = [worker.pid for worker in sandbox._workers]
    assert len(pids) == 2 and not any(map(is_running, pids))
    assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)
    sandbox.close()


def test_a_worker_that_cannot_start_is_a_resource_error_and_blames_no_query(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrapeso.sql.process._WORKER", database)  # no Python script
    with Sandbox(workers=1) as sandbox, pytest.raises(ResourceError, match="does not start"):
        sandbox.run([(database, "SELECT 1")])


@pytest.mark.parametrize("limit", [{"memory_megabytes": 20}, {"steps": 0}, {"seconds": -1.0}])
def test_limits_under_which_nothing_can_run_are_refused(limit: dict[str, float]) -> None:
    with pytest.raises(StudyError, match=next(iter(limit))):
        Limits(**limit)


PARENT = """
import sys, threading
from pathlib import Path
from contrapeso.sql import Limits, Sandbox
sandbox = Sandbox(workers=2, limits=Limits(steps=10**15, seconds=600))
database = Path(sys.argv[1])
sandbox.run([(database, "SELECT 1"), (database, "SELECT 2")])
sandbox._start()
print(*[worker.pid for worker in sandbox._workers], flush=True)
sandbox.run([(database, sys.argv[2])])
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_workers_idle_and_busy_end_with_their_parent(database: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(database), FOREVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None and parent.stderr is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) >= 2
        time.sleep(0.3)  # time for the runaway query to start
        parent.send_signal(end)
        error = parent.stderr.read()
    wait_until(lambda: not any(map(is_running, pids)))
    if end == signal.SIGINT:
        assert error.count("KeyboardInterrupt") == 1


def test_a_script_without_main_guard_can_use_a_sandbox(database: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom contrapeso.sql import Sandbox\n"
        f"with Sandbox(workers=2) as sandbox:\n"
        f"    print(sandbox.run([(Path({str(database)!r}), 'SELECT 42')])[0].rows)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "((42,),)"
