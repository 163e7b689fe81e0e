"""Quantiles and tails of Student's t and the normal distribution, and of the fair coin.

Numbers enter and leave. `scipy.special` has them all, but takes 0.3 s to import, a third of what `contrapeso score`
needs for a thousand predictions; so they are written out here, and tested against it. Infinitely many degrees of
freedom mean the normal distribution.
"""

from __future__ import annotations

from math import erfc, exp, isinf, lgamma, log, log1p, sqrt
from statistics import NormalDist

_MOST_TERMS = 100_000
_SMALL = 1e-300


def quantile(level: float, degrees: float) -> float:
    """The value below which a t variable stays with probability `level`.

    Args:
        level: probability, in (0, 1).
        degrees: degrees of freedom, > 0, fractional ones too; infinity is the normal distribution.

    Returns:
        The quantile, to the last digits of a float.
    """
    if isinf(degrees):
        return NormalDist().inv_cdf(level)
    if level < 0.5:
        return -quantile(1 - level, degrees)
    low, high = 0.0, 1.0
    while upper_tail(high, degrees) > 1 - level:
        high *= 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if upper_tail(middle, degrees) > 1 - level else (low, middle)
    return middle


def upper_tail(value: float, degrees: float) -> float:
    """Probability that a t variable exceeds `value`.

        P(T > t) = I_x(degrees / 2, 1 / 2) / 2   for t >= 0,   x = degrees / (degrees + t^2)

    Args:
        value: where the tail begins.
        degrees: as for `quantile`.

    Returns:
        The probability, exact far out in the tail too.
    """
    if isinf(degrees):
        return erfc(value / sqrt(2)) / 2
    tail = _incomplete_beta(degrees / (degrees + value * value), degrees / 2, 0.5) / 2
    return tail if value >= 0 else 1 - tail


def fair_coin_tail(heads: int, tosses: int) -> float:
    """Probability of at most so many heads in so many tosses of a fair coin, in whole numbers up to the last step."""
    ways = total = 1
    for head in range(1, heads + 1):
        ways = ways * (tosses - head + 1) // head
        total += ways
    return total / (1 << tosses)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), Lentz's way."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly
        return 1 - _incomplete_beta(1 - x, b, a)
    numerator, denominator = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = denominator
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            numerator = 1 + term / numerator or _SMALL
            denominator = 1 / (1 + term * denominator or _SMALL)
            fraction *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-15:
            break
    logarithm = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    return exp(logarithm) / a * fraction
