"""A mean and how sure it is: over clusters that are a sample (databases), or over strata that are fixed (subjects).

Values and the group of each enter, a `Mean` leaves. Intervals of accuracies and paired comparisons both rest on it.

Clusters: questions about one database fail together. With residual sums S_g = sum_{i in g} (y_i - mean) and shares
w_g = n_g / n, the variance of the mean is

    CR2:  V = sum_g S_g^2 / (1 - w_g) / n^2

The factor makes V unbiased when items are independent (a large cluster pulls the mean towards itself, so its residuals
are too small); with equal clusters it is the familiar G / (G - 1). S_g comes from whole numbers, n S_g = n sum_g - n_g
sum, so that clusters with the same mean have a variance of exactly 0 and not of rounding. The degrees of freedom of V
are Satterthwaite's, 2 E(V)^2 / Var(V) for independent items: G - 1 for equal clusters, fewer for uneven ones. The 20
databases of Spider's dev split (4 to 120 questions) count as 14.1 degrees, not 19.

Strata: items are independent within their group, so the variance is sum_g n_g^2 * (s_g^2 / n_g) / n^2 with s_g^2 the
unbiased variance inside group g; groups of fewer than 10 items are pooled.

Source: Bell and McCaffrey (2002), "Bias reduction in standard errors for linear regression with multi-stage samples",
    Survey Methodology 28; Pustejovsky and Tipton (2018), JBES 36. For language model evaluations: Miller (2024),
    "Adding error bars to evals", arXiv 2411.00640, whose clustered standard error has no correction for few clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

SMALL_STRATUM = 10

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Mean:
    """A mean over items.

    Attributes:
        mean: the mean.
        standard_error: its standard error.
        degrees: degrees of freedom of the standard error; infinite for strata.
        design_effect: the variance / the variance if items were independent; 1 when no item differs from another.
    """

    mean: float
    standard_error: float
    degrees: float
    design_effect: float


def cluster_mean(values: npt.NDArray[np.generic], index: Index) -> Mean:
    """Mean with its cluster-robust standard error; the formula is in the module's docstring.

    Args:
        values: shape (n,), one number an item; whole ones, for an exact 0.
        index: shape (n,), cluster of each item, numbered from 0 without gaps, at least two clusters.

    Returns:
        The mean and how sure it is.
    """
    numbers = np.asarray(values, dtype=np.float64)
    n, sizes, sums = len(numbers), np.bincount(index), np.bincount(index, weights=numbers)
    residuals = (n * sums - sizes * sums.sum()) / n
    variance = float((residuals**2 / (1 - sizes / n)).sum()) / n**2
    independent = float(numbers.var()) / n
    return Mean(
        mean=float(numbers.mean()),
        standard_error=variance**0.5,
        degrees=degrees_of_freedom(sizes.tolist()),
        design_effect=variance / independent if independent else 1.0,
    )


def stratified_mean(values: npt.NDArray[np.generic], index: Index) -> Mean:
    """Mean with the standard error of items drawn within fixed groups; the formula is in the module's docstring.

    Args:
        values: shape (n,), one number an item.
        index: shape (n,), group of each item, numbered from 0 without gaps.

    Returns:
        The mean and how sure it is.
    """
    numbers, stratum = np.asarray(values, dtype=np.float64), strata(index)
    n, sizes = len(numbers), np.bincount(stratum)
    sums, squares = np.bincount(stratum, weights=numbers), np.bincount(stratum, weights=numbers**2)
    inside = squares - sums**2 / np.maximum(1, sizes)
    variance = float((sizes * inside / np.maximum(1, sizes - 1)).sum()) / n**2
    independent = float(numbers.var()) / n
    return Mean(
        mean=float(numbers.mean()),
        standard_error=max(0.0, variance) ** 0.5,
        degrees=inf,
        design_effect=variance / independent if independent else 1.0,
    )


def strata(index: Index) -> Index:
    """The stratum of each item: its group, or one pool for all groups too small to stand alone.

    Args:
        index: shape (n,), group of each item, numbered from 0 without gaps.

    Returns:
        Shape (n,); the pool has the number after the last group.
    """
    sizes = np.bincount(index)
    return np.where(sizes[index] < SMALL_STRATUM, len(sizes), index)


def degrees_of_freedom(sizes: Sequence[int]) -> float:
    """Satterthwaite's degrees of freedom of the CR2 variance of a mean, tr(W)^2 / tr(W^2).

    W is the covariance of the summands S_g / sqrt(1 - w_g) for independent items: n_g on the diagonal and
    -q_g q_h / n elsewhere, with q_g = n_g / sqrt(1 - w_g).

    Args:
        sizes: items of each cluster, at least two clusters.

    Returns:
        Degrees of freedom, in [1, G - 1].
    """
    counts = np.asarray(sizes, dtype=np.float64)
    n = counts.sum()
    squares = counts**2 / (1 - counts / n)
    off_diagonal = (squares.sum() ** 2 - (squares**2).sum()) / n**2
    return float(n**2 / ((counts**2).sum() + off_diagonal))
