"""Exchange rates, relative changes and dominance against closed forms."""

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy import stats
from stats.flips import flips

from contrapeso.stats.paired import Comparison, compare
from contrapeso.stats.pareto import dominance, pareto
from contrapeso.stats.tradeoff import relative_change, weigh


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
