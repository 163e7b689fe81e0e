"""Means and ratios of numbers, against closed forms, scipy and a bootstrap."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from contrapeso.errors import DataError
from contrapeso.stats.values import estimate, ratio_values


def test_a_mean_has_the_interval_and_the_test_of_students_t() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, size=25)
    found, theirs = estimate(values), stats.ttest_1samp(values, 0.0)
    assert found.value == pytest.approx(values.mean()) and found.degrees == 24
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.ci == pytest.approx(tuple(theirs.confidence_interval(0.95)))


def test_the_ratio_is_that_of_the_sums_and_not_the_mean_of_ratios() -> None:
    nats, tokens = [10.0, 300.0], [10.0, 100.0]
    assert estimate(ratio_values(nats, tokens)).value == pytest.approx(310 / 110)
    assert pytest.approx(np.mean([1.0, 3.0])) != 310 / 110


def test_the_standard_error_of_a_ratio_is_cochrans() -> None:
    generator = np.random.default_rng(2)
    above, below = generator.normal(40, 9, size=30), generator.uniform(10, 30, size=30)
    ratio = above.sum() / below.sum()
    residuals = above - ratio * below
    error = np.sqrt((residuals**2).sum() / 29 / 30) / below.mean()  # Cochran (1977), 6.4
    assert estimate(ratio_values(above, below)).standard_error == pytest.approx(error)


def test_the_standard_error_of_a_ratio_is_that_of_a_bootstrap() -> None:
    generator = np.random.default_rng(3)
    tokens = generator.integers(20, 200, size=80).astype(float)
    nats = tokens * generator.normal(2.0, 0.3, size=80)
    draws = generator.integers(0, 80, size=(4000, 80))
    ratios = nats[draws].sum(axis=1) / tokens[draws].sum(axis=1)
    assert estimate(ratio_values(nats, tokens)).standard_error == pytest.approx(ratios.std(), rel=0.05)


def test_the_interval_of_a_ratio_holds_the_truth_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(4), 0
    for _ in range(1000):
        tokens = generator.integers(20, 200, size=25).astype(float)
        low, high = estimate(ratio_values(tokens * generator.normal(0.1, 0.2, size=25), tokens)).ci
        held += low <= 0.1 <= high
    assert 0.92 < held / 1000 < 0.97


def test_values_within_fixed_groups_vary_less_than_values_of_anywhere() -> None:
    generator = np.random.default_rng(5)
    groups = [name for name in "abcd" for _ in range(50)]
    levels = dict(zip("abcd", (0.0, 0.4, 0.8, 1.2), strict=True))
    values = [levels[group] + generator.normal(0, 0.6) for group in groups]
    inside, anywhere = estimate(values, groups), estimate(values)
    by_hand = np.sqrt(sum(np.var(values[a:b], ddof=1) / 50 for a, b in pairwise(range(0, 201, 50)))) / 4
    assert inside.value == pytest.approx(anywhere.value) and inside.degrees == np.inf
    assert inside.standard_error == pytest.approx(by_hand)
    assert inside.standard_error < anywhere.standard_error


def test_groups_that_moved_as_one_are_no_certainty() -> None:
    groups = ["a"] * 20 + ["b"] * 20
    found = estimate([0.0] * 20 + [1.0] * 20, groups)
    assert found.standard_error == pytest.approx(estimate([0.0] * 20 + [1.0] * 20).standard_error) and found.ci[0] > 0


def test_where_nothing_varies_the_test_says_whether_it_is_nothing() -> None:
    assert estimate([0.0, 0.0, 0.0]).p == 1.0
    assert estimate([0.5, 0.5, 0.5]).p == 0.0


def test_one_value_and_an_empty_divisor_are_refused() -> None:
    with pytest.raises(DataError, match="two values at least, got 1"):
        estimate([1.0])
    with pytest.raises(DataError, match="2 items weigh 0 in all"):
        ratio_values([1.0, 2.0], [0.0, 0.0])
