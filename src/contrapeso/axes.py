"""The further axes of a study: one more thing each that the model knew before.

Their settings and the general task enter; tasks leave, each with what it is. No weights are loaded.

Two of them ask the general questions once more, to tell forgetting from format: `shuffled` with the options in another
order, `full_text` without any letters. Both leave out questions whose options speak of one another ("all of the
above"), which make no sense so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from contrapeso.data.choices import load_choices
from contrapeso.errors import DataError
from contrapeso.points import probe_items
from contrapeso.report.measurement import Axis
from contrapeso.settings import AxisSettings
from contrapeso.tasks.base import Item, Task, option_letters
from contrapeso.tasks.full_text import QUESTION, FullText
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.tasks.perplexity import Perplexity, load_passages

OF_EACH_OTHER = re.compile(
    r"\b(all|none|both|neither|either|any|two|most)\b.*\b(above|below|these|those|them|options|answers|choices)\b"
    r"|\b(above|preceding|foregoing)\b|^\W*(both|neither|either)?\W*\(?[a-d]\)?\W+(and|or|nor|&)\W+\(?[a-d]\)?\W*(only)?\W*$",
    re.IGNORECASE,
)


def read_axes(axes: Sequence[AxisSettings], general: MultipleChoice, *, seed: int) -> tuple[tuple[Task, Axis], ...]:
    """The tasks of all axes, in order.

    Args:
        axes: their settings.
        general: the general task, whose questions some of them ask again.
        seed: of the study; draws items and orders of options.

    Raises:
        DataError: a file is missing or malformed, or holds too little; the message names it.
        ResourceError: lm-evaluation-harness is asked for and not installed.
    """
    found: list[tuple[Task, Axis]] = []
    first_of: dict[tuple[str, str], str] = {}  # what is read -> the axis that reads it first
    for settings in axes:
        source = (settings.kind, settings.data or general.name)
        again = first_of.setdefault(source, settings.name) if settings.data else general.name
        task = READERS[settings.kind](settings, general, seed)
        found.append((task, Axis(settings.kind, again if again != settings.name else "")))
    return tuple(found)


def stands_alone(item: Item) -> bool:
    """Whether no option speaks of another one, so that they can be put in any order or asked one by one."""
    return not any(OF_EACH_OTHER.search(choice) for choice in item.choices)


def in_another_order(item: Item, seed: int) -> Item:
    """The item with its options in another order than their own; its gold letter goes with them.

    Args:
        item: with two options or more.
        seed: of the study; an item's order depends on it and on the item's id alone.
    """
    places = list(range(len(item.choices)))
    draw, order = random.Random(f"{seed} {item.id}"), places
    while order == places:
        order = draw.sample(places, len(places))
    letters = option_letters(len(order))
    gold = letters[order.index(letters.index(item.gold))]
    return replace(item, choices=tuple(item.choices[place] for place in order), gold=gold)


def _shuffled(settings: AxisSettings, general: MultipleChoice, seed: int) -> Task:
    items = tuple(in_another_order(item, seed) for item in _asked_again(settings, general, seed))
    return replace(general, items=items, name=settings.name)


def _full_text(settings: AxisSettings, general: MultipleChoice, seed: int) -> Task:
    items = _asked_again(settings, general, seed)
    shots = general.shots if settings.shots is None else settings.shots
    fewest = min((len(general.dev_shots.get(item.group, ())) for item in items), default=0)
    if fewest < shots:
        raise DataError(f"axis {settings.name}: a subject has {fewest} dev questions, fewer than {shots} shots")
    template = settings.prompt or QUESTION
    return FullText(items, settings.name, template=template, dev_shots=general.dev_shots, shots=shots)


def _asked_again(settings: AxisSettings, general: MultipleChoice, seed: int) -> tuple[Item, ...]:
    items = [item for item in general.items if not item.left_out and stands_alone(item)]
    return _part(items, settings, seed)


def _choices(settings: AxisSettings, general: MultipleChoice, seed: int) -> Task:
    items = _part(load_choices(settings.data or "", prefix=_ids(settings)), settings, seed)
    if settings.scoring == "text":
        return FullText(items, settings.name, template=settings.prompt or QUESTION)
    counts = sorted({len(item.choices) for item in items})
    if len(counts) > 1:
        raise DataError(
            f"axis {settings.name}: questions of {settings.data} have {' or '.join(map(str, counts))} options, and "
            'letters need the same number everywhere; set scoring = "text"'
        )
    return MultipleChoice(items, {}, shots=0, name=settings.name, letters=option_letters(counts[0]))


def _perplexity(settings: AxisSettings, general: MultipleChoice, seed: int) -> Task:
    passages = load_passages(settings.data or "")
    named = [replace(passage, id=f"{_ids(settings)}/{place:04d}") for place, passage in enumerate(passages)]
    items = _part(named, settings, seed)
    if len(items) < 2:
        raise DataError(
            f"axis {settings.name}: one passage of {settings.data} tells nothing about another; divide it by blank "
            "lines, or raise limit"
        )
    return Perplexity(items, settings.name)


def _lm_eval(settings: AxisSettings, general: MultipleChoice, seed: int) -> Task:
    from contrapeso.integrations.lm_eval import harness_task

    return harness_task(settings.name, settings.data or "", shots=settings.shots, limit=settings.limit, seed=seed)


def _part(items: Sequence[Item], settings: AxisSettings, seed: int) -> tuple[Item, ...]:
    if not items:
        raise DataError(f"axis {settings.name} has no item that can be asked")
    return tuple(items) if settings.limit is None else probe_items(items, settings.limit, seed)


def _ids(settings: AxisSettings) -> str:
    """What begins the ids of an axis' own items: no other task's begin so."""
    return f"axes/{settings.name}"


READERS: Mapping[str, Callable[[AxisSettings, MultipleChoice, int], Task]] = {
    "choices": _choices,
    "shuffled": _shuffled,
    "full_text": _full_text,
    "perplexity": _perplexity,
    "lm_eval": _lm_eval,
}
"""How each kind of axis becomes a task. A new kind is one function and one line here."""
