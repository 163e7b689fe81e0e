"""Intervals for one proportion: Wilson's for independent items, and one that knows of clusters.

Counts or right and wrong answers enter, fractions leave. Differences between two variants are paired and live in
`paired`.

Which one: an accuracy on MMLU or on one database speaks of more questions like these, and `wilson_interval` is right.
A text-to-SQL accuracy should hold for databases the model has not seen, and questions about one database succeed or
fail together (intraclass correlation 0.05 to 0.11, design effect 5 to 10, for three published systems on Spider dev),
so it takes `accuracy_interval` with `clusters`. Coverage of a nominal 95 %, in simulated studies with Spider dev's 20
databases, by true accuracy (beta-binomial with correlation 0.1; 20,000 studies each):

                                                              9 %    20 %    50 %    76 %    90 %    97 %
    Wilson, as if items were independent                     51.0    52.3    51.4    52.0    52.4    51.2
    mean +- t_{G-1} CR1, the usual cluster-robust interval   90.6    93.2    93.7    93.3    91.1    84.4
    mean +- t CR2, Satterthwaite's degrees                   91.3    94.0    94.6    93.9    91.8    85.0
    Wilson on the effective n, CR2, t  (the one used here)   93.4    94.7    94.9    94.5    93.7    90.1

The last stays inside [0, 1] and keeps its promise where published systems are. Beyond 97 % (or under 3 %) no form
does: a few clusters that happen not to be in the sample hold most of the errors. `benchmarks/calibration.py`
measures what is used.

The design effect is never taken as less than 1. Questions about one database do not repel each other: a smaller one is
the noise of few clusters, and it would narrow the interval just when chance made the databases look alike. Coverage
without that floor and with it, accuracy 76 %, by correlation (20,000 studies each):

                                                    0            0.05          0.1
    Spider dev's 20 databases                  95.0   97.5    94.6   94.6   94.4   94.4
    8 databases of 44 questions                95.2   98.8    95.1   95.5   94.9   95.0
    3 databases of 100 questions               95.4   99.97   95.1   98.2   95.1   96.8

It costs where items are independent after all, which published systems are not, and with three databases, which say
little about others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from contrapeso.errors import DataError
from contrapeso.stats.distributions import quantile
from contrapeso.stats.means import cluster_mean

SIGNIFICANCE = 0.05
CONFIDENCE = 1 - SIGNIFICANCE


@dataclass(frozen=True)
class Interval:
    """An interval of a proportion.

    Attributes:
        low, high: fractions in [0, 1].
        method: `wilson`, `cluster`, or `wilson (one cluster)` when clusters were given but there was only one, which
            says nothing about others.
    """

    low: float
    high: float
    method: str


def wilson_interval(correct: int, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson score interval of a proportion.

        (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n),   p = correct / n

    It stays inside [0, 1] and keeps its coverage at 0 of n and n of n, where the textbook interval collapses. It
    speaks of more items like these; it does not widen for new databases or subjects.

    Args:
        correct: number of items answered correctly.
        n: number of items.
        confidence: nominal coverage.

    Returns:
        (low, high), fractions in [0, 1].

    Raises:
        DataError: the counts are not 0 <= correct <= n with n >= 1.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if not 0 <= correct <= n or n == 0:
        raise DataError(
            f"no interval for {correct} correct of {n}: need 0 <= correct <= n and n >= 1; check the outcomes"
        )
    return _wilson(correct / n, n, quantile((1 + confidence) / 2, inf))


def accuracy_interval(
    correct: Sequence[bool], clusters: Sequence[str] | None = None, *, confidence: float = CONFIDENCE
) -> Interval:
    """Interval of an accuracy; with `clusters`, for new clusters of the same kind.

    With clusters it is Wilson's formula with n divided by the design effect and z replaced by Student's t, with the
    variance and degrees of freedom of `means.cluster_mean`. A design effect below 1, and one that cannot be measured
    because every item is right (or wrong), leave n as it is.

    Args:
        correct: shape (n,), right or wrong.
        clusters: shape (n,), cluster of each item (its database); None when items are independent.
        confidence: nominal coverage.

    Returns:
        The interval and the method it was made by.

    Raises:
        DataError: there is no item, or not one cluster for each.

    Source: Korn and Graubard (1998), "Confidence intervals for proportions with small expected number of positive
        counts estimated from survey data", Survey Methodology 24 (effective n, t); Dean and Pagano (2015), "Evaluating
        confidence interval methods for binomial proportions in clustered surveys", JSSAM 3 (with Wilson's form).
    """
    if clusters is not None and len(clusters) != len(correct):
        raise DataError(f"{len(correct)} answers with {len(clusters)} clusters: name one cluster for each answer")
    n, right = len(correct), sum(map(bool, correct))
    names, index = np.unique(np.asarray(clusters if clusters is not None else []), return_inverse=True)
    if len(names) < 2:
        method = "wilson (one cluster)" if len(names) else "wilson"
        return Interval(*wilson_interval(right, n, confidence=confidence), method)
    mean = cluster_mean(np.asarray(correct), index)
    effective = n / max(1.0, mean.design_effect)
    return Interval(*_wilson(right / n, effective, quantile((1 + confidence) / 2, mean.degrees)), "cluster")


def _wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's formula; `n` may be an effective number and `z` the quantile of another distribution than the normal."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # rounding could exclude 0 or 1
