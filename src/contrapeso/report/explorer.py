"""The data behind the item explorer: every item with every variant's answer, small enough to travel in the page.

A summary and its sources enter; packed data leaves, which `templates/page.js` unpacks and shows. Values lie in
columns, one list per property over all items of a task, because that is what filters read and what compresses best.

MMLU alone has 6.5 MB of questions. When they do not all fit, the questions on which every variant agrees are
shortened until the rest does; those that a variant lost or gained always keep their full text.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from contrapeso.data.mmlu import CATEGORY_OF_SUBJECT
from contrapeso.report.highlight import code, marked_codes
from contrapeso.report.measurement import Measurement, Sources
from contrapeso.report.packing import cut, pack, visible
from contrapeso.report.page_words import Words
from contrapeso.report.text import task_name
from contrapeso.sql.hardness import hardness
from contrapeso.tasks.base import Item, Outcome

QUESTION_LIMITS = (20_000, 1_000, 800, 600, 500, 400, 350, 300, 250, 200, 150, 100, 50)
"""Characters kept of a question on which all variants agree: the largest that makes the data fit is taken."""
ANSWER_LIMIT = 4_000
DETAIL_LIMIT = 400
RULES = ("unordered", "spider", "strict")
PERCENT_ZERO = 35
"""Code of the character that stands for 0 % (`#`), chosen so that 100 % is still one character."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Explorer:
    """Packed data and what was done to make it fit.

    Attributes:
        packed: from `pack`.
        question_limit: characters kept of a question on which all variants agree.
        shortened: how many questions are not whole.
    """

    packed: str
    question_limit: int
    shortened: int


@dataclass(frozen=True)
class _Row:
    """An item with the outcome of every measurement, in their order; None where one has none."""

    item: Item
    outcomes: tuple[Outcome | None, ...]

    @property
    def any(self) -> Outcome:
        """The first outcome there is, for what all of them share."""
        return next(outcome for outcome in self.outcomes if outcome)


def explorer(summary: Mapping[str, Any], sources: Sources, words: Words, *, limit: int) -> Explorer:
    """Pack every item of every task.

    Args:
        summary: from `summarize`.
        sources: measurements, items and schemas.
        words: of the page's language.
        limit: characters that the packed data should stay under.

    Returns:
        The packed data. When even the shortest questions do not fit, it is larger than `limit`.
    """
    tasks = list(dict.fromkeys(measurement.task for measurement in sources.measurements))
    columns = [_task(task, summary, sources, words) for task in tasks]

    def packed_with(place: int, level: int = 6) -> Explorer:
        kept = QUESTION_LIMITS[place]
        shorter = [_shorten(column, kept) for column in columns]
        packed = pack({"language": words.language, "words": dict(words.explorer), "tasks": shorter}, level=level)
        return Explorer(packed, kept, sum(map(bool, chain.from_iterable(column["full"] for column in shorter))))

    whole = packed_with(0)
    if len(whole.packed) <= limit:
        return whole
    places = range(1, len(QUESTION_LIMITS) - 1)
    first = bisect_left(places, True, key=lambda place: len(packed_with(place).packed) <= limit)
    return packed_with(first + 1, level=9)


def _task(task: str, summary: Mapping[str, Any], sources: Sources, words: Words) -> Json:
    """Columns of one task over the union of its items; the baseline comes first, then the runs, then other prompts."""
    baseline = summary["facts"]["baseline"]
    measurements = [measurement for measurement in sources.measurements if measurement.task == task]
    measurements.sort(key=lambda measurement: (measurement.variant != baseline, bool(measurement.prompt_note)))
    rows = _rows(measurements, sources.items.get(task, {}))
    kind = measurements[0].kind
    entries = [summary["variants"].get(measurement.variant, {}).get(task) for measurement in measurements]
    column: Json = {
        "name": task_name(task),
        "kind": kind,
        "variants": [visible(measurement.variant) for measurement in measurements],
        "withheld": [visible(entry["invalid_reason"]) if entry and not entry["valid"] else "" for entry in entries],
        "id": [visible(row.item.id) for row in rows],
        "left_out": [visible(row.any.left_out) for row in rows],
        "question": [visible(row.item.question) for row in rows],
        "gold": [cut(row.any.gold, ANSWER_LIMIT, words.cut) for row in rows],
        "correct": ["".join(map(_mark, answers)) for answers in _by_variant(rows)],
    }
    column["group"], column["groups"] = _coded(visible(row.item.group) for row in rows)
    if kind == "options":
        categories = (CATEGORY_OF_SUBJECT.get(row.item.group, "Other") for row in rows)
        column["part"], column["parts"] = _coded(map(words.name, categories))
        column["choices"] = [[visible(choice) for choice in row.item.choices] for row in rows]
        column["reply"] = [[_options(answer) for answer in answers] for answers in _by_variant(rows)]
        return column
    column["part"], column["parts"] = _coded(words.name(hardness(row.any.gold)) for row in rows)
    return column | _queries(rows, column, sources.schemas, words)


def _rows(measurements: Sequence[Measurement], known: Mapping[str, Item]) -> list[_Row]:
    """One row for each item that somebody answered; an item that is not known is made up from its outcome."""
    answered = [{outcome.item: outcome for outcome in measurement.outcomes} for measurement in measurements]
    first: dict[str, Outcome] = {}
    for outcomes in answered:
        for name, outcome in outcomes.items():
            first.setdefault(name, outcome)
    return [
        _Row(
            known.get(name) or Item(name, outcome.group, question="", gold=outcome.gold),
            tuple(outcomes.get(name) for outcomes in answered),
        )
        for name, outcome in first.items()
    ]


def _queries(rows: Sequence[_Row], column: Json, schemas: Mapping[str, str], words: Words) -> Json:
    """The columns that only text-to-SQL has: schemas, results, and each variant's query."""
    shown = {visible(name): visible(text) for name, text in schemas.items()}
    golds = list(zip(rows, column["gold"], strict=True))
    places: dict[str, int] = {}

    def reply(outcome: Outcome | None, gold: str) -> list[Any] | None:
        if outcome is None:
            return None
        answer = cut(outcome.answer, ANSWER_LIMIT, words.cut)
        return [
            answer,
            *marked_codes(gold, answer),
            places.setdefault(visible(words.name(outcome.reason)), len(places)),
            cut(outcome.detail, DETAIL_LIMIT, words.cut),
            "".join(_mark_of(outcome.rules.get(rule)) for rule in RULES),
            int(outcome.stopped),
            _preview(outcome, "predicted"),
        ]

    return {
        "schemas": [[text := shown.get(name, ""), code(text)] for name in column["groups"]],
        "gold_code": [code(gold) for gold in column["gold"]],
        "gold_rows": [_preview(row.any, "gold") for row in rows],
        "flags": [[visible(words.name(flag)) for flag in row.any.flags] for row in rows],
        "reply": [
            [reply(row.outcomes[number], gold) for row, gold in golds] for number in range(len(rows[0].outcomes))
        ],
        "reasons": list(places),
    }


def _options(outcome: Outcome | None) -> str:
    """A reply to a multiple-choice question as text: the letter, whether it came by itself, a character a percentage.

    The percentages are the softmax of the options' log-probabilities: what each option gets of what all of them get.
    """
    if outcome is None:
        return ""
    known = outcome.log_probabilities if all(map(math.isfinite, outcome.log_probabilities)) else ()
    weights = [math.exp(value - max(known)) for value in known]
    percents = "".join(chr(PERCENT_ZERO + round(100 * weight / sum(weights))) for weight in weights)
    return f"{outcome.answer[:1] or '-'}{int(outcome.stopped)}{percents}"


def _preview(outcome: Outcome, side: str) -> list[Any] | None:
    """The first rows of a result with its size: [rows, row count, column count]."""
    preview = outcome.results.get(side)
    if not preview:
        return None
    cells = [[visible(str(cell)) for cell in row] for row in preview["rows"]]
    return [cells, preview["row_count"], preview["column_count"]]


def _shorten(column: Json, limit: int) -> Json:
    """The columns with at most `limit` characters of each question on which all variants agree.

    `full` has the length of each question that was shortened, and 0 for the others.
    """
    agreed = (len(set(marks)) == 1 for marks in zip(*column["correct"], strict=True))
    full = [
        len(text) if same and len(text) > limit else 0 for text, same in zip(column["question"], agreed, strict=True)
    ]
    shorter = [text[:limit].rstrip() if cut_it else text for text, cut_it in zip(column["question"], full, strict=True)]
    return column | {"question": shorter, "full": full}


def _coded(values: Iterable[str]) -> tuple[list[int], list[str]]:
    """Values as places in a list of the distinct ones, in the order met."""
    places: dict[str, int] = {}
    coded = [places.setdefault(value, len(places)) for value in values]
    return coded, list(places)


def _by_variant(rows: Sequence[_Row]) -> Iterable[tuple[Outcome | None, ...]]:
    return zip(*(row.outcomes for row in rows), strict=True)


def _mark(outcome: Outcome | None) -> str:
    return _mark_of(outcome.correct if outcome else None)


def _mark_of(correct: bool | None) -> str:
    """`1` right, `0` wrong, `-` not known."""
    return "-" if correct is None else str(int(correct))
