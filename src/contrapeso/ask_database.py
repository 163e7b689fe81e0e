"""A SQLite file somebody wants to ask about: is it whole, and what is in it?

A path enters; a `Database` with its schema leaves, or a `DataError` that says in words what keeps the file from being
asked. The file is never trusted: this process reads its first hundred bytes, a child process its schema.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from contrapeso.errors import DataError
from contrapeso.sql.apart import read_schema_apart
from contrapeso.sql.sandbox import pending_log
from contrapeso.sql.schema import Schema

SQLITE_HEAD = b"SQLite format 3\0"


@dataclass(frozen=True)
class Database:
    """A SQLite file that can be asked about.

    Attributes:
        path: of the file.
        schema: its tables.
        name: what people call it.
    """

    path: Path
    schema: Schema
    name: str


def open_database(path: Path, *, name: str = "") -> Database:
    """A SQLite file with its schema.

    Args:
        path: of the file.
        name: what people call it; the file's name by default.

    Raises:
        DataError: the file is missing, empty, encrypted, damaged, no SQLite database, or has no table.
    """
    _require_whole(path)
    schema = read_schema_apart(path)
    if not schema.tables:
        raise DataError(f"{path} has no table, so there is nothing to ask about")
    return Database(path.resolve(), schema, name or path.name)


def _require_whole(path: Path) -> None:
    """Say in words what keeps a file from being a database; the sandbox would speak of data sets."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for, a device read for ever
            kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file"
            raise DataError(f"{path} is {kind}; give a SQLite file")
        with path.open("rb") as file:
            head = file.read(100)
        size, log = path.stat().st_size, pending_log(path)
    except OSError as error:
        raise DataError(f"cannot read the database {path}: {error.strerror or error}") from error
    if not head:
        raise DataError(f"{path} is empty: no table was ever written to it")
    if not head.startswith(SQLITE_HEAD):
        raise DataError(f"{path} is no SQLite database, or it is encrypted; give a plain SQLite file")
    if size < (whole := _bytes_by_header(head)):  # SQLite would read zeros, and give wrong rows without a word
        raise DataError(f"{path} is cut short, {size:,} of {whole:,} bytes; copy it again")
    if log:
        raise DataError(f"{path} has changes waiting in {log.name}; close what writes to it, or run a checkpoint")


def _bytes_by_header(head: bytes) -> int:
    """How long a SQLite file says it is, 0 where an old SQLite has not kept count (https://sqlite.org/fileformat.html)."""
    if len(head) < 100:
        return 100
    page, changes, pages, counted = struct.unpack(">16xH6xII60xI4x", head)
    return (65_536 if page == 1 else page) * pages if changes == counted else 0
