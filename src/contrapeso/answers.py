"""Who was right on what: two systems on the same items, read from predictions, from a study's outcomes or from a table.

Files enter; `Answers` leave, for `compare`. Files that do not speak of the same items are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from contrapeso.data import load_questions, read_predictions, spider_folder
from contrapeso.data.files import Record, read_records
from contrapeso.data.questions import DATABASE_NAMES
from contrapeso.data.spider import Split
from contrapeso.errors import DataError
from contrapeso.score import Rule, judged_rows
from contrapeso.sql import Sandbox, judge_sql
from contrapeso.stats.paired import Scheme
from contrapeso.tasks.base import Outcome

_TRUE_AND_FALSE = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


@dataclass(frozen=True)
class Answers:
    """Two systems on the same items.

    Attributes:
        names: what the two are called, the reference first.
        items: shape (n,), what each item is called.
        groups: shape (n,), group of each item; all the same when there are none.
        before, after: shape (n,), whether the first and the second system are right.
        scheme: what the interval resamples, unless the user says otherwise.
        group: what a group is: `database`, `subject`, the name of a column; "" when there are none.
    """

    names: tuple[str, str]
    items: tuple[str, ...]
    groups: tuple[str, ...]
    before: tuple[bool, ...]
    after: tuple[bool, ...]
    scheme: Scheme
    group: str


def answers_in_predictions(
    before: Path,
    after: Path,
    *,
    data: str | Path,
    split: Split = "dev",
    rule: Rule = "unordered",
    limit: int | None = None,
) -> Answers:
    """Judge two prediction files for the same questions.

    Groups are databases, resampled whole: what one wants to know is how the systems compare on the next database.

    Args:
        before: predictions of the reference.
        after: predictions of the system compared with it.
        data: the folder of questions and databases, or `pocket`.
        split: `dev` or `train`.
        rule: the rule that says who is right.
        limit: only the first so many questions were answered.

    Raises:
        DataError: a file is missing, malformed or does not belong to the questions.
    """
    items = load_questions(spider_folder(data), split, limit=limit)
    first, second = read_predictions(before, items), read_predictions(after, items)
    with Sandbox() as sandbox:
        judge = partial(judge_sql, sandbox)
        pairs = zip(judged_rows(items, first, judge), judged_rows(items, second, judge), strict=True)
        counted = [pair for pair in pairs if "left_out" not in pair[0]]
    return Answers(
        names=(str(before), str(after)),
        items=tuple(row["item"] for row, _ in counted),
        groups=tuple(row["db_id"] for row, _ in counted),
        before=tuple(row[rule] for row, _ in counted),
        after=tuple(row[rule] for _, row in counted),
        scheme="cluster",
        group="database",
    )


def answers_in_outcomes(before: Path, after: Path, *, rule: Rule = "unordered") -> Answers:
    """Read two outcome files, as a study writes them to `outcomes/<variant>/<task>.jsonl`.

    Text-to-SQL is grouped by database, whole; multiple choice by subject, items within subjects, because the list of
    subjects is fixed. Items that a study reports apart are left out.

    Args:
        before: outcomes of the reference.
        after: outcomes of the variant compared with it.
        rule: for SQL, the rule that says who is right.

    Raises:
        DataError: a file is missing, holds no outcomes, or not those of the same items.
    """
    first, second = _outcomes(before), _outcomes(after)
    for here, there, missing_in in ((first, second, after), (second, first, before)):
        missing = [item for item in here if item not in there]
        if missing:
            raise DataError(
                f"{missing_in} has no outcome for {missing[0]} and {len(missing) - 1} others that the other file has; "
                "compare outcomes of the same task, both complete"
            )
    changed = next((item for item in first if first[item].gold != second[item].gold), None)
    if changed:
        raise DataError(f"{before} and {after} have different gold answers for {changed}: not the same task")
    counted = [item for item in first if not first[item].left_out and not second[item].left_out]
    if not counted:
        raise DataError(f"{before} and {after} have no item that counts")
    sql = bool(first[counted[0]].rules)
    return Answers(
        names=(str(before), str(after)),
        items=tuple(counted),
        groups=tuple(first[item].group for item in counted),
        before=tuple(_is_right(first[item], rule) for item in counted),
        after=tuple(_is_right(second[item], rule) for item in counted),
        scheme="cluster" if sql else "stratified",
        group="database" if sql else "subject",
    )


def answers_in_table(table: Path, columns: tuple[str, str], *, group: str | None = None) -> Answers:
    """Read two columns of 0 and 1 (or true and false) of a CSV file.

    Groups are resampled whole when their column is called like a database (`db_id`, `database`, `db`); any other
    list of groups is taken as fixed, as subjects are, and items are resampled within them.

    Args:
        table: the CSV file, with a header; one row an item.
        columns: the reference and what is compared with it.
        group: the column that holds the group; None when items have none.

    Raises:
        DataError: the file is missing or malformed, a column is not there, or a cell is neither 0 nor 1.
    """
    records = read_records(table)
    if table.suffix.lower() != ".csv" or not records:
        raise DataError(f"{table}: expected a CSV file (.csv) with a header and at least one row")
    for column in (*columns, *([group] if group else [])):
        if column not in records[0].value:
            raise DataError(f"{table} has no column {column!r}; it has {', '.join(records[0].value)}")
    before, after = ([_is_true(table, record, column) for record in records] for column in columns)
    return Answers(
        names=columns,
        items=tuple(record.place for record in records),
        groups=tuple(record.value[group] if group else "" for record in records),
        before=tuple(before),
        after=tuple(after),
        scheme="cluster" if not group or group.casefold() in DATABASE_NAMES else "stratified",
        group=group or "",
    )


def _outcomes(file: Path) -> dict[str, Outcome]:
    if file.suffix.lower() != ".jsonl":
        raise DataError(
            f"{file} is no outcome file (.jsonl); to compare prediction files name their questions with --data, to "
            "compare columns of a table name them with --columns"
        )
    outcomes: dict[str, Outcome] = {}
    for record in read_records(file):
        try:
            outcome = Outcome.from_json(record.value)
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{file}, {record.place} is no outcome of a study ({error!r}); to compare prediction files, name the "
                "questions with --data"
            ) from error
        if outcome.item in outcomes:
            raise DataError(f"{file}, {record.place}: a second outcome for {outcome.item}")
        outcomes[outcome.item] = outcome
    return outcomes


def _is_right(outcome: Outcome, rule: str) -> bool:
    return outcome.rules[rule] if outcome.rules else outcome.correct


def _is_true(table: Path, record: Record, column: str) -> bool:
    cell = record.value[column].strip().casefold()
    if cell not in _TRUE_AND_FALSE:
        raise DataError(
            f"{table}, {record.place}: {column} is {record.value[column]!r}; expected 0 or 1, true or false"
        )
    return _TRUE_AND_FALSE[cell]
