"""Intervals for one proportion.

Counts enter, fractions leave. Differences between two variants are paired and live in `paired`.
"""

from __future__ import annotations

from statsmodels.stats.proportion import proportion_confint

from contrapeso.errors import DataError

CONFIDENCE = 0.95


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
    low, high = proportion_confint(correct, n, alpha=1 - confidence, method="wilson")
    return max(0.0, float(low)), min(1.0, float(high))
