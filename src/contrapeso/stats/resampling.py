"""Bootstrap resamples of two variants' answers: the difference between them and the reference's accuracy, together.

Right and wrong answers and the group of each item enter; `Draws` leave, stretched so that their quantiles are honest
for few groups. All randomness comes from the generator passed in.

- `cluster_draws` resamples whole groups: questions about one database fail together, and the next user has another
  database. With few groups the plain percentile interval is too narrow, so deviations from the mean are stretched by
  (CR2 standard error / bootstrap standard error) * t / z, which for G equal groups is Hesterberg's
  sqrt(G / (G - 1)) t_{G-1} / z (2015, section 5.3). Coverage of a nominal 95 % when effects differ between databases
  (standard deviation 10 points), Spider dev's 20 uneven ones / 8 of 44 questions: as if items were independent 71 /
  79 %, plain 93 / 90 %, stretched 95 / 95 %.
- `stratified_draws` resamples items within each group, because the list of subjects is fixed. Deviations of a stratum
  of m items are stretched by sqrt(m / (m - 1)); strata of fewer than 10 items are pooled.

Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", ch. 13; Hesterberg (2015), "What teachers
    should know about the bootstrap", The American Statistician 69; the CR2 standard error is that of `means`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from contrapeso.stats.distributions import quantile
from contrapeso.stats.means import Floats, Index, cluster_mean, strata

Answers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """Resamples of one paired comparison.

    Attributes:
        difference: resampled differences b - a, shape (resamples,).
        base: resampled accuracies of a, shape (resamples,), from the same resamples.
    """

    difference: Floats
    base: Floats


def cluster_draws(
    a: Answers, b: Answers, index: Index, *, resamples: int, confidence: float, generator: np.random.Generator
) -> Draws:
    """Resample whole groups with replacement. Group sums and sizes suffice, so items are never touched.

    Args:
        a, b: shape (n,), 0 or 1 an item.
        index: shape (n,), group of each item, numbered from 0 without gaps, at least two groups.
        resamples: number of resamples.
        confidence: coverage at which the stretch is exact.
        generator: source of randomness.

    Returns:
        The stretched draws.
    """
    sizes = np.bincount(index)
    count = len(sizes)
    times = generator.multinomial(count, np.full(count, 1 / count), size=resamples)

    def stretched(values: Answers) -> Floats:
        measured = cluster_mean(values, index)
        if not measured.standard_error:
            return np.full(resamples, measured.mean)
        sums = np.bincount(index, weights=values)
        plain = float(np.sqrt(((sums - measured.mean * sizes) ** 2).sum())) / len(values)
        level = (1 + confidence) / 2
        stretch = measured.standard_error / plain * quantile(level, measured.degrees) / quantile(level, inf)
        return np.asarray(measured.mean + stretch * ((times @ sums) / (times @ sizes) - measured.mean))

    return Draws(difference=stretched(b - a), base=stretched(a))


def stratified_draws(a: Answers, b: Answers, index: Index, *, resamples: int, generator: np.random.Generator) -> Draws:
    """Resample items within groups. Only the four patterns of (a, b) matter, so each stratum is one multinomial draw.

    Args:
        a, b: shape (n,), 0 or 1 an item.
        index: shape (n,), group of each item, numbered from 0 without gaps.
        resamples: number of resamples.
        generator: source of randomness.

    Returns:
        The draws.
    """
    n, stratum = len(a), strata(index)
    patterns = np.array([[0, 0], [1, 0], [-1, 1], [0, 1]])  # (b - a, a) of pattern 2 a + b
    totals = np.zeros((resamples, 2))
    for name in np.unique(stratum):
        inside = stratum == name
        found = np.bincount(2 * a[inside] + b[inside], minlength=4)
        m = int(found.sum())
        deviation = generator.multinomial(m, found / m, size=resamples) - found
        totals += np.sqrt(m / max(1, m - 1)) * (deviation @ patterns)
    return Draws(difference=(b - a).mean() + totals[:, 0] / n, base=a.mean() + totals[:, 1] / n)


def percentile_interval(draws: Floats, *, confidence: float) -> tuple[float, float]:
    """The interval that leaves out at most (1 - confidence) / 2 of the draws on either side.

    Its ends are draws, the outer ones of the two around each quantile: they are the same whether a difference or a
    ratio of it is asked about, and there may be infinite ones among them, between which nothing can be interpolated.

    Args:
        draws: shape (resamples,).
        confidence: nominal coverage.

    Returns:
        (low, high).
    """
    tail = (1 - confidence) / 2
    return float(np.quantile(draws, tail, method="lower")), float(np.quantile(draws, 1 - tail, method="higher"))
