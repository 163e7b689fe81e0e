"""The child process that runs untrusted SQL. Started by `sandbox.py` as a bare script; imports nothing of contrapeso.

Requests enter on standard input, results leave on standard output, both as frames: four bytes of length, big-endian,
then JSON. The first frame holds the limits, each later one a request `[database, sql]`; the first reply says "ready".
The process ends when its standard input ends, and while a query runs it looks whether its parent is still there.

What holds the SQL back, from the inside outwards:

* the file is opened read-only and immutable, and an authorizer allows reading and nothing else;
* a budget of SQLite virtual-machine steps stops long queries at the same step on every machine;
* SQLite's own limits bound lengths, since a step may be slow inside (`instr` on megabytes takes minutes; one
  `printf('%.*c', 1e9, 'x')`, which counts to 10^9 to give NULL, still takes 6 s);
* limits of the operating system: address space, no byte written to any file, a timer that ends the process when one
  query has used its share of processor time (the only net that also works inside a step, and without a parent).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

# Functions that load code, touch files (these exist in some builds only), or whose value answers no question: random
# bytes. `printf` and `zeroblob` ask for gigabytes in a few letters, but SQLite's limit on lengths holds them.
DENIED_FUNCTIONS = frozenset(("load_extension", "randomblob", "fts3_tokenizer", "readfile", "writefile", "edit"))
ALLOWED_ACTIONS = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)
# The database's fault, not the query's.
BROKEN_DATABASE = frozenset(
    (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
)
# First match wins; the messages are SQLite's own, stable for a decade.
REASONS = (
    ("not authorized", "refused"),
    ("authorization denied", "refused"),
    ("vtable constructor failed", "refused"),  # virtual tables would create something: fts, rtree, json_each, dbstat
    ("unsafe use", "refused"),
    ("may not be modified", "refused"),
    ("prohibited", "refused"),
    ("one statement at a time", "refused"),
    ("interrupted", "timeout"),
    ("no such table", "unknown_table"),
    ("no such column", "unknown_column"),
    ("ambiguous column", "ambiguous_column"),
    ("syntax error", "syntax"),
    ("incomplete input", "syntax"),
    ("unrecognized token", "syntax"),
    ("hex literal", "syntax"),
    ("too big", "too_large"),
    ("too large", "too_large"),
    ("too many", "too_large"),
    ("at most", "too_large"),
    ("too complex", "too_large"),
    ("stack overflow", "too_large"),
    ("misuse", "misuse"),
    ("wrong number of arguments", "misuse"),
    ("no such function", "misuse"),
    ("same number of result columns", "misuse"),
    ("term does not match", "misuse"),
    ("sub-select returns", "misuse"),
    ("number of bindings", "misuse"),
)
STEPS_PER_TICK = 1000
DETAIL_CHARACTERS = 300
NAME_CHARACTERS = 200
# One LIKE compares pattern times text at worst: 0.1 s at this length against 130,000 letters, seconds at SQLite's own
# limit of 50,000. The longest pattern among Spider's gold queries has 21, but a pattern may come from a column too.
LIKE_PATTERN_BYTES = 1_000
OPEN_DATABASES = 8

Reply = dict[str, Any]


def authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    """Allow reading and harmless functions; deny everything else, whatever later versions of SQLite add."""
    if action not in ALLOWED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in DENIED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def read_text(raw: bytes) -> str | bytearray:
    """A text, or its bytes in a type that nothing else has where they are no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return bytearray(raw)


def open_database(database: str, limits: dict[str, Any]) -> sqlite3.Connection:
    """Open a file for reading only, with every limit set; settings first, since the authorizer denies them."""
    # No statement cache: a statement run again would start with the step count of its last run.
    connection = sqlite3.connect(
        Path(database).as_uri() + "?mode=ro&immutable=1", uri=True, isolation_level=None, cached_statements=0
    )
    connection.text_factory = read_text
    heap_bytes = int(limits["memory_megabytes"]) * 2**20 // 2
    for setting in ("query_only=1", "trusted_schema=0", "temp_store=MEMORY", "mmap_size=0"):
        connection.execute(f"PRAGMA {setting}").fetchall()
    connection.execute(f"PRAGMA hard_heap_limit={heap_bytes}").fetchall()
    for category, value in (
        (sqlite3.SQLITE_LIMIT_LENGTH, limits["value_bytes"]),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, limits["value_bytes"]),
        (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LIKE_PATTERN_BYTES),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
    ):
        connection.setlimit(category, value)
    connection.set_authorizer(authorize)
    return connection


def step_counter(budget: int) -> Callable[[], int]:
    """A progress handler that interrupts once the budget is spent, and ends an orphaned process."""
    parent, ticks, allowed = os.getppid(), 0, -(-budget // STEPS_PER_TICK)

    def tick() -> int:
        nonlocal ticks
        ticks += 1
        if os.getppid() != parent:
            os._exit(1)
        return int(ticks >= allowed)

    return tick


def fetch(connection: sqlite3.Connection, sql: str, limits: dict[str, Any]) -> Reply:
    """Run one query and collect its rows, giving up as soon as they pass a limit."""
    cursor = connection.execute(sql)
    names = [column[0][:NAME_CHARACTERS] for column in cursor.description or ()]
    width = len(names)
    rows: list[list[Any]] = []
    size = 0
    binary = False
    for row in cursor:
        for index, value in enumerate(row):
            if isinstance(value, str):
                size += len(value) if value.isascii() else 4 * len(value)
            elif isinstance(value, bytes):
                size += len(value)
                binary = True
                row = (*row[:index], {"blob": value.hex()}, *row[index + 1 :])
            elif isinstance(value, bytearray):  # from `read_text`
                size += 4 * len(value)
                binary = True
                row = (*row[:index], {"text": value.hex()}, *row[index + 1 :])
        rows.append(row)
        if len(rows) > limits["rows"] or len(rows) * width > limits["cells"] or size > limits["result_bytes"]:
            detail = f"the result passed the limit of {limits['rows']:,} rows, {limits['cells']:,} cells"
            return {"reason": "too_large", "detail": f"{detail} or {limits['result_bytes']:,} bytes of text"}
    return {"reason": "ok", "detail": "", "columns": width, "names": names, "rows": rows, "binary": binary}


def explain(error: Exception) -> Reply:
    """Put an error into one of the words of `Result.reason`; `database` means that the file is broken."""
    message = str(error) or type(error).__name__
    code = getattr(error, "sqlite_errorcode", None) or 0
    if isinstance(error, MemoryError) or code in (sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR_NOMEM):
        return {"reason": "too_large", "detail": "the query needs more memory than the limit"}
    if code & 0xFF in BROKEN_DATABASE:
        return {"reason": "database", "detail": message}
    if isinstance(error, UnicodeDecodeError):  # of names; values go through `read_text`
        return {"reason": "error", "detail": "the result has a column whose name is not UTF-8"}
    if isinstance(error, UnicodeEncodeError):
        return {"reason": "syntax", "detail": "the query holds characters that cannot be encoded as UTF-8"}
    reason = next((word for part, word in REASONS if part in message.lower()), "error")
    return {"reason": reason, "detail": message[:DETAIL_CHARACTERS]}


class Databases:
    """Open connections, the latest few; a file that changed on disk is opened anew."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self._limits = limits
        self._open: OrderedDict[tuple[Any, ...], sqlite3.Connection] = OrderedDict()

    def connection(self, database: str) -> sqlite3.Connection:
        """The connection to a file."""
        state = Path(database).stat()
        key = (database, state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in self._open:
            if len(self._open) >= OPEN_DATABASES:
                self._open.popitem(last=False)[1].close()
            self._open[key] = open_database(database, self._limits)
        self._open.move_to_end(key)
        return self._open[key]


def answer(databases: Databases, database: str, sql: str, limits: dict[str, Any]) -> Reply:
    """Run one request under the step budget and the timer, whose default action ends the process."""
    signal.setitimer(signal.ITIMER_PROF, limits["cpu_seconds"])
    try:
        connection = databases.connection(database)
        connection.set_progress_handler(step_counter(limits["steps"]), STEPS_PER_TICK)
        return fetch(connection, sql, limits)
    except OSError as error:
        return {"reason": "database", "detail": str(error)}
    except (sqlite3.Error, sqlite3.Warning, MemoryError, UnicodeError) as error:
        return explain(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def bound_process(memory_megabytes: int) -> None:
    """Ask the operating system to bound this process, as far as it can."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = memory_megabytes * 2**20
    if most == resource.RLIM_INFINITY or wanted < most:
        # macOS knows the limit and refuses to set it; SQLite's heap limit remains.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (wanted, wanted))
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the parent may have passed on that it is ignored or held back
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF,))


def read_frame(stream: BinaryIO) -> Any:
    """The next frame, or None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    return json.loads(stream.read(struct.unpack(">I", head)[0]))


def write_frame(stream: BinaryIO, value: Any) -> None:
    """Send one frame."""
    body = json.dumps(value, separators=(",", ":")).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def main() -> None:
    """Answer requests until standard input ends."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    limits = read_frame(requests)
    if limits is None:
        return
    bound_process(limits["memory_megabytes"])
    databases = Databases(limits)
    write_frame(replies, {"reason": "ready"})
    while (request := read_frame(requests)) is not None:
        database, sql = request
        try:
            write_frame(replies, answer(databases, database, sql, limits))
        except MemoryError:  # the rows fitted, their encoding did not
            write_frame(replies, explain(MemoryError()))


if __name__ == "__main__":
    main()
