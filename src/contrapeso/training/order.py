"""In which order examples are learnt: random, yet with little padding, and fixed before training begins."""

from __future__ import annotations

import random
from collections.abc import Sequence

from contrapeso.settings import LoraSettings

STEPS_SORTED_TOGETHER = 16
"""Examples of so many steps are sorted by length together: less padding, and still a random order."""


def example_order(lengths: Sequence[int], settings: LoraSettings, seed: int) -> list[int]:
    """In which order examples are learnt, over all epochs.

    Fixed before training, so that a resumed run sees what it would have seen. Every epoch is a fresh shuffle; then
    examples of `STEPS_SORTED_TOGETHER` steps are sorted by length, cut into batches and the batches shuffled.

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
