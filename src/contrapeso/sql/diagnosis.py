"""Say why a prediction is wrong: one word, and one sentence that names the difference.

A gold query, a prediction and what both gave enter; a word and a sentence leave. This explains; it never decides a
score. Words of queries that did not run are the sandbox's (`Result.reason`), with SQLite's message and the nearest
names. For queries that ran, evidence is taken in this order:

1. What the results prove. `type_mismatch`: the same values, but text on one side and numbers on the other.
   `duplicates`: the same rows, repeated another number of times. `wrong_columns`: another number of columns, which no
   other repair could mend. `wrong_order`: more rows wanted than the prediction's own LIMIT lets pass, or one query
   takes the first row of an order and the other all rows that equal the extreme.
2. What the queries differ in, clause by clause (`clauses.py`, `differences.py`). Several clauses often differ at once;
   the shapes of the results say which to name. Where the numbers of rows agree, what is shown is the likelier fault:
   columns, aggregation, tables, condition, order. Where they do not, selecting other columns cannot be it, and totals
   have one row whatever is wrong: tables, condition, aggregation, order, columns. Where one result alone is empty, a
   filter is the likeliest: condition first. Tables come before conditions otherwise, since a query that reads the
   wrong tables has other conditions as well.
3. `wrong_order` where nothing large differs and the gold leaves rows tied at its LIMIT: both took other ones.
4. Differences that often change nothing, e.g. `COUNT(name)` for `COUNT(*)`.
5. `wrong_result`: no difference found, or a query that cannot be taken apart (too long, too deep, unknown syntax); the
   sentence tells the shapes.

The order was tuned on the wrong predictions of three published systems for Spider dev. Of 100 drawn at random among
those that ran, the word was the one a reader would choose for 94; most of the others had several faults at once.

For predictions right by `unordered` and wrong by `strict`: `column_order`, `row_order`; those wrong by `spider` alone
also `duplicates` (it drops DISTINCT).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from contrapeso.sql.equivalence import equivalent_spider, equivalent_strict, equivalent_unordered
from contrapeso.sql.sandbox import Result
from contrapeso.sql.schema import Schema

WORDS = (
    "type_mismatch",
    "duplicates",
    "wrong_columns",
    "wrong_aggregation",
    "wrong_tables",
    "wrong_condition",
    "wrong_order",
    "row_order",
    "column_order",
    "wrong_result",
)
"""The words for predictions that ran; those for the others are told at `Result.reason`."""

_SAME_ROW_COUNT = ("wrong_columns", "wrong_aggregation", "wrong_tables", "wrong_condition", "wrong_order")
_OTHER_ROW_COUNT = ("wrong_tables", "wrong_condition", "wrong_aggregation", "wrong_order", "wrong_columns")
_ONE_EMPTY = ("wrong_condition", "wrong_tables", "wrong_aggregation", "wrong_order", "wrong_columns")
_LONGEST_DETAIL = 300
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*")
_MISSING = re.compile(r"no such (table|column): (?:(.*)\.)?(.+)")


def diagnose(
    gold_sql: str, predicted_sql: str, *, gold: Result, predicted: Result, schema: Schema, ties: bool = False
) -> tuple[str, str]:
    """Why a prediction that is wrong by `unordered` is wrong.

    Args:
        gold_sql: the gold query.
        predicted_sql: the predicted query.
        gold: what the gold query gave; it ran.
        predicted: what the predicted query gave.
        schema: the tables of their database.
        ties: whether the gold leaves rows tied at its LIMIT (`ties.py`).

    Returns:
        The word and the sentence. Never raises on SQL, however it is made.
    """
    if not predicted.ok:
        return predicted.reason, _cut(_with_nearest_names(predicted, predicted_sql, schema))
    word, sentence = _told_by_results(gold, predicted) or _told_by_queries(
        gold_sql, predicted_sql, gold=gold, predicted=predicted, schema=schema, ties=ties
    )
    return word, _cut(sentence)


def diagnose_order(gold: Result, predicted: Result) -> tuple[str, str]:
    """Why a prediction that is right by `unordered` is wrong by a rule that looks at order."""
    if equivalent_strict(gold, predicted, ordered=False):
        return "row_order", "the rows are right, their order is not"
    return "column_order", "the columns are right, their order is not"


def diagnose_official(gold: Result, predicted: Result) -> tuple[str, str]:
    """Why a prediction right by `unordered` is wrong by `spider`, from what both gave in their official form."""
    if not (gold.ok and predicted.ok):
        failed = predicted if gold.ok else gold
        return failed.reason, f"as the official evaluator rewrites it: {failed.detail}"
    if equivalent_spider(gold, predicted, ordered=False):
        return "row_order", "the rows are right, their order is not"
    if not equivalent_unordered(gold, predicted):
        return "duplicates", "right as written, but the official evaluator drops every DISTINCT before it compares"
    return "wrong_result", "equal within a relative 1e-6, but the official evaluator compares numbers exactly"


def _told_by_results(gold: Result, predicted: Result) -> tuple[str, str] | None:
    """What the two results prove by themselves."""
    if gold.columns != predicted.columns or not gold.rows or not predicted.rows:
        return None
    # Comparing may be dear on results made for it: only where a change was made that could matter.
    as_numbers = [tuple(map(_numbers_read, result.rows)) for result in (gold, predicted)]
    if as_numbers != [gold.rows, predicted.rows] and _equivalent(as_numbers, gold.columns):
        return "type_mismatch", "the values are the same, but text on one side and numbers on the other"
    distinct = [tuple(dict.fromkeys(result.rows)) for result in (gold, predicted)]
    if list(map(len, distinct)) != [len(gold.rows), len(predicted.rows)] and _equivalent(distinct, gold.columns):
        return "duplicates", (
            f"the same rows, repeated differently: gold {len(gold.rows):,}, prediction {len(predicted.rows):,}, "
            f"{len(distinct[0]):,} of them different"
        )
    return None


def _equivalent(tables: Sequence[tuple[tuple[Any, ...], ...]], columns: int) -> bool:
    gold, predicted = (Result(columns, rows) for rows in tables)
    return equivalent_unordered(gold, predicted)


def _told_by_queries(
    gold_sql: str, predicted_sql: str, *, gold: Result, predicted: Result, schema: Schema, ties: bool
) -> tuple[str, str]:
    """What the two queries differ in, seen in the light of what they gave."""
    # Imported here because they import sqlglot, which only wrong predictions need.
    from contrapeso.sql.clauses import read_clauses
    from contrapeso.sql.differences import large_differences, only_totals, picks_rows_by_extreme, small_differences

    shapes = [f"{len(result.rows):,} x {result.columns}" for result in (gold, predicted)]
    shape = f"rows x columns: gold {shapes[0]}, prediction {shapes[1]}"
    clauses = read_clauses(gold_sql, predicted_sql, schema)
    large = large_differences(*clauses) if clauses else {}
    if gold.columns != predicted.columns:
        return "wrong_columns", large.get(
            "wrong_columns", f"the gold has {gold.columns} columns, the prediction {predicted.columns}"
        )
    if clauses is None:
        return "wrong_result", shape
    counts = [len(result.rows) for result in (gold, predicted)]
    capped = clauses[1].limits and clauses[1].limits[0][1] == str(counts[1]) and counts[1] < counts[0]
    if "wrong_order" in large and counts[0] != counts[1] and (capped or picks_rows_by_extreme(*clauses)):
        return "wrong_order", large["wrong_order"]
    same = counts[0] == counts[1] and not all(map(only_totals, clauses))
    order = _SAME_ROW_COUNT if same else _OTHER_ROW_COUNT if all(counts) else _ONE_EMPTY
    for word in order:
        if word in large:
            return word, large[word]
    if ties:
        return "wrong_order", "rows tie at the gold's LIMIT and the prediction took other ones"
    return next(iter(small_differences(*clauses).items()), ("wrong_result", shape))


def _numbers_read(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with text that looks like a number read as one."""
    return tuple([_number(cell) if isinstance(cell, str) else cell for cell in row])


def _number(text: str) -> str | int | float:
    if len(text) > 30 or not text.isascii() or not (match := _NUMBER.fullmatch(text)):
        return text
    return int(text) if match[1].isdigit() and match[2] is None else float(text)


def _with_nearest_names(predicted: Result, predicted_sql: str, schema: Schema) -> str:
    """SQLite's message; after an unknown name, where it is to be found, or the names most like it."""
    missing = _MISSING.match(predicted.detail)
    if missing is None:
        return predicted.detail
    kind, qualifier, name = missing[1], missing[2], missing[3].lower()
    if kind == "table":
        hints = _nearest(name, [table.name for table in schema.tables])
        return predicted.detail + (f"; nearest: {hints}" if hints else "")
    holders = [table.name for table in schema.tables if name in (column.name.lower() for column in table.columns)]
    if holders:
        return f"{predicted.detail}; {', '.join(holders)} has it"
    table = _table_called(qualifier, predicted_sql, schema) if qualifier else ""
    candidates = [each for each in schema.tables if table in ("", each.name.lower())]
    hints = _nearest(name, [f"{each.name}.{column.name}" for each in candidates for column in each.columns])
    return predicted.detail + (f"; nearest: {hints}" if hints else "")


def _table_called(alias: str, sql: str, schema: Schema) -> str:
    """The table that an alias stands for, in lower case, as far as a look at the words tells."""
    names = {table.name.lower() for table in schema.tables}
    found = re.search(rf"(?<!\w)(\w+)[\"`\]]?\s+(?:as\s+)?{re.escape(alias)}\b", sql, re.IGNORECASE)
    table = found[1].lower() if found else alias.lower()
    return table if table in names else ""


def _nearest(name: str, candidates: list[str]) -> str:
    """Up to three candidates whose last part looks like the name."""
    by_name: dict[str, str] = {}
    for candidate in candidates:
        by_name.setdefault(candidate.rpartition(".")[2].lower(), candidate)
    return ", ".join(by_name[close] for close in get_close_matches(name[:100], by_name, n=3))


def _cut(sentence: str) -> str:
    return sentence if len(sentence) <= _LONGEST_DETAIL else sentence[: _LONGEST_DETAIL - 1] + "…"
