"""What a gain on one task cost on another: the exchange rate, with its interval.

Two paired comparisons of the same variant enter, one per task; a `Tradeoff` leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contrapeso.stats.intervals import CONFIDENCE
from contrapeso.stats.paired import Comparison


@dataclass(frozen=True)
class Tradeoff:
    """What a variant won and what it paid.

    Attributes:
        gain: tuned - base on the target task; `gain_ci` its interval. Fractions.
        loss: base - tuned on the general task; `loss_ci` its interval. Fractions.
        exchange_rate: loss / gain, general points lost per target point gained; None when there is no rate.
        ci: interval of the rate, or None.
        reason: why there is no rate ("" when there is one).
    """

    gain: float
    gain_ci: tuple[float, float]
    loss: float
    loss_ci: tuple[float, float]
    exchange_rate: float | None
    ci: tuple[float, float] | None
    reason: str


def weigh(target: Comparison, general: Comparison) -> Tradeoff:
    """Exchange rate of a variant: general points lost per target point gained.

    The tasks share no item, so their resamples are independent and the rate's interval is the percentile interval of
    -general.draws / target.draws. A ratio makes sense only over a gain that is certainly positive: when the gain's
    interval holds zero or lies below it there is no rate, and `reason` says so. The few draws (under 2.5 %) whose
    gain is not positive are counted as an infinite rate on the side of the draw's loss; they cannot reach the
    interval's ends.

    Args:
        target: tuned against base on the task it was tuned for.
        general: tuned against base on what it knew before, with as many draws, from another seed.

    Returns:
        The trade-off.

    Source: the percentile interval of a ratio of means, Efron and Tibshirani (1993), ch. 10.
    """
    gain, loss = target.delta, -general.delta
    loss_ci = (-general.ci[1], -general.ci[0])
    tail = (1 - CONFIDENCE) / 2
    # The second condition only bites when draws pile up at zero, with few databases: a rate's interval would be open.
    if target.ci[0] <= 0 or np.quantile(target.draws, tail, method="lower") <= 0:
        low, high = (100 * end for end in target.ci)
        what = "is negative" if target.ci[1] < 0 else "cannot be told from zero"
        reason = f"no exchange rate: the gain {what} (95 % interval {low:+.1f} to {high:+.1f} points)"
        return Tradeoff(gain, target.ci, loss, loss_ci, exchange_rate=None, ci=None, reason=reason)
    losses = -general.draws
    rates = np.where(losses > 0, np.inf, np.where(losses < 0, -np.inf, 0.0))
    np.divide(losses, target.draws, out=rates, where=target.draws > 0)
    # "lower" and "higher" pick actual draws: interpolating towards an infinite one would give NaN.
    low = float(np.quantile(rates, tail, method="lower"))
    high = float(np.quantile(rates, 1 - tail, method="higher"))
    return Tradeoff(gain, target.ci, loss, loss_ci, exchange_rate=loss / gain, ci=(low, high), reason="")
