"""Which variant to take under a budget, and what choosing it is worth.

Paired differences of several variants from the base enter, one per item of two tasks; a `Recommendation` leaves.

A variant may be taken when its loss is certainly within the budget (or its gain certainly at least what is asked): the
one-sided t bound of the paired difference, clustered by database on the target, stratified by subject on the general
task. Of those that may, the one with the most gain (the least loss) is recommended. Its confidence is shared out among
the m variants, 1 - (1 - confidence) / m each (Bonferroni): of ten that all lose exactly the budget, one would otherwise
pass in four studies of ten.

The best of several looks better than it is. So what the choice is worth is estimated on items it was not made on: the
databases and the general items are split in halves many times, the choice is made on one half by the same rule, and
the chosen variant is measured on the other. Reported are the mean over the splits and, as their interval, the medians
of the ends of every split's (1 - alpha / 2) interval: twice the median of many dependent p-values is a p-value. Half
the items prove less than all of them, so some halves allow no variant; they say nothing of what a choice is worth and
are left out of the means, but counted. Where most halves allow none the estimate is too bad rather than too good: a
half that looks cheap leaves the dear items to the other, 6.0 to 7.2 points for a true loss of 5 in simulations.

Source: Meinshausen, Meier and Bühlmann (2009), "p-values for high-dimensional regression", JASA 104, for the medians.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isinf, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from contrapeso.errors import DataError
from contrapeso.stats.distributions import quantile
from contrapeso.stats.means import Floats, Index, Mean, cluster_mean, stratified_mean

SPLITS = 200
LEAST_DATABASES = 4
"""With fewer there are no two in each half: items are split instead."""
By = Literal["max_loss", "min_gain"]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Differences:
    """A variant against the base on the items of one task.

    Attributes:
        values: shape (n,), variant - base: -1, 0 or 1 for right and wrong.
        items: shape (n,), number of each item among all items of the task.
        groups: shape (n,), number of its group (database or subject) among all groups of the task.
    """

    values: Floats
    items: Index
    groups: Index


@dataclass(frozen=True)
class Candidate:
    """A variant that could be taken.

    Attributes:
        name: display name.
        target: its differences on the task it was tuned for.
        general: on the general task.
    """

    name: str
    target: Differences
    general: Differences


@dataclass(frozen=True)
class Weighed:
    """What is known of a candidate on some items.

    Attributes:
        name: display name.
        gain, loss: fractions, both positive when the expected happens.
        gain_error, loss_error: their standard errors.
        gain_degrees: degrees of freedom of the gain's error; None where it has a normal one, as the loss has.
        n_target, n_general: items it is weighed on; fewer for a variant that was only probed.
        bound: the least gain (`min_gain`) or the most loss (`max_loss`) that the confidence leaves open.
        allowed: whether the bound is within the budget.
    """

    name: str
    gain: float
    loss: float
    gain_error: float
    loss_error: float
    gain_degrees: float | None
    n_target: int
    n_general: int
    bound: float
    allowed: bool


@dataclass(frozen=True)
class HeldOut:
    """What the choice is worth on items it was not made on. None where no half allowed any variant.

    Attributes:
        gain, loss: means over the splits in which a variant was chosen.
        gain_ci, loss_ci: their intervals.
        flattery: gain on the half that chose, less gain on the other half: what choosing adds to what is true.
        chosen: variant -> share of the splits in which it was chosen; "" where none was allowed.
    """

    gain: float | None
    loss: float | None
    gain_ci: tuple[float, float] | None
    loss_ci: tuple[float, float] | None
    flattery: float | None
    chosen: Mapping[str, float]


@dataclass(frozen=True)
class Recommendation:
    """Which variant to take.

    Attributes:
        chosen: its name; None when none is certainly within the budget.
        candidates: every variant on all items, in the order given.
        held_out: what choosing so is worth.
    """

    chosen: str | None
    candidates: tuple[Weighed, ...]
    held_out: HeldOut


@dataclass(frozen=True)
class Rule:
    """How a choice is made.

    Attributes:
        by: `max_loss`: the most gain among those that lose at most `budget`; `min_gain`: the least loss among those
            that gain at least it.
        budget: fraction, positive.
        confidence: that what is chosen is within the budget, whichever it is; and of the intervals.
    """

    by: By
    budget: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.budget < 1 or not 0.5 < self.confidence < 1:
            raise DataError(
                f"a budget lies between 0 and 100 points and a confidence between 0.5 and 1; got {100 * self.budget:g} "
                f"points and {self.confidence:g}"
            )


def recommend(candidates: Sequence[Candidate], rule: Rule, *, seed: int, splits: int = SPLITS) -> Recommendation:
    """Choose a variant on all items, and estimate on halves what choosing so is worth; see the module's docstring.

    Args:
        candidates: variants, every one measured on some of the same items; differences are numbered alike.
        rule: what may be taken and what is best.
        seed: of the splits.
        splits: how many.

    Raises:
        DataError: there is no candidate.
    """
    if not candidates:
        raise DataError("there is no variant to choose from: every one needs a valid measurement on both tasks")
    weighed = tuple(_weigh(candidate, rule, among=len(candidates)) for candidate in candidates)
    best = _best(weighed, rule)
    return Recommendation(best.name if best else None, weighed, _held_out(candidates, rule, seed=seed, splits=splits))


def _held_out(candidates: Sequence[Candidate], rule: Rule, *, seed: int, splits: int) -> HeldOut:
    generator = np.random.default_rng(seed)
    target_items, target_groups = _all([candidate.target for candidate in candidates])
    general_items, general_groups = _all([candidate.general for candidate in candidates])
    rows, names = [], Counter[str]()
    for _ in range(splits):
        first_target = _half(target_items, target_groups, generator, whole_groups=True)
        first_general = _half(general_items, general_groups, generator, whole_groups=False)
        here = [_part(candidate, first_target, first_general) for candidate in candidates]
        best = _best([_weigh(candidate, rule, among=len(here)) for candidate in here], rule)
        names[best.name if best else ""] += 1
        if best is None:
            continue
        (chosen,) = (candidate for candidate in candidates if candidate.name == best.name)
        there = _weigh(_part(chosen, ~first_target, ~first_general), rule, among=1)
        if not there.n_target or not there.n_general:  # nothing is known of it there
            continue
        wide = 1 - (1 - rule.confidence) / 4
        gain = there.gain_error * quantile(wide, inf if there.gain_degrees is None else there.gain_degrees)
        loss = there.loss_error * quantile(wide, inf)
        ends = (there.gain - gain, there.gain + gain, there.loss - loss, there.loss + loss)
        rows.append((there.gain, there.loss, best.gain - there.gain, *ends))
    shares = {name: count / splits for name, count in names.most_common()}
    if not rows:
        return HeldOut(None, None, None, None, None, shares)
    means, middle = (of(np.asarray(rows), axis=0).tolist() for of in (np.mean, np.median))
    return HeldOut(
        gain=means[0],
        loss=means[1],
        gain_ci=(max(-1.0, middle[3]), min(1.0, middle[4])),
        loss_ci=(max(-1.0, middle[5]), min(1.0, middle[6])),
        flattery=means[2],
        chosen=shares,
    )


def _best(weighed: Sequence[Weighed], rule: Rule) -> Weighed | None:
    """Of those allowed the best; of equally good ones the one that is better on the other task."""
    allowed = [candidate for candidate in weighed if candidate.allowed]
    if rule.by == "max_loss":
        return max(allowed, key=lambda candidate: (candidate.gain, -candidate.loss), default=None)
    return min(allowed, key=lambda candidate: (candidate.loss, -candidate.gain), default=None)


def _weigh(candidate: Candidate, rule: Rule, *, among: int) -> Weighed:
    level = 1 - (1 - rule.confidence) / among
    n_target, n_general = len(candidate.target.values), len(candidate.general.values)
    if not n_target or not n_general:  # a few probe items, all in one half
        return Weighed(candidate.name, 0.0, 0.0, 1.0, 1.0, None, n_target, n_general, bound=1.0, allowed=False)
    target = _mean(candidate.target, clustered=True)
    general = _mean(candidate.general, clustered=False)
    if rule.by == "max_loss":
        # At the budget at least that share of items has changed: no handful of changes passes for certainty.
        error = max(general.standard_error, sqrt(rule.budget * (1 - rule.budget) / n_general))
        bound = -general.mean + error * quantile(level, general.degrees)
        allowed = bound <= rule.budget and target.mean > 0
    else:
        error = max(target.standard_error, sqrt(rule.budget * (1 - rule.budget) / n_target))
        bound = target.mean - error * quantile(level, target.degrees)
        allowed = bound >= rule.budget
    return Weighed(
        candidate.name,
        gain=target.mean,
        loss=0.0 - general.mean,
        gain_error=target.standard_error,
        loss_error=general.standard_error,
        gain_degrees=None if isinf(target.degrees) else target.degrees,
        n_target=n_target,
        n_general=n_general,
        bound=bound,
        allowed=allowed,
    )


def _mean(differences: Differences, *, clustered: bool) -> Mean:
    names, index = np.unique(differences.groups, return_inverse=True)
    if clustered and len(names) > 1:
        return cluster_mean(differences.values, index)
    return stratified_mean(differences.values, np.zeros_like(index) if clustered else index)


def _all(samples: Sequence[Differences]) -> tuple[Index, Index]:
    """Every item that any candidate was asked, and its group."""
    items, first = np.unique(np.concatenate([sample.items for sample in samples]), return_index=True)
    return items, np.concatenate([sample.groups for sample in samples])[first]


def _half(items: Index, groups: Index, generator: np.random.Generator, *, whole_groups: bool) -> Mask:
    """Half of the items by their number: whole groups where there are enough, else half of every group."""
    chosen = np.zeros(int(items.max()) + 1, dtype=bool)
    names = np.unique(groups)
    if whole_groups and len(names) >= LEAST_DATABASES:
        mine = generator.permutation(names)[: (len(names) + int(generator.integers(2))) // 2]
        chosen[items[np.isin(groups, mine)]] = True
        return chosen
    order = np.lexsort((generator.random(len(items)), groups))
    chosen[items[order[int(generator.integers(2)) :: 2]]] = True
    return chosen


def _part(candidate: Candidate, target: Mask, general: Mask) -> Candidate:
    return Candidate(candidate.name, _taken(candidate.target, target), _taken(candidate.general, general))


def _taken(sample: Differences, mask: Mask) -> Differences:
    keep = mask[sample.items]
    return Differences(sample.values[keep], sample.items[keep], sample.groups[keep])
