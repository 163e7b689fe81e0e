"""Exchange rates, relative changes and dominance against closed forms."""

from dataclasses import replace
from math import copysign, exp, log, sqrt

import numpy as np
import pytest
from scipy import stats
from stats.flips import flips

from contrapeso.stats.paired import Comparison, compare
from contrapeso.stats.pareto import pareto
from contrapeso.stats.resampling import Draws, percentile_interval
from contrapeso.stats.tradeoff import price, relative_change, weigh


def changed(lost: int, gained: int, same: int, *, seed: int = 0) -> Comparison:
    return compare(*flips(lost, gained, same), ["g"] * (lost + gained + same), scheme="stratified", seed=seed)


def test_exchange_rate_interval_agrees_with_fiellers() -> None:
    traded = weigh(changed(50, 250, 700), changed(300, 200, 1500, seed=1))
    assert traded.gain == pytest.approx(0.2)
    assert traded.loss == pytest.approx(0.05)
    assert traded.exchange_rate == pytest.approx(0.25)
    variance_gain, variance_loss = (0.3 - 0.2**2) / 1000, (0.25 - 0.05**2) / 2000
    # Fieller: the rates r for which (loss - r gain)^2 <= z^2 (Var loss + r^2 Var gain)
    z2 = stats.norm.ppf(0.975) ** 2
    roots = np.roots([0.2**2 - z2 * variance_gain, -2 * 0.2 * 0.05, 0.05**2 - z2 * variance_loss])
    assert traded.ci == pytest.approx((min(roots), max(roots)), abs=0.01)


def test_there_is_no_exchange_rate_without_a_gain() -> None:
    general = changed(300, 200, 1500, seed=1)
    flat, worse = changed(50, 52, 100), changed(100, 10, 100)
    assert weigh(flat, general).exchange_rate is None
    assert "cannot be told from zero" in weigh(flat, general).reason
    assert "is negative" in weigh(worse, general).reason


def test_the_reason_for_no_rate_never_stands_beside_a_gain_that_is_certain() -> None:
    general = changed(300, 200, 1500, seed=1)
    # 26 of 1,000 resamples at zero: the 25th smallest is one of them, and the interval's lower end must be too.
    edge = changed(50, 80, 300)
    for zeros in range(22, 30):
        draws = np.concatenate([np.zeros(zeros), np.linspace(0.01, 0.1, 1000 - zeros)])
        low, high = percentile_interval(draws, confidence=0.95)
        target = replace(edge, ci=(low, high), draws=Draws(draws, np.full(1000, 0.3)))
        traded = weigh(target, replace(general, draws=Draws(general.draws.difference[:1000], draws)))
        assert (traded.ci is None) == (traded.reason != "") == (low <= 0) == (zeros > 24)
    for gained in range(60, 90):
        traded = weigh(changed(50, gained, 300), general)
        assert (traded.exchange_rate is None) == (traded.reason != "") == (traded.gain_ci[0] <= 0)


def test_gain_and_loss_keep_the_intervals_of_their_own_task() -> None:
    target, general = changed(50, 250, 700), changed(300, 200, 1500, seed=1)
    traded = weigh(target, general)
    assert traded.gain_ci == target.ci
    assert (
        traded.loss_ci == (-general.ci[1], -general.ci[0]) and 0 < traded.loss_ci[0] < traded.loss < traded.loss_ci[1]
    )


def test_a_general_task_without_any_change_leaves_doubt_about_the_rate() -> None:
    target, general = changed(50, 250, 700), changed(0, 0, 50, seed=1)
    traded = weigh(target, general)
    bound = 1 - 0.025 ** (1 / 50)
    assert traded.loss_ci == pytest.approx((-bound, bound))
    # the most that may have been lost, over the least that was gained
    assert traded.ci == pytest.approx((-bound / target.ci[0], bound / target.ci[0]))
    assert traded.relative_loss_ci == pytest.approx((-bound, bound))
    for zero in (traded.loss, traded.exchange_rate, traded.relative_loss):
        assert zero == 0 and copysign(1, zero) == 1


def test_no_change_over_an_uncertain_base_is_relative_to_the_least_it_could_be() -> None:
    right = [True] * 20 + [False] * 30
    change = relative_change(compare(right, right, ["g"] * 50, scheme="stratified", seed=0))
    bound = 1 - 0.025 ** (1 / 50)
    least = 0.4 - 1.96 * sqrt(0.4 * 0.6 / 50)
    assert change.ci == pytest.approx((-bound / least, bound / least), rel=0.06)


def test_a_gain_in_every_item_is_no_certain_denominator() -> None:
    general = changed(300, 200, 1500, seed=1)
    target = changed(0, 40, 0)
    traded = weigh(target, general)
    assert traded.ci == pytest.approx((-general.ci[1] / target.ci[1], -general.ci[0] / target.ci[0]))


def test_resamples_without_a_gain_count_as_infinite_rates_on_the_side_of_their_loss() -> None:
    # 20 of 1,000 resamples lose 1 point and gain nothing; the others gain 1 point and lose 0.001 to 0.98 points.
    gains = np.concatenate([np.full(20, -0.001), np.full(980, 0.01)])
    losses = np.concatenate([np.full(20, 0.01), np.arange(1, 981) / 1000 * 0.01])
    target = replace(changed(5, 60, 100), draws=Draws(gains, np.full(1000, 0.5)))
    general = changed(300, 200, 1500, seed=1)
    infinite_above = weigh(target, replace(general, draws=Draws(-losses, np.full(1000, 0.5))))
    assert infinite_above.ci == pytest.approx((0.025, 0.976))  # the 25th smallest and the 25th largest of all
    losses[:20] = -0.01
    infinite_below = weigh(target, replace(general, draws=Draws(-losses, np.full(1000, 0.5))))
    assert infinite_below.ci == pytest.approx((0.005, 0.956))


def test_a_barely_certain_gain_gives_a_finite_rate_interval() -> None:
    general = changed(300, 200, 1500, seed=1)
    for gained in range(60, 90):
        traded = weigh(changed(50, gained, 300), general)
        assert traded.ci is None or all(np.isfinite(traded.ci))


def test_relative_change_agrees_with_the_paired_ratio_of_proportions() -> None:
    # 900 both right, 100 lost, 200 gained: 1,000 became 1,100. For the ratio of two paired proportions
    # Var log(b / a) = (lost + gained) / ((both + lost)(both + gained)), by the delta method.
    change = relative_change(changed(100, 200, 900))
    assert change.change == pytest.approx(0.1)
    half = 1.96 * sqrt((100 + 200) / (1000 * 1100))
    assert change.ci == pytest.approx((exp(log(1.1) - half) - 1, exp(log(1.1) + half) - 1), abs=0.003)


def test_relative_gain_and_loss_are_those_a_study_would_report_and_both_positive_when_expected() -> None:
    # 9 of 100 became 21 (+133 %), and 1,800 of 2,000 became 1,700 (-5.6 %)
    before, after = [True] * 9 + [False] * 91, [False] * 2 + [True] * 21 + [False] * 77
    target = compare(before, after, ["g"] * 100, scheme="stratified", seed=0)
    traded = weigh(target, changed(300, 200, 1500, seed=1))
    assert traded.relative_gain == pytest.approx(12 / 9)
    assert traded.relative_loss == pytest.approx(100 / 1800)
    assert traded.relative_gain_ci is not None and traded.relative_loss_ci is not None
    assert 0 < traded.relative_gain_ci[0] < 12 / 9 < traded.relative_gain_ci[1]
    assert 0 < traded.relative_loss_ci[0] < 100 / 1800 < traded.relative_loss_ci[1]


def test_relative_change_has_no_interval_where_no_resample_could_tell() -> None:
    nothing, one = [False] * 150, [True] + [False] * 149
    groups = ["g"] * 150

    def change(before: list[bool], after: list[bool]) -> tuple[float | None, object]:
        found = relative_change(compare(before, after, groups, scheme="stratified", seed=0))
        return found.change, found.ci

    assert change(nothing, one) == (None, None)
    assert change(one, nothing) == (-1.0, None)
    assert change(one, [True] * 150) == (pytest.approx(149), None)  # one right answer of 150 cannot be told from none


def dominance(target: Comparison, general: Comparison) -> float:
    """Share of resamples in which the compared variant dominates the reference."""
    return pareto({("reference", "compared"): (target, general)})["reference"].dominated["compared"]


def test_dominance_is_the_product_of_two_normal_probabilities() -> None:
    target, general = changed(100, 120, 800), changed(150, 160, 1700, seed=1)
    expected = 1.0
    for comparison in (target, general):
        expected *= stats.norm.cdf(comparison.delta / comparison.standard_error)
    assert dominance(target, general) == pytest.approx(expected, abs=0.02)


def test_an_equal_variant_dominates_nothing_and_an_equal_task_takes_nothing_away() -> None:
    nothing, better = changed(0, 0, 100), changed(5, 60, 100)
    assert dominance(nothing, nothing) == 0
    assert dominance(better, nothing) > 0.99


@pytest.mark.parametrize(
    ("on_target", "on_general", "on_front"),
    [
        ((5, 5), (5, 5), (True, True)),  # equal on both
        ((5, 60), (5, 5), (False, True)),  # better on one, equal on the other
        ((5, 5), (5, 60), (False, True)),
        ((60, 5), (5, 5), (True, False)),
        ((5, 5), (60, 5), (True, False)),
        ((5, 60), (60, 5), (True, True)),
    ],
)
def test_an_equal_task_neither_saves_a_variant_nor_beats_it(
    on_target: tuple[int, int], on_general: tuple[int, int], on_front: tuple[bool, bool]
) -> None:
    standing = pareto({("Base", "Run"): (changed(*on_target, 100), changed(*on_general, 100, seed=1))})
    assert (standing["Base"].on_front, standing["Run"].on_front) == on_front


def test_pareto_names_the_dominator_keeps_real_choices_and_admits_doubt() -> None:
    gain, loss = changed(20, 200, 780), changed(300, 100, 1600, seed=1)
    much_less, hardly, hardly_too = changed(120, 20, 860), changed(50, 55, 895), changed(50, 54, 1896, seed=1)
    standing = pareto(
        {
            ("Base", "Run 1"): (gain, loss),  # wins on one, loses on the other: a choice
            ("Base", "Run 2"): (much_less, loss),  # loses on both
            ("Run 1", "Run 2"): (much_less, hardly_too),
            ("Run 1", "Run 3"): (hardly, hardly_too),  # a little better on both, well within the noise
            ("Base", "Run 3"): (gain, loss),
            ("Run 2", "Run 3"): (gain, hardly_too),
        }
    )
    assert {name: one.words for name, one in standing.items()} == {
        "Base": "on the front",
        "Run 1": "uncertain",
        "Run 2": "dominated by Base",
        "Run 3": "uncertain",
    }
    assert {name: one.on_front for name, one in standing.items()} == {
        "Base": True,
        "Run 1": False,
        "Run 2": False,
        "Run 3": True,
    }
    assert 0.2 < standing["Run 1"].dominated["Run 3"] < 0.8
    assert standing["Run 2"].dominated["Base"] > 0.99


def test_the_price_on_one_task_is_that_of_the_trade_off() -> None:
    target, general = changed(20, 80, 200, seed=1), changed(40, 20, 340, seed=2)
    weighed, paid = weigh(target, general), price(target, [general])
    for name in ("loss", "loss_ci", "exchange_rate", "ci", "reason"):
        assert getattr(weighed, name) == getattr(paid, name)


def test_the_mean_loss_of_several_tasks_varies_as_a_mean_of_independent_ones_does() -> None:
    target = changed(20, 80, 200, seed=1)
    generals = [changed(60, 20, 320, seed=2), changed(15, 5, 80, seed=3)]
    paid = price(target, generals)
    assert paid.loss == pytest.approx(-(generals[0].delta + generals[1].delta) / 2)  # each task counts the same
    error = np.sqrt(sum(general.standard_error**2 for general in generals)) / 2
    width = paid.loss_ci[1] - paid.loss_ci[0]
    assert width == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert paid.exchange_rate == pytest.approx(paid.loss / target.delta)
