"""Which variants are worth choosing between: the Pareto front of two tasks, with its uncertainty.

A variant dominates another when it is at least as good on both tasks and better on one. Comparisons between every two
variants enter, one per task; a `Standing` of each variant leaves. Comparing the two variants with each other, and not
each with the base, keeps what they share (the same hard questions, the same databases) out of the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from contrapeso.stats.intervals import CONFIDENCE, SIGNIFICANCE
from contrapeso.stats.means import Floats
from contrapeso.stats.paired import Comparison

ON_THE_FRONT, UNCERTAIN = "on the front", "uncertain"


@dataclass(frozen=True)
class Standing:
    """Where a variant stands among the others.

    Attributes:
        words: `dominated by X` when at least 95 % of resamples say so (the X with the most, if several); `on the front`
            when for no other variant more than 5 % do; otherwise `uncertain`.
        on_front: whether no other variant dominates it by the point estimates.
        dominated: other variant -> share of resamples in which it dominates this one.
    """

    words: str
    on_front: bool
    dominated: Mapping[str, float]


def pareto(pairs: Mapping[tuple[str, str], tuple[Comparison, Comparison]]) -> dict[str, Standing]:
    """Standing of every variant.

    Each draw of the target task is joined with one of the general task: they share no item, so their draws are
    independent as long as their seeds differ. What comes out are shares, not p-values: no prior, no adjustment for the
    number of variants.

    Args:
        pairs: (first, second) -> comparisons of the second against the first on the target and on the general task,
            with as many draws, from different seeds; every two variants once, in either order.

    Returns:
        Variant -> standing, in the order in which the names appear.
    """
    dominated: dict[str, dict[str, float]] = {name: {} for pair in pairs for name in pair}
    beaten: set[str] = set()
    for (first, second), (target, general) in pairs.items():
        draws, deltas = (target.draws.difference, general.draws.difference), (target.delta, general.delta)
        dominated[first][second] = _share(*draws)
        dominated[second][first] = _share(-draws[0], -draws[1])
        if min(deltas) >= 0 < max(deltas):
            beaten.add(first)
        if max(deltas) <= 0 > min(deltas):
            beaten.add(second)
    return {name: Standing(_words(shares), name not in beaten, shares) for name, shares in dominated.items()}


def _share(target: Floats, general: Floats) -> float:
    """Share of draws that are nowhere negative and somewhere positive."""
    return float(np.mean((target >= 0) & (general >= 0) & ((target > 0) | (general > 0))))


def _words(shares: Mapping[str, float]) -> str:
    best = max(shares, key=shares.__getitem__)
    if shares[best] >= CONFIDENCE:
        return f"dominated by {best}"
    return ON_THE_FRONT if shares[best] <= SIGNIFICANCE else UNCERTAIN
