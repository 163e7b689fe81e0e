"""What a gain on one task cost on another: the exchange rate and the relative changes, with their intervals.

Two paired comparisons of the same variant enter, one per task; a `Tradeoff` leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contrapeso.stats.intervals import CONFIDENCE
from contrapeso.stats.means import Floats
from contrapeso.stats.paired import Comparison
from contrapeso.stats.resampling import percentile_interval

Ends = tuple[float, float]


@dataclass(frozen=True)
class Tradeoff:
    """What a variant won and what it paid.

    Attributes:
        gain: tuned - base on the target task; `gain_ci` its interval. Fractions.
        loss: base - tuned on the general task; `loss_ci` its interval. Fractions.
        relative_gain: gain / base accuracy on the target task; None when the base has nothing right.
        relative_gain_ci: its interval, or None when there is none; see `relative_change`.
        relative_loss, relative_loss_ci: loss / base accuracy on the general task, likewise.
        exchange_rate: loss / gain, general points lost per target point gained; None when there is no rate.
        ci: interval of the rate, or None.
        reason: why there is no rate ("" when there is one).
    """

    gain: float
    gain_ci: tuple[float, float]
    loss: float
    loss_ci: tuple[float, float]
    relative_gain: float | None
    relative_gain_ci: tuple[float, float] | None
    relative_loss: float | None
    relative_loss_ci: tuple[float, float] | None
    exchange_rate: float | None
    ci: tuple[float, float] | None
    reason: str


@dataclass(frozen=True)
class RelativeChange:
    """A change relative to where it started.

    Attributes:
        change: (tuned - base) / base; None when the base has nothing right.
        ci: its interval; None when it has none.
    """

    change: float | None
    ci: tuple[float, float] | None


@dataclass(frozen=True)
class Price:
    """What a gain cost, on one task or on the mean of several.

    Attributes:
        loss, loss_ci, exchange_rate, ci, reason: as in `Tradeoff`.
    """

    loss: float
    loss_ci: Ends
    exchange_rate: float | None
    ci: Ends | None
    reason: str


def price(target: Comparison, generals: Sequence[Comparison]) -> Price:
    """Loss and exchange rate, of the unweighted mean where there are several tasks that share no item.

    Each task counts the same, however many questions it has. Resamples of tasks without a common item are independent,
    so those of their mean are the means of theirs. `weigh` tells the rest.

    Args:
        target: tuned against base on the task it was tuned for.
        generals: tuned against base on other tasks, at least one, each from another seed, with as many draws.

    Returns:
        The price.
    """
    loss = _negated(float(np.mean([general.delta for general in generals])))
    draws = 0.0 - np.mean([general.draws.difference for general in generals], axis=0)
    uniform = any(general.uniform for general in generals)
    if uniform or len(generals) == 1:
        low, high = (float(np.mean([general.ci[end] for general in generals])) for end in (0, 1))
        loss_ci = _negated_ends((low, high))
    else:
        loss_ci = percentile_interval(draws, confidence=CONFIDENCE)
    if target.ci[0] <= 0:
        low, high = (100 * end for end in target.ci)
        what = "is negative" if target.ci[1] < 0 else "cannot be told from zero"
        reason = f"no exchange rate: the gain {what} (95 % interval {low:+.1f} to {high:+.1f} points)"
        return Price(loss, loss_ci, None, None, reason)
    exact = target.uniform or uniform
    ci = _quotient(loss_ci, target.ci) if exact else _ratio_interval(draws, target.draws.difference)
    return Price(loss, loss_ci, loss / target.delta, ci, "")


def weigh(target: Comparison, general: Comparison) -> Tradeoff:
    """Exchange rate of a variant: general points lost per target point gained.

    The tasks share no item, so their resamples are independent and the rate's interval is the percentile interval of
    the ratio of their draws. A ratio makes sense only over a gain that is certainly positive: when the gain's interval
    holds zero or lies below it there is no rate, and `reason` says so. Where every item of a task did the same, its
    draws know no doubt but its interval does, and the rate's is the widest that the two intervals allow.

    Args:
        target: tuned against base on the task it was tuned for.
        general: tuned against base on what it knew before, with as many draws, from another seed.

    Returns:
        The trade-off.

    Source: the percentile interval of a ratio of means, Efron and Tibshirani (1993), ch. 10.
    """
    paid = price(target, [general])
    on_target, on_general = relative_change(target), relative_change(general)
    return Tradeoff(
        gain=target.delta,
        gain_ci=target.ci,
        loss=paid.loss,
        loss_ci=paid.loss_ci,
        relative_gain=on_target.change,
        relative_gain_ci=on_target.ci,
        relative_loss=None if on_general.change is None else _negated(on_general.change),
        relative_loss_ci=None if on_general.ci is None else _negated_ends(on_general.ci),
        exchange_rate=paid.exchange_rate,
        ci=paid.ci,
        reason=paid.reason,
    )


def relative_change(comparison: Comparison) -> RelativeChange:
    """(tuned - base) / base, as many studies report it, with the percentile interval of the same resamples.

    It flatters a weak base: from 9 to 21 of 100 is +133 %, from 66 to 78 is +18 %. There is no interval when the base
    cannot be told from zero, and none when the tuned variant has nothing right: every resample then says -100 %.

    Args:
        comparison: tuned against base.

    Returns:
        The change and its interval, fractions of the base's accuracy.
    """
    if not comparison.base:
        return RelativeChange(None, None)
    change = comparison.delta / comparison.base
    base_ci = percentile_interval(comparison.draws.base, confidence=CONFIDENCE)
    if base_ci[0] <= 0 or comparison.base + comparison.delta <= 0:
        return RelativeChange(change, None)
    if comparison.uniform:
        return RelativeChange(change, _quotient(comparison.ci, base_ci))
    return RelativeChange(change, _ratio_interval(comparison.draws.difference, comparison.draws.base))


def _ratio_interval(numerator: Floats, denominator: Floats) -> Ends:
    """Percentile interval of a ratio over a denominator whose own interval is positive.

    The few draws (under 2.5 %) whose denominator is not positive count as an infinite ratio on the side of their
    numerator.
    """
    ratios = np.where(numerator > 0, np.inf, np.where(numerator < 0, -np.inf, 0.0))
    np.divide(numerator, denominator, out=ratios, where=denominator > 0)
    return percentile_interval(ratios, confidence=CONFIDENCE)


def _quotient(numerator: Ends, denominator: Ends) -> Ends:
    """Every ratio of a value in one interval to one in another, which is positive."""
    return min(numerator[0] / end for end in denominator), max(numerator[1] / end for end in denominator)


def _negated(value: float) -> float:
    """The value with its sign changed; of 0 it is 0, which nobody wants to read as -0."""
    return 0.0 - value


def _negated_ends(ci: Ends) -> Ends:
    return _negated(ci[1]), _negated(ci[0])
