"""In which order examples are learnt: random, yet with little to compute, and fixed before training begins.

Fixed before training, so that a resumed run sees what it would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

from contrapeso.settings import LoraSettings

STEPS_SORTED_TOGETHER = 16
"""Examples of so many steps are sorted by length together: less padding, and still a random order."""


def example_order(lengths: Sequence[int], settings: LoraSettings, seed: int) -> list[int]:
    """In which order examples are learnt, over all epochs.

    Every epoch is a fresh shuffle; then examples of `STEPS_SORTED_TOGETHER` steps are sorted by length, cut into
    batches and the batches shuffled.

    Args:
        lengths: tokens of each example.
        settings: epochs and batch sizes.
        seed: of the shuffles.

    Returns:
        Places in `lengths`, `round(epochs * len(lengths))` of them and at least one.
    """
    shuffle = random.Random(seed)
    total = max(1, round(settings.epochs * len(lengths)))
    stream: list[int] = []
    while len(stream) < total:
        stream += shuffle.sample(range(len(lengths)), len(lengths))
    stream = stream[:total]
    step = settings.batch_size * settings.gradient_accumulation
    ordered: list[int] = []
    for start in range(0, total, step * STEPS_SORTED_TOGETHER):
        together = sorted(stream[start : start + step * STEPS_SORTED_TOGETHER], key=lambda index: lengths[index])
        full = len(together) // step * step
        batches = [together[at : at + step] for at in range(0, full, step)]
        shuffle.shuffle(batches)
        # What does not fill a step stays at the end, or every later batch would be cut askew.
        ordered += [index for batch in batches for index in batch] + together[full:]
    return ordered


def optimizer_steps(examples: int, settings: LoraSettings) -> int:
    """How many optimizer steps a run takes.

    Args:
        examples: how many it learns from, replayed ones included.
        settings: epochs and examples a step.
    """
    total = max(1, round(settings.epochs * examples))
    return -(-total // (settings.batch_size * settings.gradient_accumulation))


def grouped_order(groups: Sequence[int], settings: LoraSettings, seed: int) -> list[int]:
    """In which order examples are learnt when those about one database share its schema, over all epochs.

    In every epoch the examples of each database are shuffled and cut into equal chunks of at most
    `examples a step / databases_per_step`, and the chunks dealt out at random. A step takes chunks of different
    databases while there are any.

    Args:
        groups: the database of each example, as a number.
        settings: epochs, examples a step and databases a step.
        seed: of the shuffles.

    Returns:
        Places in `groups`, `round(epochs * len(groups))` of them and at least one; every example once an epoch. Each
        `batch_size * gradient_accumulation` of them are a step.
    """
    shuffle = random.Random(seed)
    total = max(1, round(settings.epochs * len(groups)))
    step = settings.batch_size * settings.gradient_accumulation
    ordered: list[int] = []
    while len(ordered) < total:
        chunks = _chunks(groups, max(1, step // settings.databases_per_step), shuffle)
        while chunks:
            begun = len(ordered) % step
            used = {groups[index] for index in ordered[len(ordered) - begun :]}
            other = (place for place, chunk in enumerate(chunks) if groups[chunk[0]] not in used)
            chunk = chunks.pop(next(other, 0))
            ordered += chunk[: step - begun]
            if chunk[step - begun :]:  # the next step begins with what has no room in this one
                chunks.insert(0, chunk[step - begun :])
    return ordered[:total]


def _chunks(groups: Sequence[int], size: int, shuffle: random.Random) -> list[list[int]]:
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    chunks = []
    for indexes in members.values():
        shuffle.shuffle(indexes)
        count = -(-len(indexes) // size)
        cuts = [len(indexes) * number // count for number in range(count + 1)]
        chunks += [indexes[start:end] for start, end in pairwise(cuts)]
    shuffle.shuffle(chunks)
    return chunks
