"""Which variants a study measures beside its base, and on which items: runs, adapters trained elsewhere, checkpoints,
scaled adapters.

Settings and the number of training examples enter; points in the order they are measured leave, none of them trained
or looked at yet.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from contrapeso.errors import StudyError
from contrapeso.models.engine import Point
from contrapeso.settings import EvaluateSettings, RunSettings
from contrapeso.tasks.base import Item
from contrapeso.training.order import optimizer_steps


def points_of(
    runs: Sequence[tuple[RunSettings, int]], adapters: Sequence[str], settings: EvaluateSettings
) -> tuple[Point, ...]:
    """Every variant with an adapter: first the runs and imported adapters as they are, then what lies on the way.

    Args:
        runs: each run with the number of examples it learns from.
        adapters: names of adapters trained elsewhere.
        settings: which checkpoints and scales are wanted.

    Raises:
        StudyError: a run has no such step as `evaluate.checkpoints` names.
    """
    ends = [Point(run.name) for run, _ in runs] + [Point(name, imported=True) for name in adapters]
    probe = settings.probe_items is not None
    scaled = [
        Point(end.origin, scale=scale, imported=end.imported, probe=probe)
        for end in ends
        for scale in settings.scales
        if scale != 1
    ]
    steps = [
        Point(run.name, step=step, probe=probe) for run, examples in runs for step in _steps(run, examples, settings)
    ]
    return (*ends, *steps, *scaled)


def _steps(run: RunSettings, examples: int, settings: EvaluateSettings) -> Iterator[int]:
    """The steps of a run that are measured, without its last, which is the run itself."""
    last = optimizer_steps(examples, run)
    if settings.checkpoints == "last":
        return
    if settings.checkpoints == "all":
        yield from range(run.checkpoint_steps, last, run.checkpoint_steps)
        return
    for step in sorted(set(settings.checkpoints)):
        if step > last:
            raise StudyError(
                f"evaluate.checkpoints names step {step}, but {run.name} has {last} steps ({examples} examples): name "
                'earlier ones, or "all" for those that training.checkpoint_steps saves'
            )
        if step < last:
            yield step


def probe_items(items: Sequence[Item], count: int, seed: int) -> tuple[Item, ...]:
    """A seeded part of the items that count, every group in proportion (by largest remainder).

    Args:
        items: of one task, in data-set order.
        count: how many; all that count when there are no more.
        seed: of the draw; the same items, count and seed give the same part on every machine.

    Returns:
        The part, in data-set order.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        if not item.left_out:
            groups.setdefault(item.group, []).append(item)
    total = sum(map(len, groups.values()))
    count = min(count, total)
    shares = {group: divmod(count * len(members), total) for group, members in groups.items()}
    rest = count - sum(whole for whole, _ in shares.values())
    rounded_up = set(sorted(shares, key=lambda group: (-shares[group][1], group))[:rest])
    draw = random.Random(seed)
    chosen = {
        item.id
        for group, members in groups.items()
        for item in draw.sample(members, shares[group][0] + (group in rounded_up))
    }
    return tuple(item for item in items if item.id in chosen)
