"""Answers and databases as the page gets them: plain JSON in which every text is made visible and cut to size.

Answers, schemas and entries enter; JSON-ready values leave. The page turns every text into a text node and takes
classes from a fixed list, so nothing in here can become markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contrapeso.ask import Answer, cell_text
from contrapeso.ask_database import Database
from contrapeso.ask_text import failure
from contrapeso.demo.shelf import Entry
from contrapeso.report.highlight import tokens
from contrapeso.report.packing import cut, visible
from contrapeso.sql import Result
from contrapeso.sql.schema import ForeignKey, Table, quoted

MOST_ROWS = 50
MOST_COLUMNS = 30
MOST_TABLES = 200
MOST_QUESTIONS = 100
CELL_CHARACTERS = 200
SQL_CHARACTERS = 20_000


def answer_json(answer: Answer, *, agrees: bool | None = None) -> dict[str, Any]:
    """One variant's answer.

    Args:
        answer: what it answered.
        agrees: whether its rows are those of the gold query; None when the question has none.
    """
    return {
        "event": "answer",
        "variant": visible(answer.variant),
        "sql": sql_json(answer.sql),
        "failure": "" if answer.result.ok else failure(answer),
        "result": result_json(answer.result) if answer.result.ok else None,
        "agrees": agrees,
        "writing": round(answer.seconds_writing, 2),
        "running": round(answer.seconds_running, 3),
    }


def sql_json(sql: str) -> list[tuple[str, str]]:
    """A query as (kind, text) pairs; see `highlight.tokens`."""
    shown = sql if len(sql) <= SQL_CHARACTERS else sql[:SQL_CHARACTERS] + "…"
    return [(letter, visible(text)) for letter, text in tokens(shown)]


def result_json(result: Result) -> dict[str, Any]:
    """The first rows and columns; each cell a (kind, text) pair: `m` number, `s` text, `b` blob, `z` NULL."""
    return {
        "columns": [_cut(name) for name in result.names[:MOST_COLUMNS]],
        "rows": [[_cell(value) for value in row[:MOST_COLUMNS]] for row in result.rows[:MOST_ROWS]],
        "row_count": len(result.rows),
        "column_count": result.columns,
    }


def entry_json(entry: Entry) -> dict[str, Any]:
    """A database in the list."""
    return {"id": entry.id, "name": visible(entry.name), "uploaded": entry.uploaded}


def database_json(entry: Entry, database: Database) -> dict[str, Any]:
    """A database with its schema and questions to begin with."""
    schema = database.schema
    asked = [item.question for item in entry.items][:MOST_QUESTIONS] or _obvious_questions(schema.tables)
    return {
        **entry_json(entry),
        "tables": [_table(table, schema.foreign_keys) for table in schema.tables[:MOST_TABLES]],
        "table_count": len(schema.tables),
        "questions": [_cut(question) for question in dict.fromkeys(asked)],
        "evaluated": bool(entry.items),
    }


def _table(table: Table, keys: Sequence[ForeignKey]) -> dict[str, Any]:
    columns = []
    for column in table.columns[:MOST_COLUMNS]:
        own = [key for key in keys if key.table == table.name and column.name in key.columns]
        targets = [f"{key.target_table}.{key.target_columns[key.columns.index(column.name)]}" for key in own]
        columns.append([_cut(column.name), _cut(column.type), column.primary_key, [_cut(target) for target in targets]])
    return {"name": _cut(table.name), "columns": columns, "column_count": len(table.columns)}


def _obvious_questions(tables: Sequence[Table]) -> list[str]:
    """Something to begin with on a database that nobody has written questions about."""
    named = [table for table in tables if table.columns and quoted(table.name) == table.name][:4]
    return [f"How many rows does {table.name} have?" for table in named] + [
        f"List the {table.columns[-1].name} of every {table.name}." for table in named[:2]
    ]


def _cell(value: Any) -> tuple[str, str]:
    kind = "z" if value is None else "b" if isinstance(value, bytes) else "m" if isinstance(value, int | float) else "s"
    return kind, _cut(cell_text(value))


def _cut(text: str) -> str:
    return cut(text, CELL_CHARACTERS, "… ({length:,} characters)")
