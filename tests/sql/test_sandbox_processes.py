"""The worker processes of the sandbox: killed, hanging, crashing, abandoned; never one query's trouble for another."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from contrapeso.errors import DataError, ResourceError
from contrapeso.sql import Limits, Sandbox, judge_sql
from contrapeso.sql.process import Job, WorkerProcess

FOREVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
# Minutes within one step of the virtual machine: looking for two million letters in four million.
SLOW_STEP = (
    "WITH RECURSIVE t(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM t LIMIT 23) "
    "SELECT instr(x, substr(x, 2000000) || 'b') FROM t WHERE length(x) > 4000000"
)


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


def signal_workers(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """Make every job with 666 in it send a signal to its own worker."""
    send = WorkerProcess.send

    def signal_and_send(worker: WorkerProcess, job: Job) -> None:
        if "666" in job.sql:
            os.kill(worker.pid, number)
        send(worker, job)

    monkeypatch.setattr(WorkerProcess, "send", signal_and_send)


@contextlib.contextmanager
def nothing_leaks() -> Iterator[None]:
    """Check that the block leaves as many child processes and open files as it found."""
    this = psutil.Process()
    before = this.num_fds(), this.children(recursive=True)
    yield
    assert (this.num_fds(), this.children(recursive=True)) == before


def test_results_come_in_the_order_of_requests(database: Path) -> None:
    with Sandbox(workers=3, limits=Limits(steps=3_000_000)) as sandbox:
        queries = [FOREVER if number % 7 == 0 else f"SELECT {number}" for number in range(60)]
        results = sandbox.run([(database, sql) for sql in queries])
    for number, result in enumerate(results):
        assert (result.reason, result.rows) == (("timeout", ()) if number % 7 == 0 else ("ok", ((number,),)))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(cpu_seconds=0.5, value_bytes=5_000_000), "processor time"),
        (Limits(seconds=0.5, value_bytes=5_000_000), "killed"),
    ],
)
def test_a_query_hanging_inside_one_step_is_killed(database: Path, limits: Limits, words: str) -> None:
    with Sandbox(workers=1, limits=limits) as sandbox:
        results = sandbox.run([(database, "SELECT 1"), (database, SLOW_STEP), (database, "SELECT 2")])
    assert [result.reason for result in results] == ["ok", "timeout", "ok"]
    assert words in results[1].detail


def test_the_timer_works_when_the_parent_ignores_its_signal(database: Path) -> None:
    old = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    try:
        with Sandbox(workers=1, limits=Limits(cpu_seconds=0.2, value_bytes=5_000_000)) as sandbox:
            result = sandbox.run([(database, SLOW_STEP)])[0]
    finally:
        signal.signal(signal.SIGPROF, old)
    assert (result.reason, "processor time" in result.detail) == ("timeout", True)


@pytest.mark.parametrize("padding", [0, 180_000])  # more than a pipe holds: the parent must not wait for ever to write
def test_a_worker_that_stops_answering_is_killed(database: Path, monkeypatch: pytest.MonkeyPatch, padding: int) -> None:
    signal_workers(monkeypatch, signal.SIGSTOP)
    requests = [(database, "SELECT 1"), (database, "SELECT 666 --" + "x" * padding), (database, "SELECT 2")]
    with Sandbox(workers=2, limits=Limits(seconds=0.5)) as sandbox:
        assert [result.reason for result in sandbox.run(requests)] == ["ok", "timeout", "ok"]


def test_the_step_budget_decides_at_the_same_count_every_time(database: Path) -> None:
    counting = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT {}) SELECT count(*) FROM c"
    queries = [(database, counting.format(rows)) for rows in range(4_000, 12_000, 20)]
    verdicts = []
    for workers in (1, 2):
        with Sandbox(workers=workers, limits=Limits(steps=100_000)) as sandbox:
            verdicts += [[result.reason for result in sandbox.run(queries)] for _ in range(2)]
    assert verdicts[0] == verdicts[1] == verdicts[2] == verdicts[3]
    assert verdicts[0] == sorted(verdicts[0]) and set(verdicts[0]) == {"ok", "timeout"}


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads the limits of a process from /proc")
def test_a_query_cannot_write_temporary_files(database: Path) -> None:
    with Sandbox(workers=1) as sandbox:
        sandbox.run([(database, "SELECT 1")])
        limits = Path(f"/proc/{sandbox._workers[0].pid}/limits").read_text().splitlines()
    assert next(line for line in limits if line.startswith("Max file size")).split()[3:5] == ["0", "0"]


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
    signal_workers(monkeypatch, signal.SIGKILL)
    requests = [(database, "SELECT 1"), (database, FOREVER + " -- 666"), (database, "SELECT 2")]
    with Sandbox(workers=2) as sandbox:
        results = sandbox.run(requests)
    assert [result.reason for result in results] == ["ok", "crashed", "ok"]


def test_closing_ends_the_workers_and_a_later_run_starts_new_ones(database: Path) -> None:
    with Sandbox(workers=2) as sandbox:
        sandbox.run([(database, f"SELECT {number}") for number in range(10)])
        pids = [worker.pid for worker in sandbox._workers]
    assert len(pids) == 2 and not any(map(is_running, pids))
    assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)
    sandbox.close()


def test_nothing_leaks_when_workers_are_killed_again_and_again(database: Path) -> None:
    with nothing_leaks(), Sandbox(workers=2, limits=Limits(cpu_seconds=0.05, value_bytes=5_000_000)) as sandbox:
        results = sandbox.run([(database, SLOW_STEP)] * 8)
        assert {result.reason for result in results} == {"timeout"}


def test_nothing_leaks_when_a_database_is_broken(database: Path) -> None:
    broken = database.with_name("broken.sqlite")
    broken.write_bytes(database.read_bytes()[:100] + b"\xff" * 5_000)
    sandbox = Sandbox(workers=2)
    with nothing_leaks(), pytest.raises(DataError, match=r"broken\.sqlite"):
        sandbox.run([(database, FOREVER), (broken, "SELECT * FROM t"), (database, "SELECT 1")])


@pytest.mark.parametrize("moment", ["_write", "wait_until_ready", "send", "poll"])
def test_nothing_leaks_when_the_parent_is_interrupted(
    database: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    sandbox = Sandbox(workers=2)
    with nothing_leaks(), monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(WorkerProcess, moment, interrupt)
        sandbox.run([(database, "SELECT 1"), (database, FOREVER)])
    assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)
    sandbox.close()


def test_another_thread_can_end_a_run_and_a_later_run_works(database: Path) -> None:
    endless = Limits(steps=10**15, cpu_seconds=600, seconds=600)
    with nothing_leaks(), Sandbox(workers=2, limits=endless) as sandbox:
        sandbox.run([(database, "SELECT 1"), (database, "SELECT 2")])
        timer = threading.Timer(0.2, sandbox.interrupt)
        timer.start()
        with pytest.raises(InterruptedError):
            sandbox.run([(database, FOREVER)] * 4)
        timer.join()
        assert sandbox.run([(database, "SELECT 1")])[0].rows == ((1,),)


def test_ctrl_c_while_results_are_compared_leaves_at_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("contrapeso.sql.judging._BATCH", 1)
    monkeypatch.setattr("contrapeso.sql.judging.judge", interrupt)
    endless = Limits(steps=10**15, cpu_seconds=600, seconds=600)
    with nothing_leaks(), Sandbox(workers=1, limits=endless) as sandbox, pytest.raises(KeyboardInterrupt):
        judge_sql(sandbox, [(database, "SELECT 1", "SELECT 1"), (database, "SELECT 1", FOREVER)])


def test_too_many_open_files_are_a_resource_error(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with Sandbox(workers=1) as sandbox, pytest.raises(ResourceError, match="Too many open files"):
        sandbox.run([(database, "SELECT 1")])


def test_a_worker_that_cannot_start_is_a_resource_error_and_blames_no_query(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contrapeso.sql.process._WORKER", database)  # no Python script
    with Sandbox(workers=1) as sandbox, pytest.raises(ResourceError, match="does not start"):
        sandbox.run([(database, "SELECT 1")])


PARENT = """
import sys, threading
from pathlib import Path
from contrapeso.sql import Limits, Sandbox, judge_sql
sandbox = Sandbox(workers=2, limits=Limits(steps=10**15, seconds=600))
database = Path(sys.argv[1])
sandbox.run([(database, "SELECT 1"), (database, "SELECT 2")])
sandbox._start(1)
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
