"""Answers as a terminal shows them: the query coloured, its rows as a table, or the reason why there are none.

Answers and schemas enter, things that rich prints leave. Every text that comes from a model or a database is made
visible first, so that it can neither move the cursor nor turn the line around, and is never read as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from contrapeso.ask import Answer, cell_text
from contrapeso.report.highlight import tokens
from contrapeso.report.packing import cut, visible
from contrapeso.sql import Result, Schema
from contrapeso.sql.schema import Table as SchemaTable

CELL_CHARACTERS = 120
MOST_COLUMNS = 40
MOST_TABLES = 100

_STYLES = {"k": "bold blue", "s": "green", "m": "magenta", "c": "dim"}


def print_answer(answer: Answer, *, rows: int, form: Literal["table", "json", "csv", "sql"]) -> bool:
    """Print an answer to standard output; why it has no rows goes to standard error.

    Args:
        answer: what a variant answered.
        rows: how many rows a table shows; the other forms have all.
        form: `table` is the query and its rows for people, `sql` the query alone.

    Returns:
        Whether there is what was asked for.
    """
    done = bool(answer.sql) if form == "sql" else answer.result.ok
    match form:
        case "json":
            print(json.dumps(answer.to_json(), allow_nan=False))
        case "table":
            Console().print(*answer_lines(answer, rows=rows)[: None if done else 1], sep="\n")
        case _ if done:
            text = answer.to_csv() if form == "csv" else answer.sql + "\n"
            sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    if not done:
        print(f"contrapeso: {failure(answer)}", file=sys.stderr)
    return done


def answer_lines(answer: Answer, *, rows: int) -> list[RenderableType]:
    """A whole answer: query, rows, times.

    Args:
        answer: what a variant answered.
        rows: how many rows to show.
    """
    if not answer.result.ok:
        return [query_text(answer.sql), Text(failure(answer), style="red")]
    return [query_text(answer.sql), rows_table(answer.result, rows), Text(_summary(answer, rows), style="dim")]


def side_by_side(answers: Sequence[Answer], *, rows: int) -> Table:
    """Answers of several variants to one question, a column each."""
    grid = Table(show_lines=True, expand=True)
    for answer in answers:
        grid.add_column(Text(visible(answer.variant)), ratio=1, overflow="fold")
    grid.add_row(*(query_text(answer.sql) for answer in answers))
    grid.add_row(*(Group(*answer_lines(answer, rows=rows)[1:]) for answer in answers))
    return grid


def query_text(sql: str) -> Text:
    """A query, coloured by kind of token."""
    if not sql:
        return Text("(no SQL in the reply)", style="dim")
    return Text.assemble(*((visible(text), _STYLES.get(letter, "")) for letter, text in tokens(sql)))


def rows_table(result: Result, limit: int) -> Table:
    """The first rows of a result, and its first columns when it has very many."""
    table = Table()
    width = min(result.columns, MOST_COLUMNS)
    for name in result.names[:width]:
        table.add_column(Text(cut(name, CELL_CHARACTERS, "…")), overflow="fold")
    for row in result.rows[:limit]:
        table.add_row(*(_cell(value) for value in row[:width]))
    return table


def schema_lines(schema: Schema, table: str = "") -> list[RenderableType]:
    """Tables with their columns, or one table with the types and keys of its columns.

    Args:
        schema: of the database.
        table: a table's name, whatever the case of its letters; all tables by default.
    """
    if table:
        found = [each for each in schema.tables if each.name.casefold() == table.casefold()]
        if not found:
            names = ", ".join(each.name for each in schema.tables[:MOST_TABLES])
            return [Text(visible(f"there is no table {table!r}; there are: {names}"), style="red")]
        return [_columns(schema, found[0])]
    lines: list[RenderableType] = []
    for each in schema.tables[:MOST_TABLES]:
        columns = ", ".join(column.name for column in each.columns[:MOST_COLUMNS])
        more = len(each.columns) - MOST_COLUMNS
        rest = f", and {more:,} more" if more > 0 else ""
        lines.append(Text.assemble((visible(each.name), "bold"), visible(f" ({columns}{rest})")))
    if len(schema.tables) > MOST_TABLES:
        lines.append(Text(f"and {len(schema.tables) - MOST_TABLES:,} tables more"))
    return lines


def failure(answer: Answer) -> str:
    """Why an answer has no rows, in a line."""
    reason, detail = answer.result.reason, answer.result.detail
    if not answer.sql:
        return "the reply holds no SQL"
    unfinished = "" if answer.stopped else " (the query was cut at the token limit)"
    said = " ".join(detail.split())  # SQLite repeats names, which may hold line breaks
    return visible(f"the query failed: {reason.replace('_', ' ')}: {said}{unfinished}")


def _columns(schema: Schema, table: SchemaTable) -> Table:
    grid = Table(title=Text(visible(table.name)), title_justify="left")
    for heading in ("column", "type", "key"):
        grid.add_column(heading, overflow="fold")
    for column in table.columns:
        keys = ["primary"] if column.primary_key else []
        for key in schema.foreign_keys:
            if key.table == table.name and column.name in key.columns:
                target = key.target_columns[key.columns.index(column.name)]
                keys.append(f"to {key.target_table}.{target}")
        grid.add_row(*(Text(visible(text)) for text in (column.name, column.type, ", ".join(keys))))
    return grid


def _cell(value: object) -> Text:
    text = Text(cut(cell_text(value), CELL_CHARACTERS, "… ({length:,} characters)"))
    if value is None:
        text.stylize("dim")
    elif isinstance(value, int | float):
        text.justify = "right"
    return text


def _summary(answer: Answer, limit: int) -> str:
    count, columns = len(answer.result.rows), answer.result.columns
    shown = f"the first {limit:,} of {count:,} rows (--rows shows more)" if count > limit else _counted(count, "row")
    if columns > MOST_COLUMNS:
        shown += f", the first {MOST_COLUMNS} of {columns:,} columns"
    times = f"written in {answer.seconds_writing:.1f} s, run in {answer.seconds_running:.2f} s"
    return f"{shown} · {visible(answer.variant)} · {times}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
