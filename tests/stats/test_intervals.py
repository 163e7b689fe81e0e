"""Intervals of one proportion against statsmodels, the general CR2 estimator in matrices, and closed forms."""

import json
import subprocess
import sys
from math import sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from contrapeso.errors import DataError
from contrapeso.stats.distributions import fair_coin_tail, quantile, upper_tail
from contrapeso.stats.intervals import accuracy_interval, wilson_interval
from contrapeso.stats.means import cluster_mean, degrees_of_freedom, stratified_mean


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (9, 100), (75, 150), (10, 10), (6576, 14042)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_interval_equals_statsmodels(correct: int, n: int, confidence: float) -> None:
    low, high = proportion_confint(correct, n, alpha=1 - confidence, method="wilson")
    found = wilson_interval(correct, n, confidence=confidence)
    assert found == pytest.approx((max(0, low), min(1, high)), abs=1e-12)
    assert 0 <= found[0] <= correct / n <= found[1] <= 1


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_interval_refuses_impossible_counts(correct: int, n: int) -> None:
    with pytest.raises(DataError, match=f"{correct} correct of {n}"):
        wilson_interval(correct, n)


@pytest.mark.parametrize("degrees", [0.6, 1.0, 3.7, 14.1, 19.0, 200.0, 14_041.0])
def test_quantiles_and_tails_equal_scipys(degrees: float) -> None:
    for level in (0.001, 0.025, 0.5, 0.8, 0.975, 0.999999):
        assert quantile(level, degrees) == pytest.approx(stats.t.ppf(level, degrees), rel=1e-9, abs=1e-12)
    for value in (-40.0, -1.3, 0.0, 0.01, 2.5, 9.0, 60.0):
        assert upper_tail(value, degrees) == pytest.approx(stats.t.sf(value, degrees), rel=1e-9, abs=1e-300)


def test_the_normal_distribution_equals_scipys_far_out_too() -> None:
    assert quantile(0.975, float("inf")) == pytest.approx(stats.norm.ppf(0.975))
    assert upper_tail(9.0, float("inf")) == pytest.approx(stats.norm.sf(9.0), rel=1e-9)


@pytest.mark.parametrize(("heads", "tosses"), [(0, 0), (0, 1), (3, 10), (593, 1268), (4_900, 10_000), (10, 10)])
def test_a_fair_coins_tail_equals_scipys(heads: int, tosses: int) -> None:
    assert fair_coin_tail(heads, tosses) == pytest.approx(stats.binom.cdf(heads, tosses, 0.5), rel=1e-9)


def uneven() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(8)
    index = np.repeat(np.arange(6), [3, 20, 7, 12, 1, 17])
    return (generator.random(60) < np.linspace(0.2, 0.9, 6)[index]).astype(float), index


def test_cluster_mean_equals_the_general_estimator_in_matrices() -> None:
    values, index = uneven()
    n, ones = len(values), np.ones((len(values), 1))
    hat = ones @ ones.T / n
    residuals = values - values.mean()
    variance, rows = 0.0, []
    for cluster in range(6):
        inside = index == cluster
        eigenvalues, vectors = np.linalg.eigh(np.eye(inside.sum()) - hat[np.ix_(inside, inside)])
        adjustment = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        weight = ones[inside].T @ adjustment / n
        variance += (weight @ residuals[inside]).item() ** 2
        rows.append((weight @ (np.eye(n) - hat)[inside]).ravel())
    product = np.array(rows) @ np.array(rows).T
    found = cluster_mean(values, index)
    assert found.standard_error == pytest.approx(sqrt(variance))
    assert found.degrees == pytest.approx(np.trace(product) ** 2 / np.trace(product @ product))
    assert found.design_effect == pytest.approx(variance / (values.var() / n))


def test_cluster_mean_of_equal_clusters_equals_statsmodels_and_has_one_degree_less_than_clusters() -> None:
    generator = np.random.default_rng(9)
    index = np.repeat(np.arange(12), 25)
    values = (generator.random(300) < generator.random(12)[index]).astype(float)
    reference = OLS(values, np.ones(300)).fit(cov_type="cluster", cov_kwds={"groups": index})
    found = cluster_mean(values, index)
    assert (found.mean, found.standard_error) == pytest.approx((reference.params[0], reference.bse[0]))
    assert found.degrees == pytest.approx(11)


def test_degrees_of_freedom_shrink_when_one_cluster_holds_most_items() -> None:
    assert degrees_of_freedom([10, 10]) == pytest.approx(1)
    assert degrees_of_freedom([1000, 5, 5, 5]) < 1.1


def test_stratified_mean_equals_the_textbook_formula_and_pools_small_strata() -> None:
    values, index = uneven()
    pools = [(0, 2, 4), (1,), (3,), (5,)]  # 3, 7 and 1 items are too few to stand alone
    parts = [values[np.isin(index, pool)] for pool in pools]
    variance = sum(len(part) * part.var(ddof=1) for part in parts) / 60**2
    assert stratified_mean(values, index).standard_error == pytest.approx(sqrt(variance))


def test_cluster_interval_is_wilsons_on_the_effective_number_with_students_t() -> None:
    values, index = uneven()
    mean = cluster_mean(values, index)
    n, p, t = 60 / mean.design_effect, values.mean(), stats.t.ppf(0.975, mean.degrees)
    # Wilson's limits are the shares at which the score test just rejects: (p - x)^2 = t^2 x (1 - x) / n
    limits = np.roots([1 + t**2 / n, -(2 * p + t**2 / n), p**2])
    interval = accuracy_interval(values.astype(bool), [f"db{cluster}" for cluster in index])
    assert (interval.low, interval.high) == pytest.approx((min(limits), max(limits)))
    assert interval.method == "cluster"


@pytest.mark.parametrize(("right", "each", "databases"), [(1, 3, 2), (7, 10, 5), (44, 88, 4)])
def test_databases_equally_hard_by_chance_do_not_narrow_the_interval(right: int, each: int, databases: int) -> None:
    answers = ([True] * right + [False] * (each - right)) * databases
    index = np.repeat(np.arange(databases), each)
    assert cluster_mean(np.array(answers), index).standard_error == 0
    interval = accuracy_interval(answers, [f"db{cluster}" for cluster in index])
    n, p, t = len(answers), right / each, stats.t.ppf(0.975, databases - 1)
    limits = np.roots([1 + t**2 / n, -(2 * p + t**2 / n), p**2])
    assert (interval.low, interval.high) == pytest.approx((min(limits), max(limits)))
    low, high = wilson_interval(right * databases, n)
    assert interval.low < low < high < interval.high


def test_databases_more_alike_than_chance_would_make_them_count_as_independent_questions() -> None:
    answers, databases = [item % 7 == 0 for item in range(80)], [f"db{item // 10}" for item in range(80)]
    assert 0 < cluster_mean(np.array(answers), np.arange(80) // 10).design_effect < 0.5
    interval = accuracy_interval(answers, databases)
    p, t = sum(answers) / 80, stats.t.ppf(0.975, 7)
    limits = np.roots([1 + t**2 / 80, -(2 * p + t**2 / 80), p**2])
    assert (interval.low, interval.high) == pytest.approx((min(limits), max(limits)))


def test_databases_that_fail_together_widen_the_interval_and_mixed_ones_do_not() -> None:
    together = [True] * 50 + [False] * 50
    databases = [f"db{item // 10}" for item in range(100)]
    mixed = [item % 2 == 0 for item in range(100)]  # 5 of 10 in each
    plain, wide, even = (
        accuracy_interval(together),
        accuracy_interval(together, databases),
        accuracy_interval(mixed, databases),
    )
    assert wide.high - wide.low > 3 * (plain.high - plain.low)
    assert plain.high - plain.low < even.high - even.low < 1.3 * (plain.high - plain.low)


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong_still_leaves_doubt(right: bool) -> None:
    interval = accuracy_interval([right] * 100, [f"db{item // 10}" for item in range(100)])
    # Wilson's limit at 100 of 100 with t of 9 degrees, (1 + t^2 / n)^-1, is 0.951
    doubt = 1 - 1 / (1 + stats.t.ppf(0.975, 9) ** 2 / 100)
    assert (interval.low, interval.high) == pytest.approx((1 - doubt, 1) if right else (0, doubt))


def test_without_clusters_or_with_one_the_interval_is_wilsons_and_says_so() -> None:
    answers = [True] * 7 + [False] * 3
    plain, one = accuracy_interval(answers), accuracy_interval(answers, ["db"] * 10)
    assert (plain.low, plain.high) == (one.low, one.high) == wilson_interval(7, 10)
    assert (plain.method, one.method) == ("wilson", "wilson (one cluster)")


def test_an_interval_needs_items_and_a_cluster_for_each() -> None:
    with pytest.raises(DataError, match="0 correct of 0"):
        accuracy_interval([], [])
    with pytest.raises(DataError, match="2 answers with 1 clusters"):
        accuracy_interval([True, False], ["db"])


def test_real_text_to_sql_accuracies_need_intervals_three_times_as_wide(shared_data) -> None:  # type: ignore[no-untyped-def]
    databases = [row["db_id"] for row in json.loads((shared_data / "spider" / "dev.json").read_text(encoding="utf-8"))]
    file = shared_data / "spider_predictions" / "chatgpt_zero_shot.verdicts.json"
    verdicts = [bool(right) for right in json.loads(file.read_text())]
    plain, clustered = accuracy_interval(verdicts), accuracy_interval(verdicts, databases)
    assert sum(verdicts) == 743
    assert (clustered.high - clustered.low) / (plain.high - plain.low) == pytest.approx(3.4, abs=0.1)


def test_the_statistics_load_no_heavy_library() -> None:
    script = (
        "import sys, contrapeso.stats.tradeoff, contrapeso.stats.pareto, contrapeso.stats.power\n"
        "print({'scipy.stats', 'statsmodels', 'pandas', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
