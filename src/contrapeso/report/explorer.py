"""The data behind the item explorer: every item with every variant's answer, small enough to travel in the page.

Measurements and items enter; packed data leaves, which `templates/page.js` unpacks and shows. Values lie in columns,
one list per property over all items of a task, because that is what filters read and what compresses best.

MMLU alone has 6.5 MB of questions. When all of it does not fit, the questions on which every variant agrees are
shortened until it does; those that a variant lost or gained always keep their full text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contrapeso.report.highlight import code, marked_codes
from contrapeso.report.measurement import Measurement, Sources
from contrapeso.report.packing import cut, pack, visible
from contrapeso.report.page_words import Words
from contrapeso.report.text import task_name
from contrapeso.tasks.base import Item, Outcome

PACKED_LIMIT = 2_600_000
"""Characters of packed data that leave room for the rest of a page under 3 MB."""
QUESTION_LIMITS = (20_000, 1_000, 600, 400, 300, 200, 120, 60)
"""Characters kept of a question on which all variants agree: the first limit that makes the data fit is taken."""
ANSWER_LIMIT = 4_000
DETAIL_LIMIT = 400
RULES = ("unordered", "spider", "strict")
PERCENT_ZERO = 35
"""Code of the character that stands for 0 % ("#"), so that 100 % is still one character and none is a quote."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Explorer:
    """Packed data and what was done to make it fit.

    Attributes:
        packed: from `pack`.
        question_limit: characters kept of a question on which all variants agree; 0 when all are whole.
    """

    packed: str
    question_limit: int


def explorer(summary: Mapping[str, Any], sources: Sources, words: Words, *, limit: int = PACKED_LIMIT) -> Explorer:
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
    columns = {task: _task(task, summary, sources, words) for task in tasks}
    packed, question_limit = "", 0
    for question_limit in QUESTION_LIMITS:
        data = {
            "language": words.language,
            "words": dict(words.explorer),
            "tasks": [_shorten(column, question_limit) for column in columns.values()],
        }
        packed = pack(data)
        if len(packed) <= limit:
            break
    return Explorer(packed, 0 if question_limit == QUESTION_LIMITS[0] else question_limit)


def _task(task: str, summary: Mapping[str, Any], sources: Sources, words: Words) -> Json:
    """Columns of one task over the union of its items, in data-set order; the baseline is the first variant."""
    baseline = summary["facts"]["baseline"]
    measurements = [m for m in sources.measurements if m.task == task]
    measurements.sort(key=lambda measurement: measurement.variant != baseline)
    answered = [{outcome.item: outcome for outcome in measurement.outcomes} for measurement in measurements]
    items = _items(sources.items.get(task, {}), answered)
    kind, categories = measurements[0].kind, summary["facts"]["categories"]
    groups = _Index(item.group for item in items)
    parts = _Index(_part(kind, item, categories) for item in items)
    reasons = _Index(words.reason(o.reason) for outcomes in answered for o in outcomes.values())
    column: Json = {
        "name": task_name(task),
        "kind": kind,
        "baseline": measurements[0].variant == baseline,
        "variants": [measurement.variant for measurement in measurements],
        "withheld": [_withheld(summary, measurement) for measurement in measurements],
        "groups": [visible(name) for name in groups.names],
        "parts": [words.part(name) for name in parts.names],
        "reasons": reasons.names,
        "id": [visible(item.id) for item in items],
        "group": groups.places,
        "part": parts.places,
        "left_out": [visible(item.left_out) for item in items],
        "question": [visible(item.question) for item in items],
        "gold": [cut(item.gold, ANSWER_LIMIT, words.cut) for item in items],
        "correct": ["".join(_mark(outcomes.get(item.id)) for item in items) for outcomes in answered],
        "reason": [
            [reasons.place(words.reason(o.reason)) if (o := outcomes.get(item.id)) else -1 for item in items]
            for outcomes in answered
        ],
    }
    column["agreed"] = [len(set(marks)) == 1 for marks in zip(*column["correct"], strict=True)]
    if kind == "options":
        column["choices"] = [[visible(choice) for choice in item.choices] for item in items]
        column["reply"] = [[_options(outcomes.get(item.id)) for item in items] for outcomes in answered]
        return column
    schemas = [visible(sources.schemas.get(name, "")) for name in groups.names]
    column["schemas"] = [[schema, code(schema)] for schema in schemas]
    column["gold_code"] = [code(gold) for gold in column["gold"]]
    previews = [next((o for outcomes in answered if (o := outcomes.get(item.id))), None) for item in items]
    column["gold_rows"] = [_preview(outcome, "gold") for outcome in previews]
    column["flags"] = [[words.flag(flag) for flag in outcome.flags] if outcome else [] for outcome in previews]
    column["reply"] = [
        [
            _query(outcomes.get(item.id), gold, rows, words)
            for item, gold, rows in zip(items, column["gold"], column["gold_rows"], strict=True)
        ]
        for outcomes in answered
    ]
    return column


class _Index:
    """Distinct names in the order met, and the place of each value among them."""

    def __init__(self, values: Any) -> None:
        listed = list(values)
        self.names: list[str] = list(dict.fromkeys(listed))
        self._place = {name: place for place, name in enumerate(self.names)}
        self.places = [self._place[value] for value in listed]

    def place(self, name: str) -> int:
        return self._place[name]


def _items(known: Mapping[str, Item], answered: Sequence[Mapping[str, Outcome]]) -> list[Item]:
    """Every item somebody answered; one whose question is unknown is made up from its outcome."""
    found: dict[str, Item] = {}
    for outcomes in answered:
        for outcome in outcomes.values():
            if outcome.item not in found:
                unknown = Item(outcome.item, outcome.group, "", outcome.gold, left_out=outcome.left_out)
                found[outcome.item] = known.get(outcome.item, unknown)
    return list(found.values())
