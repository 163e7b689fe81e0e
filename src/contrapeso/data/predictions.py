"""Predicted SQL from anywhere, laid beside the questions it answers.

A file and the items of a split enter; one query per item leaves, in the order of the items.

| file | one prediction is |
| --- | --- |
| `.json` list, `.jsonl` | a text, null (no answer), or an object |
| `.json` object | `{"0": text, ...}`, by place of the question; BIRD's `SQL\\t----- bird -----\\tdb_id` too |
| `.csv` | a row under a header |
| anything else | a line: `SQL`, or `SQL<TAB>db_id` as the official evaluator reads it |

An object or a row has its SQL under one of `generated_sql` (the original's CSV), `predicted_sql`, `pred_sql`,
`prediction`, `predicted` or `answer` (a study's outcomes); only where there is none of these, under `sql` or `query`.

Predictions belong to questions by their number and order; entries that all name their `item` (`dev/0012`) or `index`
(from 0) are put in their place by it. Whatever else a file says about its entries (`question`, `db_id`, `expected_sql`
or `gold_sql` or `gold`) is checked against the split. A file that is too short, too long or shifted by one is refused:
it would be scored low, and nobody would know why. An empty line is an empty prediction, except that the line break at
the end of the file begins no line. The SQL itself is left letter for letter as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contrapeso.data.files import Record, named, read_json, read_records, read_text
from contrapeso.data.questions import DATABASE_NAMES, HINT, QUESTION_NAMES
from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

SQL_NAMES = ("generated_sql", "predicted_sql", "pred_sql", "prediction", "predicted", "answer")
_PLAIN_NAMES = ("sql", "query")
_GOLD_NAMES = ("expected_sql", "gold_sql", "gold")
_BIRD_MARK = "\t----- bird -----\t"
_OFFICIAL_LINE = re.compile(r"(?P<sql>.*)\t[ ]*(?P<database>[^\s]+)[ ]*", re.DOTALL)
_PLACE = re.compile(r"[0-9]{1,9}")
_WORD = re.compile(r"\w+")
SHIFTS = (-2, -1, 1, 2)
FEWEST_TO_TELL = 20
CLEARLY = 0.05
_HALF_PAIRS = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Prediction:
    """One prediction as its file has it.

    Attributes:
        sql: the query; "" when there is none.
        place: where it stands, for messages.
        index: the place of its question in the split, where the file names it.
        question, database, gold: what the file says about the question; None where it says nothing.
    """

    sql: str
    place: str
    index: int | None = None
    question: str | None = None
    database: str | None = None
    gold: str | None = None


def read_predictions(file: Path, items: Sequence[Item]) -> list[str]:
    """The predicted SQL for every item.

    Args:
        file: predictions in any form that the module describes.
        items: the questions that were answered.

    Returns:
        One query per item, in the order of `items`; "" where there is no prediction.

    Raises:
        DataError: the file is missing or malformed, or does not answer these questions; the message names the place,
            what was found and what was expected.
    """
    predictions = _READERS.get(file.suffix.lower(), _from_lines)(file, items)
    if len(predictions) != len(items):
        empty = sum(not prediction.sql.strip() for prediction in predictions)
        note = f" ({empty:,} of them empty)" if empty else ""
        first = f", or set the limit to {len(predictions)} if they answer the first" if predictions else ""
        raise DataError(
            f"{file} holds {len(predictions):,} predictions{note} for {len(items):,} questions "
            f"({items[0].id} to {items[-1].id}); give one for each, in their order"
            + (first if len(predictions) < len(items) else "")
        )
    placed = _in_place(file, predictions, items)
    for prediction, item in zip(placed, items, strict=True):
        _check(file, prediction, item)
    if any(prediction.index is None and prediction.question is None for prediction in placed):
        _check_order(file, [prediction.sql for prediction in placed], [item.gold for item in items])
    return [_HALF_PAIRS.sub("\N{REPLACEMENT CHARACTER}", prediction.sql) for prediction in placed]


def _from_lines(file: Path, items: Sequence[Item]) -> list[Prediction]:
    """One prediction a line. A tab is white space of SQL too, so the whole file decides whether its lines end in one
    and a database.
    """
    lines = [line.removesuffix("\r") for line in read_text(file).removesuffix("\n").split("\n")]
    official = {number: match for number, line in enumerate(lines, 1) if (match := _OFFICIAL_LINE.fullmatch(line))}
    others = [number for number, line in enumerate(lines, 1) if line and number not in official]
    if not others:
        found = (official.get(number) for number in range(1, len(lines) + 1))
        pairs = [(match["sql"], match["database"]) if match else ("", None) for match in found]
        return [Prediction(sql, f"line {number}", database=name) for number, (sql, name) in enumerate(pairs, 1)]
    databases = {item.group for item in items}
    for number, match in official.items():
        if match["database"] in databases:
            raise DataError(
                f"{file}: line {number} ends in a tab and the database {match['database']!r}, line {others[0]} does "
                "not; name the database on every line or on none"
            )
    return [Prediction(line, f"line {number}") for number, line in enumerate(lines, 1)]


def _from_json(file: Path, items: Sequence[Item]) -> list[Prediction]:
    content = read_json(file)
    if not isinstance(content, dict):
        return _from_records(file, items)
    wrong = next((key for key in content if not _PLACE.fullmatch(key)), None)
    if wrong is not None:
        raise DataError(
            f"{file}: expected a list, or an object whose keys are the places of the questions from 0; found {wrong!r}"
        )
    return [_from_value(file, Record(f"key {key}", value), index=int(key)) for key, value in content.items()]


def _from_records(file: Path, items: Sequence[Item]) -> list[Prediction]:
    places = {item.id: place for place, item in enumerate(items)}
    predictions = []
    for record in read_records(file):
        index = _index(file, record, places) if isinstance(record.value, dict) else None
        predictions.append(_from_value(file, record, index))
    return predictions


_READERS: dict[str, Callable[[Path, Sequence[Item]], list[Prediction]]] = {
    ".json": _from_json,
    ".jsonl": _from_records,
    ".csv": _from_records,
}


def _from_value(file: Path, record: Record, index: int | None) -> Prediction:
    if record.value is None:
        return Prediction("", record.place, index)
    if isinstance(record.value, str):
        sql, _, database = record.value.partition(_BIRD_MARK)
        return Prediction(sql, record.place, index, database=database.strip() or None)
    sql_found = named(record, SQL_NAMES, file)
    if sql_found is None:
        sql_found = named(record, _PLAIN_NAMES, file)
    if sql_found is None and not any(record.value.get(name, "") is None for name in SQL_NAMES):
        raise DataError(
            f"{file}, {record.place}: no SQL under {', '.join(SQL_NAMES)}, sql or query; "
            f"it has {', '.join(map(str, record.value))}"
        )
    return Prediction(
        sql_found or "",
        record.place,
        index,
        question=named(record, QUESTION_NAMES, file),
        database=named(record, DATABASE_NAMES, file),
        gold=named(record, _GOLD_NAMES, file),
    )


def _index(file: Path, record: Record, places: dict[str, int]) -> int | None:
    """The place that an object gives itself, by `item` or by `index`."""
    item, index = record.value.get("item"), record.value.get("index")
    if isinstance(item, str):
        if item not in places:
            known = list(places)
            raise DataError(
                f"{file}, {record.place}: answers {item!r}, which is not among the questions {known[0]} to {known[-1]}"
            )
        return places[item]
    if isinstance(index, str) and _PLACE.fullmatch(index):
        return int(index)
    return index if isinstance(index, int) and not isinstance(index, bool) else None


def _in_place(file: Path, predictions: Sequence[Prediction], items: Sequence[Item]) -> list[Prediction]:
    """Predictions in the order of the items."""
    if any(prediction.index is None for prediction in predictions):
        for place, prediction in enumerate(predictions):
            if prediction.index not in (None, place):
                raise DataError(
                    f"{file}, {prediction.place}: answers question {prediction.index} (from 0) in place {place}, and "
                    "other entries do not say which they answer; give every entry its item or index, or none"
                )
        return list(predictions)
    by_index: dict[int | None, Prediction] = {}
    for prediction in predictions:
        if prediction.index in by_index:
            first = by_index[prediction.index].place
            raise DataError(f"{file}: {first} and {prediction.place} both answer question {prediction.index} (from 0)")
        by_index[prediction.index] = prediction
    missing = [index for index in range(len(items)) if index not in by_index]
    if missing:
        raise DataError(f"{file} holds no prediction for question {missing[0]} (from 0), {items[missing[0]].id}")
    return [by_index[index] for index in range(len(items))]


def _check(file: Path, prediction: Prediction, item: Item) -> None:
    """Whatever the file says about a prediction's question must be true of the item in its place."""
    where = f"{file}, {prediction.place}"
    advice = "the predictions are in another order, of another split or of another version of the data"
    if prediction.database is not None and prediction.database != item.group:
        raise DataError(f"{where}: database {prediction.database!r}, but {item.id} is about {item.group!r}; {advice}")
    accepted = {_plain(item.question), _plain(item.question.rpartition(HINT)[0] or item.question)}
    if prediction.question is not None and _plain(prediction.question) not in accepted:
        raise DataError(f"{where}: question {prediction.question!r}, but {item.id} asks {item.question!r}; {advice}")
    if prediction.gold is not None and _plain(prediction.gold) != _plain(item.gold):
        raise DataError(
            f"{where}: gold SQL {prediction.gold!r}, but that of {item.id} is {item.gold!r}; {advice} "
            "(to judge by the gold of the data, take this column out of the file)"
        )


def _check_order(file: Path, predictions: Sequence[str], golds: Sequence[str]) -> None:
    """Refuse queries that resemble the gold queries of their neighbours' questions more than those of their own.

    Nothing in such a file names its questions, and neighbours are often about one database, so that a file shifted by
    one line runs and scores something: 42 % instead of 82 % for a published system on Spider. Resemblance is the mean
    Jaccard index of the words of prediction and gold. On three published systems it is 0.78 to 0.93 in place and 0.55
    to 0.65 one line off; where predictions resemble nothing, no shift does better.
    """
    words = [[frozenset(_WORD.findall(text.casefold())) for text in texts] for texts in (predictions, golds)]
    if len(golds) < FEWEST_TO_TELL:
        return

    def resemblance(shift: int) -> float:
        pairs = zip(words[0][max(0, shift) :], words[1][max(0, -shift) :], strict=False)
        shares = [len(a & b) / len(a | b) if a | b else 0.0 for a, b in pairs]
        return sum(shares) / len(shares)

    best = max(SHIFTS, key=resemblance)
    if resemblance(best) > resemblance(0) + CLEARLY:
        where = f"{abs(best)} place{'s' * (abs(best) > 1)} {'before' if best > 0 else 'after'} their own"
        raise DataError(
            f"{file}: its queries resemble the gold queries {where} more than their own "
            f"({resemblance(best):.2f} against {resemblance(0):.2f}), so the file seems to be shifted; "
            "give each query its question, item or index to be sure"
        )


def _plain(text: str) -> str:
    """A text as two files may both spell it: white space, case and a closing semicolon do not count."""
    return " ".join(text.split()).rstrip("; ").casefold()
