"""Text-to-SQL sets in the layout of Spider (Yu et al., EMNLP 2018).

    <folder>/dev.json, train_spider.json     [{"db_id", "question", "query"}, ...]
    <folder>/tables.json                     [{"db_id", ...}, ...]
    <folder>/database/<db_id>/<db_id>.sqlite
    <folder>/leave_out.json                  optional: {"items": {"dev/0459": "why"}}

A folder enters; items leave, each with its gold SQL and its database. Every file an item needs is checked here, so
that a broken download stops a study in its first second and not after an hour of generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from contrapeso.data.files import check_database, read_json, require_database_name
from contrapeso.data.leave_out import mark_left_out
from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

Split = Literal["dev", "train"]

_FILES = {"dev": "dev.json", "train": "train_spider.json"}
_LAYOUT = (
    "expected dev.json, train_spider.json, tables.json and database/<db_id>/<db_id>.sqlite, as in the archive of "
    "https://yale-lily.github.io/spider; point `target.data` at the folder that holds them, or use `pocket`"
)


def is_spider(folder: Path) -> bool:
    """Whether a folder is laid out like Spider: `tables.json` beside `database/`."""
    return (folder / "tables.json").is_file() and (folder / "database").is_dir()


def load_spider(
    folder: str | Path,
    split: Split = "dev",
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
    chosen = mark_left_out(items, folder, source=file, leave_out=leave_out)[:limit]
    for database in {item.database for item in chosen if item.database is not None}:
        check_database(database, hint=_LAYOUT)
    return tuple(chosen)


def _read_entries(file: Path, keys: tuple[str, ...]) -> list[dict[str, str]]:
    entries = read_json(file, hint=_LAYOUT)
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{file}: expected a non-empty list of entries with the keys {', '.join(keys)}")
    for place, entry in enumerate(entries):
        missing = [key for key in keys if not isinstance(entry, dict) or not isinstance(entry.get(key), str)]
        if missing:
            raise DataError(
                f"{file}, entry {place}: no text under the key(s) {', '.join(missing)}; every entry needs it"
            )
        if "db_id" in keys:
            require_database_name(entry["db_id"], f"{file}, entry {place}")
    return entries
