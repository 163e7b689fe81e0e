"""Multiple-choice questions from one file: CSV, JSON or JSON lines, in the layouts that are in circulation.

A file enters, items leave. Every record has a question, its options and the right one:

    question   under `question`, `ctx`, `context`, `query` or `sentence`
    options    a list under `choices`, `options` or `endings`; or {"text": [...], "label": [...]} (ARC, CommonsenseQA);
               or columns `choice0`, `choice1`, ..., `option1`, ..., or `A`, `B`, ...
    the right  under `answer`, `answerKey`, `label` or `gold`: the place counted from 0, the letter, the label of the
               list of labels, or the option's own text
    group      optional, under `group`, `subject` or `category`: what intervals are stratified by; else the file's name
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contrapeso.errors import DataError
from contrapeso.tasks.base import Item, option_letters

QUESTION = ("question", "ctx", "context", "query", "sentence")
OPTIONS = ("choices", "options", "endings")
ANSWER = ("answer", "answerKey", "label", "gold")
GROUP = ("group", "subject", "category")
MOST_OPTIONS = 26
COLUMNS = [
    [f"{stem}{first + place}" for place in range(MOST_OPTIONS)] for stem, first in (("choice", 0), ("option", 1))
]
COLUMNS.append([chr(ord("A") + place) for place in range(MOST_OPTIONS)])


def load_choices(file: str | Path, *, prefix: str = "") -> tuple[Item, ...]:
    """Read the questions of one file.

    Args:
        file: `.csv`, `.json` (a list) or `.jsonl`.
        prefix: begins every item's id; the file's stem by default.

    Returns:
        Items in file order, ids `<prefix>/0000`; `gold` is a letter.

    Raises:
        DataError: the file or a record is missing something; the message names the record.
    """
    file = Path(file).expanduser()
    records = _records(file)
    if not records:
        raise DataError(f"{file} holds no questions")
    return tuple(
        _item(record, f"{prefix or file.stem}/{place:04d}", group=file.stem, where=f"{file}, record {place}")
        for place, record in enumerate(records)
    )


def _records(file: Path) -> list[Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".csv":
            return list(csv.DictReader(text.splitlines(keepends=True), strict=True))
        if file.suffix == ".json":
            parsed = json.loads(text)
            return parsed if isinstance(parsed, list) else [parsed]
        if file.suffix == ".jsonl":
            return [json.loads(line) for line in text.split("\n") if line.strip()]
    except FileNotFoundError:
        raise DataError(f"there is no {file}: give a .csv, .json or .jsonl file of multiple-choice questions") from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"cannot read {file}: {error}") from error
    raise DataError(f"{file}: multiple-choice questions are read from .csv, .json or .jsonl")


def _item(record: Any, name: str, *, group: str, where: str) -> Item:
    if not isinstance(record, Mapping):
        raise DataError(f"{where}: expected an object or a row with a question, its options and the answer")
    question, own_group = _first(record, QUESTION), _first(record, GROUP)
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where}: no question under any of {', '.join(QUESTION)}")
    options, labels = _options(record, where)
    return Item(
        name,
        group if own_group in (None, "") else str(own_group),
        question.strip(),
        option_letters(len(options))[_right(record, options, labels, where)],
        choices=options,
    )


def _options(record: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The options and what the file itself calls them."""
    found: Any = _first(record, OPTIONS)
    labels: Any = None
    if isinstance(found, Mapping):
        found, labels = found.get("text"), found.get("label")
    if found is None:
        columns = next((names for names in COLUMNS if names[0] in record and names[1] in record), ())
        found = [record[name] for name in columns if record.get(name) not in (None, "")]
        if columns and columns[0] == "option1":  # counted from 1, and so is the answer
            labels = [str(place) for place in range(1, len(found) + 1)]
    if not isinstance(found, list) or not 2 <= len(found) <= MOST_OPTIONS:
        raise DataError(
            f"{where}: two to {MOST_OPTIONS} options are expected under {', '.join(OPTIONS)}, or in columns choice0, "
            "choice1, ... or A, B, ..."
        )
    options = tuple(str(option).strip() for option in found)
    if not all(options):
        raise DataError(f"{where}: an option is empty")
    names = option_letters(len(options)) if not isinstance(labels, list) else tuple(str(label) for label in labels)
    if len(names) != len(options):
        raise DataError(f"{where}: {len(options)} options but {len(names)} labels")
    return options, names


def _right(record: Mapping[str, Any], options: tuple[str, ...], labels: tuple[str, ...], where: str) -> int:
    answer = _first(record, ANSWER)
    word = str(answer).strip()
    # In this order: a label such as "1" is what the file calls an option, whatever its place.
    for names in (labels if labels != option_letters(len(options)) else (), option_letters(len(options)), options):
        if word in names:
            return names.index(word)
    if word.isdecimal() and int(word) < len(options):
        return int(word)
    raise DataError(
        f"{where}: the answer {answer!r} is no option: give its place from 0, its letter or its text, under one of "
        f"{', '.join(ANSWER)}"
    )


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((record[name] for name in names if name in record), None)
