"""Text-to-SQL sets in the layout of Spider (Yu et al., EMNLP 2018).

    <folder>/dev.json, train_spider.json     [{"db_id", "question", "query"}, ...]
    <folder>/tables.json                     [{"db_id", ...}, ...]
    <folder>/database/<db_id>/<db_id>.sqlite
    <folder>/leave_out.json                  optional: {"items": {"dev/0459": "why"}}

A folder enters; items leave, each with its gold SQL and its database. Every file an item needs is checked here, so
that a broken download stops a study in its first second and not after an hour of generation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

_FILES = {"dev": "dev.json", "train": "train_spider.json"}
_LAYOUT = (
    "expected dev.json, train_spider.json, tables.json and database/<db_id>/<db_id>.sqlite, as in the archive of "
    "https://yale-lily.github.io/spider; point `target.data` at the folder that holds them, or use `pocket`"
)
_SQLITE_MAGIC = b"SQLite format 3\0"
_SQLITE_HEADER_BYTES = 100


def load_spider(
    folder: str | Path,
    split: Literal["dev", "train"] = "dev",
    *,
    limit: int | None = None,
    leave_out: Mapping[str, str] | None = None,
) -> tuple[Item, ...]:
    """Read one split.

    Args:
        folder: a folder in Spider's layout.
        split: `dev` or `train`.
        limit: only the first so many questions.
        leave_out: items to be measured apart from the headline, id -> reason; they stay in the result with
            `left_out` set. Adds to the folder's own `leave_out.json`, and wins where both name an item.

    Returns:
        Items in file order, with ids `<split>/<place in the file, from 0, four digits or more>`.

    Raises:
        DataError: a file is missing or malformed, or `leave_out` names an item that does not exist.
    """
    folder = Path(folder)
    file = folder / _FILES[split]
    entries = _read_entries(file, ("db_id", "question", "query"))
    schemas = {entry["db_id"] for entry in _read_entries(folder / "tables.json", ("db_id",))}
    items = []
    for place, entry in enumerate(entries):
        if entry["db_id"] not in schemas:
            raise DataError(
                f"{file}, entry {place}: database {entry['db_id']!r} is not in {folder / 'tables.json'}; "
                "the two files belong to different versions of the set"
            )
        items.append(
            Item(
                id=f"{split}/{place:04d}",
                group=entry["db_id"],
                question=entry["question"],
                gold=entry["query"],
                database=folder / "database" / entry["db_id"] / f"{entry['db_id']}.sqlite",
            )
        )
    reasons = _reasons(folder, split, leave_out or {}, {item.id for item in items})
    chosen = [replace(item, left_out=reasons.get(item.id, "")) for item in items[:limit]]
    for database in {item.database for item in chosen if item.database is not None}:
        _check_database(database)
    return tuple(chosen)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"there is no {file}: {_LAYOUT}") from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file}, line {error.lineno}: not valid JSON ({error.msg}); it is damaged or cut short, fetch it again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file}: {error}; fetch it again") from error


def _read_entries(file: Path, keys: tuple[str, ...]) -> list[dict[str, str]]:
    entries = _read_json(file)
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file}: expected a non-empty list of entries with the keys {', '.join(keys)}")
    for place, entry in enumerate(entries):
        missing = [key for key in keys if not isinstance(entry, dict) or not isinstance(entry.get(key), str)]
        if missing:
            raise DataError(
                f"{file}, entry {place}: no text under the key(s) {', '.join(missing)}; every entry needs it"
            )
        if "db_id" in keys and (not entry["db_id"] or set(entry["db_id"]) & set("/\\\0") or entry["db_id"] == ".."):
            # The name becomes part of a path: data from elsewhere must not choose which file is opened.
            raise DataError(f"{file}, entry {place}: {entry['db_id']!r} cannot be the name of a database")
    return entries


def _reasons(folder: Path, split: str, leave_out: Mapping[str, str], known: set[str]) -> dict[str, str]:
    file = folder / "leave_out.json"
    content = _read_json(file) if file.exists() else {"items": {}}
    named = content.get("items") if isinstance(content, dict) else None
    if not isinstance(named, dict) or not all(isinstance(reason, str) and reason for reason in named.values()):
        raise DataError(f'{file}: expected {{"items": {{"dev/0459": "reason"}}}}')
    # Both lists may name items of both splits; the other split's are checked when that split is read.
    others = tuple(f"{name}/" for name in _FILES if name != split)
    merged = {item: reason for item, reason in {**named, **leave_out}.items() if not item.startswith(others)}
    unknown = sorted(set(merged) - known)
    if unknown:
        raise DataError(
            f"items to leave out that do not exist in {folder / _FILES[split]}: {', '.join(unknown)}; "
            f"ids run from {split}/0000 to {split}/{len(known) - 1:04d}"
        )
    return merged


def _check_database(file: Path) -> None:
    try:
        with file.open("rb") as handle:
            header = handle.read(_SQLITE_HEADER_BYTES)
    except FileNotFoundError:
        raise DataError(f"there is no database {file}: {_LAYOUT}") from None
    except OSError as error:
        raise DataError(f"cannot read the database {file}: {error}") from error
    magic, size = header[: len(_SQLITE_MAGIC)], file.stat().st_size
    if magic != _SQLITE_MAGIC:
        raise DataError(f"{file} is not a SQLite database (it starts with {magic!r}); fetch it again")
    if size < (whole := _size_in_header(header)):
        raise DataError(f"{file} is cut short ({size:,} of {whole:,} bytes); fetch it again")


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
