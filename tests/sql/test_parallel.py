"""Judging on every core gives what one process gives, and leaves nothing behind."""

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from contrapeso.errors import DataError, ResourceError
from contrapeso.sql import Sandbox, judge_sql, parallel

ITEMS = [
    ("SELECT name FROM t", "SELECT name FROM t WHERE age > 3"),
    ("SELECT 1", "SELECT 1"),
    ("SELECT 1", "DROP TABLE t"),
]
FOREVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture(autouse=True)
def several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "FEWEST_EACH", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_the_verdicts_are_those_of_one_process_in_order(database: Path) -> None:
    items = [(database, gold, predicted) for gold, predicted in ITEMS * 4]
    before, done = len(children()), []
    found = parallel.judge_on_every_core(items, rule="strict", meanwhile=lambda: done.append(len(children())))
    with Sandbox(workers=1) as sandbox:
        assert found == judge_sql(sandbox, items, rule="strict")
    assert done[0] >= before + 3 and len(children()) <= before


def test_an_error_in_a_child_is_raised_here(database: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        parallel.judge_on_every_core([(database, "SELECT 1", "SELECT 1")] * 5 + [(Path("missing"), "SELECT 1", "x")])


def test_a_child_that_is_killed_is_an_error_and_leaves_no_process(database: Path) -> None:
    before = len(children())

    def kill_one() -> None:
        multiprocessing.active_children()[0].kill()

    with pytest.raises(ResourceError, match="was killed"):
        parallel.judge_on_every_core([(database, "SELECT 1", FOREVER)] * 6, meanwhile=kill_one)
    deadline = time.monotonic() + 10
    while len(children()) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children()) <= before


def test_ctrl_c_ends_the_children_at_once(database: Path) -> None:
    before = len(children())
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        parallel.judge_on_every_core([(database, "SELECT 1", FOREVER)] * 6)
    timer.join()
    assert len([p for p in children() if p.ppid() == os.getpid()]) <= before
