"""Statistics against closed forms, hand-worked tables, simulation and a published data set."""

import csv
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from contrapeso.errors import DataError
from contrapeso.stats.intervals import wilson_interval
from contrapeso.stats.paired import Comparison, compare, holm, mcnemar_p, verdict
from contrapeso.stats.power import smallest_detectable_difference
from contrapeso.stats.tradeoff import weigh


def flips(lost: int, gained: int, same: int) -> tuple[list[bool], list[bool]]:
    """Answers of two variants with a given table of changes."""
    return [True] * lost + [False] * gained + [True] * same, [False] * lost + [True] * gained + [True] * same


@pytest.mark.parametrize(("correct", "n"), [(0, 10), (9, 100), (75, 150), (10, 10), (6576, 14042)])
def test_wilson_interval_equals_its_closed_form(correct: int, n: int) -> None:
    z, p = stats.norm.ppf(0.975), correct / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert wilson_interval(correct, n) == pytest.approx((max(0, centre - half), min(1, centre + half)), abs=1e-12)


@pytest.mark.parametrize(("correct", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_interval_refuses_impossible_counts(correct: int, n: int) -> None:
    with pytest.raises(DataError, match=f"{correct} correct of {n}"):
        wilson_interval(correct, n)


def test_mcnemar_equals_a_table_worked_by_hand() -> None:
    # 8 changed items, 1 lost: 2 * (C(8,0) + C(8,1)) / 2^8 = 18/256
    assert mcnemar_p(1, 7) == pytest.approx(18 / 256)
    assert mcnemar_p(7, 1) == pytest.approx(18 / 256)
    assert mcnemar_p(5, 5) == 1.0
    assert mcnemar_p(0, 0) == 1.0


def test_holm_equals_a_family_worked_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 -> 3 * 0.01, 2 * 0.02, max(0.04, 0.04)
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == []


def test_comparison_counts_lost_and_gained_items() -> None:
    before, after = flips(lost=3, gained=5, same=12)
    comparison = compare(before, after, ["g"] * 20, scheme="stratified", seed=0)
    assert (comparison.n, comparison.lost, comparison.gained) == (20, 3, 5)
    assert comparison.delta == pytest.approx(2 / 20)
    assert comparison.discordant_share == pytest.approx(8 / 20)


def test_stratified_interval_agrees_with_the_stratified_normal_interval() -> None:
    generator = np.random.default_rng(3)
    groups = np.repeat(["a", "b", "c"], [400, 700, 900])
    before = generator.random(2000) < 0.5
    after = np.where(generator.random(2000) < 0.8, before, generator.random(2000) < 0.4)
    difference = after.astype(int) - before
    variance = sum(difference[groups == name].var(ddof=1) * (groups == name).sum() for name in "abc") / 2000**2
    comparison = compare(before, after, groups, scheme="stratified", seed=0)
    half = 1.96 * sqrt(variance)
    assert comparison.ci == pytest.approx((comparison.delta - half, comparison.delta + half), abs=0.05 * half)


def test_cluster_interval_agrees_with_the_cluster_robust_t_interval() -> None:
    generator = np.random.default_rng(4)
    groups = np.repeat(np.arange(20), 50)
    shift = generator.normal(0.1, 0.1, 20)[groups]
    after, before = generator.random(1000) < 0.4 + shift, generator.random(1000) < 0.4
    difference = after.astype(int) - before
    residuals = np.array([(difference - difference.mean())[groups == g].sum() for g in range(20)])
    half = stats.t.ppf(0.975, 19) * sqrt(20 / 19 * (residuals**2).sum()) / 1000
    comparison = compare(before, after, [f"db{g}" for g in groups], scheme="cluster", seed=0)
    assert comparison.ci == pytest.approx((comparison.delta - half, comparison.delta + half), abs=0.15 * half)
    assert comparison.design_effect > 1


def test_cluster_interval_of_eight_databases_covers_the_truth_as_often_as_promised() -> None:
    generator = np.random.default_rng(5)
    groups = np.repeat(np.arange(8), 50)
    hits = 0
    for trial in range(400):
        shift = generator.normal(0.1, 0.1, 8)[groups]
        before, after = generator.random(400) < 0.4, generator.random(400) < 0.4 + shift
        low, high = compare(before, after, groups, scheme="cluster", seed=trial, resamples=500).ci
        hits += low <= 0.1 <= high
    # 0.95 nominal; the plain percentile interval covers 0.88 here, treating items as independent less
    assert 0.925 <= hits / 400 <= 0.985


def test_cluster_interval_is_wider_than_that_of_independent_items_when_databases_move_together() -> None:
    before = [False] * 100
    after = [True] * 50 + [False] * 50
    groups = [f"db{i // 10}" for i in range(100)]
    clustered = compare(before, after, groups, scheme="cluster", seed=0).ci
    independent = compare(before, after, ["one"] * 100, scheme="stratified", seed=0).ci
    assert clustered[1] - clustered[0] > 2.5 * (independent[1] - independent[0])


def test_a_single_database_is_resampled_by_item_and_says_so() -> None:
    before, after = flips(10, 20, 70)
    comparison = compare(before, after, ["db"] * 100, scheme="cluster", seed=0)
    assert comparison.scheme == "items"
    assert comparison.ci == compare(before, after, ["db"] * 100, scheme="stratified", seed=0).ci


def test_strata_of_one_item_still_give_an_interval() -> None:
    before, after = flips(10, 20, 30)
    low, high = compare(before, after, [f"s{i}" for i in range(60)], scheme="stratified", seed=0).ci
    assert high - low > 0.2


def test_no_change_at_all_is_not_certainty() -> None:
    comparison = compare([True] * 50, [True] * 50, ["g"] * 50, scheme="stratified", seed=0)
    upper = stats.binomtest(0, 50).proportion_ci(0.95, "exact").high
    assert comparison.ci == pytest.approx((-upper, upper))


def test_the_seed_decides_the_resamples_and_the_global_generator_does_not() -> None:
    before, after = flips(30, 40, 130)
    groups = [f"db{i % 7}" for i in range(200)]
    first = compare(before, after, groups, scheme="cluster", seed=1)
    np.random.seed(0)
    assert compare(before, after, groups, scheme="cluster", seed=1).ci == first.ci
    assert compare(before, after, groups, scheme="cluster", seed=2).ci != first.ci


def test_unequal_arrays_are_refused() -> None:
    with pytest.raises(DataError, match="2 and 1 answers with 2 groups"):
        compare([True, False], [True], ["a", "b"], scheme="cluster", seed=0)


def outcome_of(delta: float, ci: tuple[float, float]) -> Comparison:
    return Comparison(100, delta, ci, 1, 1, 0.5, "cluster", 5, 1.0, np.zeros(1))


@pytest.mark.parametrize(
    ("delta", "ci", "p", "words"),
    [
        (0.1, (0.05, 0.15), 0.001, "gain"),
        (-0.1, (-0.15, -0.05), 0.05, "loss"),
        (0.1, (0.05, 0.15), 0.06, "not distinguishable at this n (up to 15.0 points)"),
        (0.1, (-0.01, 0.21), 0.001, "not distinguishable at this n (up to 21.0 points)"),
        (0.0, (-0.014, 0.012), 0.8, "no difference larger than 1.4 points"),
    ],
)
def test_verdict_needs_the_interval_and_the_test(delta: float, ci: tuple[float, float], p: float, words: str) -> None:
    assert verdict(outcome_of(delta, ci), p, margin=0.02) == words


def test_smallest_detectable_difference_solves_connors_sample_size_formula() -> None:
    z_a, z_b = stats.norm.ppf(0.975), stats.norm.ppf(0.8)
    for n, share in [(100, 0.25), (1034, 0.2), (14042, 0.1)]:
        d = smallest_detectable_difference(n, share)
        assert d is not None
        assert (z_a * sqrt(share) + z_b * sqrt(share - d**2)) ** 2 / d**2 == pytest.approx(n)


def test_smallest_detectable_difference_is_found_in_four_of_five_simulated_studies() -> None:
    n, share = 1034, 0.2
    d = smallest_detectable_difference(n, share)
    assert d is not None
    counts = np.random.default_rng(0).multinomial(n, [(share + d) / 2, (share - d) / 2, 1 - share], size=2000)
    found = np.mean([mcnemar_p(int(lost), int(gained)) <= 0.05 for gained, lost, _ in counts])
    assert found == pytest.approx(0.80, abs=0.04)


def test_too_few_changes_can_show_nothing() -> None:
    assert smallest_detectable_difference(20, 0.05) is None
    assert smallest_detectable_difference(100, 0.0) is None
    with pytest.raises(DataError, match="n=0"):
        smallest_detectable_difference(0, 0.2)


def test_clustering_makes_the_detectable_difference_larger() -> None:
    plain, clustered = (smallest_detectable_difference(1000, 0.2, design_effect=effect) for effect in (1.0, 4.0))
    assert plain is not None and clustered == pytest.approx(2 * plain, rel=0.02)


def test_exchange_rate_interval_agrees_with_fiellers() -> None:
    target = compare(*flips(50, 250, 700), ["g"] * 1000, scheme="stratified", seed=0)
    general = compare(*flips(300, 200, 1500), ["g"] * 2000, scheme="stratified", seed=1)
    traded = weigh(target, general)
    assert traded.gain == pytest.approx(0.2)
    assert traded.loss == pytest.approx(0.05)
    assert traded.exchange_rate == pytest.approx(0.25)
    variance_gain, variance_loss = (0.3 - 0.2**2) / 1000, (0.25 - 0.05**2) / 2000
    # Fieller: the rates r for which (loss - r gain)^2 <= z^2 (Var loss + r^2 Var gain)
    z2 = stats.norm.ppf(0.975) ** 2
    roots = np.roots([0.2**2 - z2 * variance_gain, -2 * 0.2 * 0.05, 0.05**2 - z2 * variance_loss])
    assert traded.ci == pytest.approx((min(roots), max(roots)), abs=0.01)


def test_there_is_no_exchange_rate_without_a_gain() -> None:
    general = compare(*flips(300, 200, 1500), ["g"] * 2000, scheme="stratified", seed=1)
    flat = compare(*flips(50, 52, 100), ["g"] * 202, scheme="stratified", seed=0)
    worse = compare(*flips(100, 10, 100), ["g"] * 210, scheme="stratified", seed=0)
    assert weigh(flat, general).exchange_rate is None
    assert "cannot be told from zero" in weigh(flat, general).reason
    assert "is negative" in weigh(worse, general).reason


def test_a_barely_certain_gain_gives_a_finite_rate_interval() -> None:
    general = compare(*flips(300, 200, 1500), ["g"] * 2000, scheme="stratified", seed=1)
    for gained in range(60, 90):
        target = compare(*flips(50, gained, 300), ["g"] * (350 + gained), scheme="stratified", seed=0)
        traded = weigh(target, general)
        assert traded.ci is None or all(np.isfinite(traded.ci))


def test_published_forgetting_run_loses_what_its_authors_files_say(shared_data) -> None:  # type: ignore[no-untyped-def]
    with (shared_data / "mmlu_forgetting" / "fedllm_mmlu_results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    before, after = ([row[name] == "1" for row in rows] for name in ("correct_0", "correct_200"))
    comparison = compare(before, after, [row["subject"] for row in rows], scheme="stratified", seed=0)
    assert (comparison.lost, comparison.gained) == (675, 593)
    assert comparison.p == pytest.approx(0.023, abs=0.001)
    assert comparison.delta == pytest.approx(-0.00664, abs=1e-5)
    assert comparison.ci[1] < 0
    assert verdict(comparison, comparison.p, margin=0.005) == "loss"
