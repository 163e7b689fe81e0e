"""Read the schema of a SQLite database and write it out for a prompt.

A database file enters; a `Schema` leaves, and from it the text a model is shown. Names keep the case and the order in
which the database declares them, so the same file always gives the same text.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.errors import DataError

# What SQLite 3.40 refuses as a bare name, found by trying all 147 keywords; and the words of joins, which it accepts
# but people and other databases misread.
_RESERVED = re.compile(
    "add|all|alter|and|as|autoincrement|between|case|cast|check|collate|commit|constraint|create|"
    "cross|current_date|current_time|current_timestamp|default|deferrable|delete|distinct|drop|else|"
    "escape|except|exists|foreign|from|full|group|having|if|in|index|indexed|inner|insert|"
    "intersect|into|is|isnull|join|left|limit|natural|not|nothing|notnull|null|on|or|order|outer|"
    "primary|raise|references|returning|right|select|set|table|then|to|transaction|union|unique|"
    "update|using|values|when|where|with",
    re.IGNORECASE,
)
_BARE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Of table_xinfo's "hidden": an ordinary column, a generated one, a generated and stored one. 1 is truly hidden.
_SELECTABLE = (0, 2, 3)


@dataclass(frozen=True)
class Column:
    """One column: its name, its type as declared ("" when none is), whether it is in the primary key."""

    name: str
    type: str
    primary_key: bool


@dataclass(frozen=True)
class Table:
    """One table and its columns, in the order of declaration."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class ForeignKey:
    """Columns of a table that refer to columns of another; `columns[i]` refers to `target_columns[i]`."""

    table: str
    columns: tuple[str, ...]
    target_table: str
    target_columns: tuple[str, ...]


@dataclass(frozen=True)
class Schema:
    """The tables of a database in the order of creation, and all foreign keys by table."""

    tables: tuple[Table, ...]
    foreign_keys: tuple[ForeignKey, ...]


def read_schema(database: Path) -> Schema:
    """Read the tables, columns and keys of a SQLite file.

    Internal tables (`sqlite_...`) and views are left out. A foreign key that names no target column means the primary
    key of its target; one that names a missing table is kept as written.

    Args:
        database: the SQLite file; it is opened read-only.

    Returns:
        The schema.

    Raises:
        DataError: the file is missing, is not a SQLite database, or is damaged.
    """
    path = Path(database).resolve()
    if not path.is_file():
        raise DataError(f"there is no database {path}; fetch the data set again or check its folder")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            names = [
                name
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
                if not name.lower().startswith("sqlite_")
            ]
            tables = tuple(_read_table(connection, name) for name in names)
            by_name = {table.name.lower(): table for table in tables}
            keys = tuple(key for table in tables for key in _read_foreign_keys(connection, table, by_name))
    except sqlite3.Error as error:
        raise DataError(f"cannot read the schema of {path}: {error}; fetch the file again") from error
    return Schema(tables, keys)


def render_schema(schema: Schema, style: str) -> str:
    """Write a schema out as text.

    Args:
        schema: the schema.
        style: `compact`, one line per table (`singer(singer_id, name)`), then one per pair of columns of a foreign key
            (`concert.singer_id = singer.singer_id`); or `ddl`, CREATE TABLE statements with types and keys. Names are
            quoted where SQL needs it, so that a model can copy them.

    Returns:
        The text, without a line break at its end.

    Raises:
        DataError: there is no such style.
    """
    if style not in _STYLES:
        raise DataError(f"there is no schema style {style!r}; take one of {', '.join(_STYLES)}")
    return _STYLES[style](schema)


def quoted(name: str) -> str:
    """The name as SQL may hold it: bare where that is allowed, in double quotes elsewhere."""
    if _BARE_NAME.fullmatch(name) and not _RESERVED.fullmatch(name):
        return name
    return '"' + name.replace('"', '""') + '"'


def _read_table(connection: sqlite3.Connection, name: str) -> Table:
    rows = connection.execute("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", (name,))
    return Table(
        name, tuple(Column(column, kind, key > 0) for column, kind, key, hidden in rows if hidden in _SELECTABLE)
    )


def _read_foreign_keys(connection: sqlite3.Connection, table: Table, by_name: dict[str, Table]) -> list[ForeignKey]:
    # SQLite numbers foreign keys from the last one declared.
    query = 'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id DESC, seq'
    grouped: dict[int, list[tuple[Any, ...]]] = {}
    for number, *row in connection.execute(query, (table.name,)):
        grouped.setdefault(number, []).append(tuple(row))
    keys = []
    for rows in grouped.values():
        target = by_name.get(rows[0][0].lower(), Table(rows[0][0], ()))
        primary = [column.name for column in target.columns if column.primary_key]
        targets = [row[2] for row in rows]
        if None in targets:
            if len(primary) != len(rows):
                continue  # refers to a key that does not exist; SQLite could not follow it either
            targets = primary
        columns = tuple(_spelling(table, row[1]) for row in rows)
        keys.append(ForeignKey(table.name, columns, target.name, tuple(_spelling(target, name) for name in targets)))
    return keys


def _spelling(table: Table, name: str) -> str:
    """The column's name as its table declares it: foreign keys may use another case."""
    return next((column.name for column in table.columns if column.name.lower() == name.lower()), name)


def _compact(schema: Schema) -> str:
    lines = [
        f"{quoted(table.name)}({', '.join(quoted(column.name) for column in table.columns)})" for table in schema.tables
    ]
    for key in schema.foreign_keys:
        for column, target in zip(key.columns, key.target_columns, strict=True):
            lines.append(f"{quoted(key.table)}.{quoted(column)} = {quoted(key.target_table)}.{quoted(target)}")
    return "\n".join(lines)


def _ddl(schema: Schema) -> str:
    return "\n".join(
        _create_table(table, [key for key in schema.foreign_keys if key.table == table.name]) for table in schema.tables
    )


def _create_table(table: Table, foreign_keys: list[ForeignKey]) -> str:
    key = [column.name for column in table.columns if column.primary_key]
    parts = []
    for column in table.columns:
        words = [quoted(column.name), column.type, "PRIMARY KEY" if key == [column.name] else ""]
        parts.append(" ".join(filter(None, words)))
    if len(key) > 1:
        parts.append(f"PRIMARY KEY ({_listed(key)})")
    for foreign in foreign_keys:
        target = f"{quoted(foreign.target_table)} ({_listed(foreign.target_columns)})"
        parts.append(f"FOREIGN KEY ({_listed(foreign.columns)}) REFERENCES {target}")
    return f"CREATE TABLE {quoted(table.name)} (\n  " + ",\n  ".join(parts) + "\n);"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(quoted, names))


_STYLES: dict[str, Callable[[Schema], str]] = {"compact": _compact, "ddl": _ddl}
