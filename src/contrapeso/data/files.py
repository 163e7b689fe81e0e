"""Read the files that data sets and predictions come in: text, JSON, JSON lines, CSV, and the head of a database.

A path enters; text, records or nothing (a check that passed) leave. Whatever cannot be read is a `DataError` that
names the file and the place in it: nothing is guessed, dropped or repaired, because a file that is read wrongly gives
a number that looks right.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.errors import DataError

DATABASE_SUFFIXES = (".sqlite", ".sqlite3", ".db")
RECORD_SUFFIXES = (".json", ".jsonl", ".csv")
_LARGEST_CELL = 2**31 - 1
_SQLITE_MAGIC = b"SQLite format 3\0"
_SQLITE_HEADER_BYTES = 100


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        place: where it stands, for messages: `entry 4` (of a JSON list, from 0), `line 7`, or `row 2` (of a CSV file,
            where the header is row 1).
        value: what stands there; a dictionary of texts for CSV.
    """

    place: str
    value: Any


def read_text(file: Path, *, hint: str = "") -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Bytes that are not UTF-8 are refused, not replaced: a query with a replaced letter asks for something else, and the
    score would blame its author. Half a surrogate pair is let through, since the journal of outcomes may hold one.

    Args:
        file: the file.
        hint: what to do when it does not exist.

    Raises:
        DataError: the file is missing, unreadable or in another encoding; the message names the line.
    """
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no {file}{': ' if hint else '; check the path'}{hint}") from None
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from error
    try:
        return content.decode("utf-8-sig", "surrogatepass")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"cannot read {file}: line {line} is not utf-8 (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from error


def read_json(file: Path, *, hint: str = "") -> Any:
    """The value in a JSON file.

    Raises:
        DataError: as `read_text`, or the text is not JSON.
    """
    return _parsed(read_text(file, hint=hint), file, first_line=1)


def read_records(file: Path, *, hint: str = "") -> list[Record]:
    """The records of a `.json` list, a `.jsonl` file or a `.csv` file with a header.

    Blank lines of JSONL and CSV files are no records.

    Raises:
        DataError: as `read_text`, or a record is malformed.
    """
    kind = file.suffix.lower()
    if kind == ".csv":
        return _csv_records(file, read_text(file, hint=hint))
    if kind == ".jsonl":
        lines = enumerate(read_text(file, hint=hint).split("\n"), start=1)
        return [Record(f"line {number}", _parsed(line, file, number)) for number, line in lines if line.strip()]
    content = read_json(file, hint=hint)
    if not isinstance(content, list):
        raise DataError(f"{file}: expected a list of entries, found {_kind(content)}")
    return [Record(f"entry {place}", value) for place, value in enumerate(content)]


def named(record: Record, names: tuple[str, ...], file: Path) -> str | None:
    """The text that a record holds under one of several names, in any case of letters; None when there is none.

    Values that are not text do not count (Spider's own files hold a parsed query under `sql`).

    Raises:
        DataError: the record is no object, or holds different texts under two of the names.
    """
    if not isinstance(record.value, dict):
        raise DataError(f"{file}, {record.place}: expected an object with named values, found {_kind(record.value)}")
    found = {
        key: value
        for key, value in record.value.items()
        if isinstance(value, str) and isinstance(key, str) and key.strip().casefold() in names
    }
    if len(set(found.values())) > 1:
        raise DataError(f"{file}, {record.place}: {' and '.join(found)} name different texts; keep one of them")
    return next(iter(found.values()), None)


def require_database_name(name: str, where: str) -> None:
    """Refuse a name that could lead out of the folder: data from elsewhere must not choose which file is opened.

    Raises:
        DataError: the name is empty, a dot or two, or holds a separator.
    """
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise DataError(f"{where}: {name!r} cannot be the name of a database")


def check_database(file: Path, *, hint: str = "") -> None:
    """Make sure that a file is a whole SQLite database, so that a broken download is seen in the first second.

    Raises:
        DataError: it is missing, something else or cut short.
    """
    try:
        with file.open("rb") as handle:
            header = handle.read(_SQLITE_HEADER_BYTES)
    except FileNotFoundError:
        raise DataError(f"there is no database {file}{': ' if hint else '; check the folder'}{hint}") from None
    except OSError as error:
        raise DataError(f"cannot read the database {file}: {error}") from error
    magic, size = header[: len(_SQLITE_MAGIC)], file.stat().st_size
    if magic != _SQLITE_MAGIC:
        raise DataError(f"{file} is not a SQLite database (it starts with {magic!r}); fetch it again")
    if size < (whole := _size_in_header(header)):
        raise DataError(f"{file} is cut short ({size:,} of {whole:,} bytes); fetch it again")


def _parsed(text: str, file: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(
            f"{file}, line {line}: not valid JSON ({error.msg}); it is damaged or cut short, fetch it again"
        ) from error
    except (RecursionError, ValueError) as error:
        raise DataError(
            f"{file}, line {first_line}: JSON nested too deeply, or a number too long, to be data"
        ) from error


def _csv_records(file: Path, text: str) -> list[Record]:
    csv.field_size_limit(_LARGEST_CELL)  # by default a cell over 128 kB is an error, and models do ramble
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"cannot read {file} as CSV: {error}; a quote may be missing") from error
    header = [name.strip() for name in rows[0]] if rows else []
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{file}: two columns are called {twice[0]!r}; rename one")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(
                f"{file}, row {number}: {len(row)} cells where the header names {len(header)} columns "
                f"({', '.join(header)}); a quote may be missing"
            )
    return [
        Record(f"row {number}", dict(zip(header, row, strict=True))) for number, row in enumerate(rows[1:], start=2)
    ]


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _size_in_header(header: bytes) -> int:
    """Bytes the whole database should have; 0 where its writer did not keep the count up to date.

    Source: https://www.sqlite.org/fileformat.html, sections 1.3.2 and 1.3.7. SQLite itself opens a file that lacks its
    last pages, and fails at the first query that needs them.
    """
    if len(header) < _SQLITE_HEADER_BYTES:
        return _SQLITE_HEADER_BYTES
    page_size = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big") if header[24:28] == header[92:96] else 0
    return pages * (65536 if page_size == 1 else page_size)
