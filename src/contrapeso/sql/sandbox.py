"""Run untrusted SQL on SQLite files: read-only, bounded, in worker processes that can be killed at any moment.

Requests (a database file and a query) enter; one `Result` per request leaves, in order. A query that fails is a result
with a reason, never an exception; a database that cannot be read is a `DataError`, since it is no query's fault.

How long a query may run is counted in steps of SQLite's virtual machine, so the verdict on a slow query is the same on
a fast machine and a busy one (it may change with the version of SQLite). Some steps are slow inside: a LIKE or `instr`
on a long text takes 0.1 s, a `printf` of 10^9 letters 6 s (and gives NULL). So the worker of a query that has used
`cpu_seconds` of processor time is ended, however busy the machine is; the wall clock, the last net, is for a worker
that stands still. In sum, n queries take at most n times `cpu_seconds`, shared among the workers, be they all hostile.

A query reads tables, views and `sqlite_master` of its own file, with SQLite's scalar, aggregate and window functions.
Refused: writing in any form, ATTACH, PRAGMA and its table functions, temporary objects, extensions, functions that
touch files and `randomblob` (`worker.DENIED_FUNCTIONS`), and virtual tables (fts, rtree, json_each, dbstat), whose code
counts no steps. How a worker is held is told in `worker.py`.

Not covered: this bounds SQL, it is no jail for native code, so a flaw in SQLite itself would run with the rights of the
user. `random()` and the current time are readable, so such a query may differ from run to run. Needs a POSIX system.
"""

from __future__ import annotations

import os
import re
import selectors
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from contrapeso.errors import DataError, StudyError
from contrapeso.sql.process import Job, WorkerProcess
from contrapeso.sql.tokens import first_word, statements, tokenize

_READING_WORDS = frozenset(("select", "with", "values"))
_OTHER_STATEMENTS = re.compile(
    "alter|analyze|attach|begin|commit|create|delete|detach|drop|end|explain|insert|pragma|reindex|release|replace|"
    "rollback|savepoint|update|vacuum"
)
_SQLITE_HEAD = b"SQLite format 3\0"
_JOURNAL_HEAD = bytes.fromhex("d9d505f920a163d7")  # an old journal that is kept has zeros here
_TRIES = 2
_LEAST_MEGABYTES = 63  # Python and SQLite themselves take 30


@dataclass(frozen=True)
class Limits:
    """What one query may use.

    Attributes:
        steps: steps of SQLite's virtual machine; about two seconds' worth, and six times the 31 million that
            the dearest gold query of Spider takes.
        cpu_seconds: processor time after which the worker is ended; wide, since `steps` is what should decide, on a
            machine half as fast too: the dearest gold query of Spider takes 0.6, and 200 million steps take 1 to 7.
        seconds: wall clock after which the worker is killed; only a worker that stands still reaches it.
        rows: rows of a result; the longest gold result of Spider has 20,662.
        cells: rows times columns of a result; the largest there has 41,324.
        result_bytes: text and blobs of a result, a text that is not ASCII at four bytes per character, as in Python's
            memory; the largest there has 0.3 million.
        value_bytes: length of one value, inside the query too, and of the query itself.
        memory_megabytes: address space of a worker; SQLite may take half of it.
    """

    steps: int = 200_000_000
    cpu_seconds: float = 20.0
    seconds: float = 120.0
    rows: int = 50_000
    cells: int = 250_000
    result_bytes: int = 4_000_000
    value_bytes: int = 200_000
    memory_megabytes: int = 512

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = _LEAST_MEGABYTES if name == "memory_megabytes" else 0
            if value <= least:
                raise StudyError(f"the limit {name}={value} of the SQL sandbox is too small; give more than {least}")


class BrokenText(str):
    """A text with bytes that are no UTF-8: U+FFFD stands for them in it, and `dropped` is the text without them."""

    dropped: str


@dataclass(frozen=True)
class Result:
    """What a query gave.

    Attributes:
        columns: number of columns, known also when there is no row; 0 when the query failed.
        rows: the rows, each with None, int, float, str (`BrokenText` where it is no UTF-8) and bytes, as stored.
        reason: `ok`, or one word on why there is no result: `empty` (no SQL at all), `not_sql` (prose), `refused`
            (anything but one statement that reads tables), `syntax`, `unknown_table`, `unknown_column`,
            `ambiguous_column`, `misuse` (of an aggregate, a function or a compound), `error` (anything else SQLite
            says), `timeout`, `too_large` (query, value, memory or result), `crashed` (the worker died of it, twice).
        detail: the database's message, or ours.
        names: what SQLite calls the columns, each cut to 200 characters; for people, no verdict depends on them.
    """

    columns: int
    rows: tuple[tuple[Any, ...], ...]
    reason: str = "ok"
    detail: str = ""
    names: tuple[str, ...] = field(default=(), compare=False)

    @property
    def ok(self) -> bool:
        """Whether the query ran to its end."""
        return self.reason == "ok"


class Sandbox:
    """A few worker processes, started when first needed and ended by `close` or at the end of a `with` block.

    One thread at a time may call `run`; any other may `interrupt` it.

    Args:
        workers: how many queries run side by side; None takes the cores this process may use, at most 8.
        limits: what one query may use.
    """

    def __init__(self, workers: int | None = None, limits: Limits | None = None) -> None:
        if workers is not None and workers < 1:
            raise StudyError(f"a SQL sandbox with workers={workers} can run nothing; give at least 1")
        self.limits = limits or Limits()
        self._size = workers or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
        self._workers: list[WorkerProcess] = []
        self._interrupted = False

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers; a later `run` starts new ones."""
        self._interrupted = False
        while self._workers:
            self._workers.pop().kill()

    def interrupt(self) -> None:
        """End what another thread runs, now or next, with an `InterruptedError` there; `close` lifts it."""
        self._interrupted = True
        for worker in self._workers[:]:
            worker.end()

    def run(self, requests: Sequence[tuple[Path, str]]) -> list[Result]:
        """Run queries side by side.

        Args:
            requests: pairs of a SQLite file and a query.

        Returns:
            One result per request, in their order.

        Raises:
            DataError: a database file is missing, broken or not a SQLite file.
            ResourceError: no worker can be started.
            InterruptedError: another thread called `interrupt`.
        """
        paths = {database: _checked(database) for database in dict.fromkeys(database for database, _ in requests)}
        results: dict[int, Result] = {}
        waiting: deque[Job] = deque()
        for index, (database, sql) in enumerate(requests):
            statement = _only_statement(sql, self.limits)
            if isinstance(statement, Result):
                results[index] = statement
            else:
                waiting.append(Job(index, paths[database], statement))
        try:
            results.update(self._work(waiting))
        except BaseException:
            self.close()  # a worker may hold half an answer, which must not be taken for the next one's
            raise
        return [results[index] for index in range(len(requests))]

    def _work(self, waiting: deque[Job]) -> Iterator[tuple[int, Result]]:
        """Hand out jobs and yield results as they come; a job whose worker died goes to another one once more."""
        with selectors.DefaultSelector() as selector:
            idle = self._workers[:]
            while waiting or selector.get_map():
                if self._interrupted:
                    raise InterruptedError("the run was interrupted")
                while waiting and (idle or len(self._workers) < self._size):
                    idle = idle or self._start(min(len(waiting), self._size - len(self._workers)))
                    worker = idle.pop()
                    if worker.running():
                        worker.send(waiting.popleft())
                        selector.register(worker.output, selectors.EVENT_READ, worker)
                    else:
                        self._drop(worker)
                busy: list[WorkerProcess] = [key.data for key in selector.get_map().values()]
                selector.select(max(0.0, min(worker.deadline for worker in busy) - time.monotonic()))
                for worker in busy:
                    reply = worker.poll()
                    if reply is None:
                        continue
                    selector.unregister(worker.output)
                    job = worker.job
                    if worker.alive:
                        idle.append(worker)
                    else:
                        self._drop(worker)
                    if reply["reason"] == "crashed" and job.tries < _TRIES:
                        waiting.appendleft(job)
                    else:
                        yield job.index, _result(reply, job.database)

    def _start(self, count: int) -> list[WorkerProcess]:
        """New workers; they start side by side."""
        new = []
        for _ in range(count):
            new.append(WorkerProcess(asdict(self.limits)))
            self._workers.append(new[-1])
        for worker in new:
            worker.wait_until_ready()
        return new

    def _drop(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        worker.kill()


def _checked(database: Path) -> Path:
    """The absolute path of a readable SQLite file."""
    path = Path(database).resolve()
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_HEAD))
        log = pending_log(path)
    except OSError as error:
        raise DataError(f"cannot read the database {path}: {error.strerror}; check the data folder") from error
    if head != _SQLITE_HEAD:
        raise DataError(f"{path} is not a SQLite database; fetch the file again")
    if log:  # a file opened as immutable would be read without its log, silently old or half written
        raise DataError(f"{path} has changes waiting in {log.name}; close what writes to it, or run a checkpoint")
    return path


def pending_log(path: Path) -> Path | None:
    """The log beside a database whose changes are not in it yet, or not taken back."""
    for suffix, head in (("-wal", b""), ("-journal", _JOURNAL_HEAD)):
        log = path.with_name(path.name + suffix)
        if log.is_file() and log.stat().st_size > 0:
            with log.open("rb") as file:  # a log may be larger than memory
                if file.read(len(head)) == head:
                    return log
    return None


def _only_statement(sql: str, limits: Limits) -> str | Result:
    """The one reading statement of a text, without lone semicolons; or the result of a text that is something else."""
    if len(sql) > limits.value_bytes:
        return Result(0, (), "too_large", f"{len(sql):,} characters of SQL; the limit is {limits.value_bytes:,}")
    if "\0" in sql:
        return Result(0, (), "syntax", "the query contains a NUL character")
    tokens = tokenize(sql)
    count, word = statements(tokens), first_word(tokens)
    if count == 0:
        return Result(0, (), "empty", "there is no SQL")
    if _OTHER_STATEMENTS.fullmatch(word):
        return Result(0, (), "refused", f"only SELECT, WITH and VALUES are run, not {word.upper()}")
    if word not in _READING_WORDS:
        return Result(0, (), "not_sql", f"starts with {word[:40]!r}, which begins no SQL statement")
    if count > 1:
        return Result(0, (), "refused", f"{count} statements where one is expected")
    return "".join(token.text for token in tokens if token.text != ";")


def _result(reply: dict[str, Any], database: Path) -> Result:
    """Turn a worker's reply into a result."""
    reason, detail = reply["reason"], reply["detail"]
    if reason == "database":
        raise DataError(f"cannot query the database {database}: {detail}; the file is damaged, fetch it again")
    if reason != "ok":
        return Result(0, (), reason, detail)
    rows = reply["rows"]
    if reply["binary"]:
        rows = [[_unpacked(cell) if isinstance(cell, dict) else cell for cell in row] for row in rows]
    return Result(reply["columns"], tuple(map(tuple, rows)), names=tuple(reply["names"]))


def _unpacked(cell: dict[str, str]) -> bytes | BrokenText:
    """A cell that JSON cannot hold."""
    if "blob" in cell:
        return bytes.fromhex(cell["blob"])
    raw = bytes.fromhex(cell["text"])
    text = BrokenText(raw.decode("utf-8", "replace"))
    text.dropped = raw.decode("utf-8", "ignore")
    return text
