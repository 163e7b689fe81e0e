"""How sure a mean of numbers is, or a ratio of two sums: for what is measured in nats, shares or differences of them.

Arrays enter, one entry an item; an `Estimate` leaves. Right and wrong answers have their own room, `paired`.

A ratio R = sum_i N_i / sum_i M_i of sums over items that were drawn by chance (nats over tokens of passages) is no
mean, but near enough one: with z_i = R + (N_i - R M_i) / mean(M) the mean of z is R exactly, and its standard error

    se(R) = sqrt(sum_i (z_i - R)^2 / (n - 1)) / sqrt(n)

is that of R up to terms of order 1 / n. Long passages count as much as they weigh, which a mean of ratios would not let
them.

Source: Cochran (1977), "Sampling Techniques", 3rd edition, section 6.4 (linearised variance of a ratio).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from contrapeso.errors import DataError
from contrapeso.stats.distributions import quantile, upper_tail
from contrapeso.stats.intervals import CONFIDENCE
from contrapeso.stats.means import Floats, stratified_mean
from contrapeso.stats.paired import LEAST_STRATIFIED


@dataclass(frozen=True)
class Estimate:
    """A number and how sure it is.

    Attributes:
        value: the mean, or the ratio.
        standard_error: of it.
        degrees: degrees of freedom of the standard error; infinite within strata.
        ci: 95 % interval by Student's t.
        p: two-sided, against 0; 1 where nothing varies and the value is 0, 0 where nothing varies and it is not.
    """

    value: float
    standard_error: float
    degrees: float
    ci: tuple[float, float]
    p: float


def estimate(values: Floats | Sequence[float], groups: Sequence[str] | None = None) -> Estimate:
    """The mean of values with its t interval and test against 0.

    Args:
        values: shape (n,), n >= 2.
        groups: shape (n,), fixed groups such as subjects, within which items were drawn; None for no groups. Groups
            that moved as one are not believed, see `paired`.

    Raises:
        DataError: fewer than two values: one tells nothing about another.
    """
    numbers = np.asarray(values, dtype=np.float64)
    n = len(numbers)
    if n < 2:
        raise DataError(f"an interval needs two values at least, got {n}; measure more items")
    mean, error, degrees = float(numbers.mean()), float(numbers.std(ddof=1)) / sqrt(n), float(n - 1)
    if groups is not None:
        _, index = np.unique(np.asarray(groups), return_inverse=True)
        measured = stratified_mean(numbers, index)
        if measured.design_effect >= LEAST_STRATIFIED:
            error, degrees = measured.standard_error, inf
    half = error * quantile((1 + CONFIDENCE) / 2, degrees)
    p = 2 * upper_tail(abs(mean) / error, degrees) if error else float(not mean)
    return Estimate(mean, error, degrees, (mean - half, mean + half), p)


def ratio_values(numerators: Floats | Sequence[float], denominators: Floats | Sequence[float]) -> Floats:
    """Values whose mean is the ratio of two sums and whose spread is its spread; see the module's docstring.

    Args:
        numerators: shape (n,).
        denominators: shape (n,), with a positive sum.

    Returns:
        Shape (n,), for `estimate`; differences of several such ratios over the same items are estimated alike.

    Raises:
        DataError: the denominators sum to nothing.
    """
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if not below.sum() > 0:
        raise DataError(f"a ratio needs something to divide by, and {len(below)} items weigh {below.sum():g} in all")
    ratio = above.sum() / below.sum()
    return np.asarray(ratio + (above - ratio * below) / below.mean())
