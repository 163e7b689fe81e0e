"""Two variants on the same items: the difference, how sure it is, and what it may be called.

Arrays of right and wrong enter, one entry an item, in the same order for both variants; a `Comparison` leaves. All
randomness comes from the `seed` argument.

**The interval** is a percentile bootstrap of d_i = b_i - a_i in {-1, 0, 1}; see `resampling` for the two schemes,
whole databases (`cluster`) or items within each subject (`stratified`). Groups that moved as one are no certainty:

- Items are resampled without groups (`items`) when databases moved exactly alike, or when the stratified variance is
  less than half of the unstratified. Real subjects differ too little for that (5 points between them, 10 % of the
  answers changed: 97.5 %), but a subject whose every answer changed, however small it is, adds no variance.
- Where every item has the same d, the share of items that would behave otherwise is bounded exactly: at most
  1 - 0.025^(1/n), each moving the difference by at most 1 (2 when every item changed).

**The test.** Exact McNemar is right when items are independent given their subject. It is not when databases move
together: under no overall effect, with effects that differ by 10 points between Spider dev's databases, it rejects 27 %
of the time at a nominal 5 %. `p` is always McNemar's, because readers ask for it; `p_verdict` is what the verdict rests
on: for `cluster` the larger of McNemar's and the cluster-robust t test's (CR2, Satterthwaite; 5 to 6 % in the same
simulations), McNemar's otherwise. The larger, because a handful of databases that happen to move alike look certain to
a t test: three items of three databases, all gained, are p 0.25 by McNemar, whatever their spread.
A permutation of signs by database rejects 3 to 5 %, but can never reach 5 % with five databases.

**No difference** is a finding too: `equivalence` tests it against the largest difference that would not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Literal

import numpy as np

from contrapeso.errors import DataError
from contrapeso.stats.distributions import fair_coin_tail, quantile, upper_tail
from contrapeso.stats.intervals import CONFIDENCE, SIGNIFICANCE
from contrapeso.stats.means import Floats, Index, Mean, cluster_mean, stratified_mean
from contrapeso.stats.resampling import Answers, Draws, cluster_draws, percentile_interval, stratified_draws

Scheme = Literal["cluster", "stratified"]

RESAMPLES = 10_000
LEAST_STRATIFIED = 0.5
"""Share of the unstratified variance below which a stratified one is not believed."""


@dataclass(frozen=True)
class Comparison:
    """Variant b against variant a on the same items.

    Attributes:
        n: number of items.
        base: accuracy of a, fraction.
        delta: accuracy of b - accuracy of a, fraction in [-1, 1].
        ci: interval of `delta`.
        lost_items, gained_items: places of the items that a alone, or b alone, answered correctly; ascending.
        p: two-sided exact McNemar p-value.
        p_verdict: the two-sided p-value a verdict rests on: for `cluster` the larger of `p` and the cluster-robust t
            test's, else `p`.
        scheme: what was resampled: `cluster`, `stratified`, or `items` when groups cannot tell: there is only one
            cluster, all moved exactly alike, or strata moved as one.
        groups: number of distinct groups.
        standard_error: of `delta`, under `scheme`.
        degrees: degrees of freedom of the standard error; infinite unless `scheme` is `cluster`.
        design_effect: variance of `delta` under `scheme` / its variance if items were independent.
        draws: resampled differences and accuracies of a, for quantities derived from several comparisons.
    """

    n: int
    base: float
    delta: float
    ci: tuple[float, float]
    lost_items: tuple[int, ...] = field(repr=False)
    gained_items: tuple[int, ...] = field(repr=False)
    p: float
    p_verdict: float
    scheme: str
    groups: int
    standard_error: float
    degrees: float
    design_effect: float
    draws: Draws = field(repr=False, compare=False)

    @property
    def lost(self) -> int:
        """Number of items that a alone answered correctly."""
        return len(self.lost_items)

    @property
    def gained(self) -> int:
        """Number of items that b alone answered correctly."""
        return len(self.gained_items)

    @property
    def discordant_share(self) -> float:
        """Share of items on which the variants disagree."""
        return (self.lost + self.gained) / self.n

    @property
    def uniform(self) -> bool:
        """Whether every item did the same (stayed, was lost, or was gained), so that no two resamples differ."""
        return self.n in (self.lost, self.gained, self.n - self.lost - self.gained)


@dataclass(frozen=True)
class Equivalence:
    """Whether a difference is smaller than what would matter.

    Attributes:
        margin: the largest difference that would not matter, fraction.
        p: p-value of the two one-sided tests.
        ci: the interval at twice their level (90 % for 5 %); it lies within +- `margin` when they reject.
        equivalent: whether both tests reject at 5 %.
    """

    margin: float
    p: float
    ci: tuple[float, float]
    equivalent: bool


def compare(
    correct_a: Sequence[bool],
    correct_b: Sequence[bool],
    groups: Sequence[str],
    *,
    scheme: Scheme,
    seed: int,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Difference in accuracy of two variants that answered the same items; methods in the module's docstring.

    Args:
        correct_a: shape (n,), right or wrong, the reference variant.
        correct_b: shape (n,), the variant compared with it.
        groups: shape (n,), group of each item.
        scheme: `cluster` or `stratified`.
        seed: seed of the resampling.
        resamples: number of bootstrap resamples.

    Returns:
        The comparison; positive `delta` means that b is better.

    Raises:
        DataError: the arrays differ in length or are empty.
    """
    if not len(correct_a) == len(correct_b) == len(groups) or not len(groups):
        raise DataError(
            f"a paired comparison needs the same items for both variants, got {len(correct_a)} and {len(correct_b)} "
            f"answers with {len(groups)} groups"
        )
    a, b = np.asarray(correct_a, dtype=np.int64), np.asarray(correct_b, dtype=np.int64)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    lost, gained = np.flatnonzero(a > b), np.flatnonzero(b > a)
    p = mcnemar_p(len(lost), len(gained))
    used, measured, draws = _spread(a, b, index, scheme=scheme, resamples=resamples, seed=seed)
    return Comparison(
        n=len(a),
        base=float(a.mean()),
        delta=measured.mean,
        ci=_interval(draws.difference, b - a),
        lost_items=tuple(lost.tolist()),
        gained_items=tuple(gained.tolist()),
        p=p,
        p_verdict=max(p, two_sided(measured)) if used == "cluster" else p,
        scheme=used,
        groups=len(names),
        standard_error=measured.standard_error,
        degrees=measured.degrees,
        design_effect=measured.design_effect,
        draws=draws,
    )


def mcnemar_p(lost: int, gained: int) -> float:
    """Two-sided exact McNemar p-value: a binomial test of `lost` among the changed items against one half.

    Exact means conservative: at a nominal 5 % it rejects 2.1 % with 10 changed items, 3.5 % with 100, 4.6 % with 1,000.

    Args:
        lost: items only the first variant answered correctly.
        gained: items only the second variant answered correctly.

    Returns:
        The p-value; 1 when no item changed.

    Source: McNemar (1947), "Note on the sampling error of the difference between correlated proportions".
    """
    return min(1.0, 2 * fair_coin_tail(min(lost, gained), lost + gained))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several: Holm's step-down method, in the order given.

    The k-th smallest of m is multiplied by m - k + 1, and none may fall below the one before it.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6.
    """
    adjusted, floor = [0.0] * len(p_values), 0.0
    for place, which in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, (len(p_values) - place) * p_values[which]))
        adjusted[which] = floor
    return adjusted


def equivalence(comparison: Comparison, margin: float) -> Equivalence:
    """Two one-sided tests: is the difference certainly larger than -margin and certainly smaller than +margin?

        p = max(P(T > (margin + delta) / se), P(T > (margin - delta) / se)),   T ~ t with the comparison's degrees

    which is at most 5 % just when the 90 % interval lies within +- margin. At the margin at least that share of items
    has changed, so se is at least sqrt(margin (1 - margin) / n): a handful of changes that happen to cancel out does
    not pass for certainty. Not adjusted for several runs: each claim is about its own run.

    Args:
        comparison: the paired comparison.
        margin: the largest difference that would not matter, fraction in (0, 1).

    Returns:
        The test's result.

    Raises:
        DataError: the margin is not a fraction between 0 and 1.

    Source: Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15; the floor is the restricted variance of
        Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
        paired-sample design", Statistics in Medicine 17, at its smallest.
    """
    if not 0 < margin < 1:
        raise DataError(f"equivalence needs a margin between 0 and 1 (0 and 100 points), got {margin}")
    error = max(comparison.standard_error, sqrt(margin * (1 - margin) / comparison.n))
    p = max(upper_tail((margin + side * comparison.delta) / error, comparison.degrees) for side in (-1, 1))
    half = error * quantile(1 - SIGNIFICANCE, comparison.degrees)
    interval = (comparison.delta - half, comparison.delta + half)
    return Equivalence(margin=margin, p=p, ci=interval, equivalent=p <= SIGNIFICANCE)


def verdict(comparison: Comparison, p_holm: float, *, margin: float) -> str:
    """What a comparison may be called, in words.

    - `gain` or `loss`: the interval excludes 0 **and** the adjusted p-value is at most 0.05. Both, because the
      interval does not know of the other runs, and McNemar's test is exact where a bootstrap is not.
    - `no difference larger than X points`: otherwise, when `equivalence` rejects; X, at most `margin`, is the farther
      end of its 90 % interval: the smallest margin at which it would still reject.
    - `not distinguishable at this n (up to X points)`: otherwise; X is the farther end of the 95 % interval.

    Args:
        comparison: the paired comparison.
        p_holm: its `p_verdict` after adjustment for the number of runs.
        margin: the largest difference that would not matter, fraction in (0, 1).

    Returns:
        The words.
    """
    low, high = comparison.ci
    if (low > 0 or high < 0) and p_holm <= SIGNIFICANCE:
        return "gain" if low > 0 else "loss"
    harmless = equivalence(comparison, margin)
    if harmless.equivalent:
        return f"no difference larger than {_rounded_up(harmless.ci)} points"
    return f"not distinguishable at this n (up to {_rounded_up(comparison.ci)} points)"


def two_sided(measured: Mean) -> float:
    """Two-sided p-value of a mean against 0, by its t statistic; the standard error is not 0."""
    return 2 * upper_tail(abs(measured.mean) / measured.standard_error, measured.degrees)


def _spread(
    a: Answers, b: Answers, index: Index, *, scheme: Scheme, resamples: int, seed: int
) -> tuple[str, Mean, Draws]:
    """What can be resampled, the mean difference with its error, and the resamples."""
    generator = np.random.default_rng(seed)
    if scheme == "cluster" and index.any():
        measured = cluster_mean(b - a, index)
        if measured.standard_error:
            draws = cluster_draws(a, b, index, resamples=resamples, confidence=CONFIDENCE, generator=generator)
            return scheme, measured, draws
    measured = stratified_mean(b - a, index)
    used = "stratified" if scheme == "stratified" and measured.design_effect >= LEAST_STRATIFIED else "items"
    if used == "items":
        index = np.zeros_like(index)
        measured = stratified_mean(b - a, index)
    return used, measured, stratified_draws(a, b, index, resamples=resamples, generator=generator)


def _interval(draws: Floats, difference: Answers) -> tuple[float, float]:
    """Percentile interval, or the exact bound of the module's docstring when all differences are the same."""
    low, high = percentile_interval(draws, confidence=CONFIDENCE)
    same = int(difference[0])
    if (difference == same).all():
        reach = (1 + abs(same)) * (1 - (SIGNIFICANCE / 2) ** (1 / len(difference)))
        low, high = same - reach, same + reach
    return max(-1.0, low), min(1.0, high)


def _rounded_up(ci: tuple[float, float]) -> str:
    """The farther end in points, never printed smaller than it is: 1.41 -> `1.5`."""
    return f"{ceil(1000 * max(abs(end) for end in ci) - 1e-9) / 10:.1f}"
