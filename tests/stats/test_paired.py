"""Paired comparisons against scipy, statsmodels, hand-worked tables and a published data set."""

import csv
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from stats.flips import flips
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import DescrStatsW

from contrapeso.errors import DataError
from contrapeso.stats.paired import compare, equivalence, holm, mcnemar_p, verdict


def test_mcnemar_equals_a_table_worked_by_hand() -> None:
    # 8 changed items, 1 lost: 2 * (C(8,0) + C(8,1)) / 2^8 = 18/256
    assert mcnemar_p(1, 7) == pytest.approx(18 / 256)
    assert mcnemar_p(7, 1) == pytest.approx(18 / 256)
    assert mcnemar_p(5, 5) == 1.0
    assert mcnemar_p(0, 0) == 1.0


@given(st.integers(0, 900), st.integers(0, 900))
def test_mcnemar_equals_scipy_and_statsmodels(lost: int, gained: int) -> None:
    if lost + gained:
        assert mcnemar_p(lost, gained) == pytest.approx(stats.binomtest(lost, lost + gained, 0.5).pvalue, rel=1e-9)
        assert mcnemar_p(lost, gained) == pytest.approx(mcnemar([[3, lost], [gained, 4]], exact=True).pvalue, rel=1e-9)


def test_holm_equals_a_family_worked_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04 -> 3 * 0.01, 2 * 0.02, max(0.04, 0.04)
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([]) == []


@settings(max_examples=10)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_comparison_lists_lost_and_gained_items() -> None:
    before = [True, True, False, False, True, False]
    after = [True, False, True, False, False, False]
    comparison = compare(before, after, ["g"] * 6, scheme="stratified", seed=0)
    assert (comparison.lost_items, comparison.gained_items) == ((1, 4), (2,))
    assert (comparison.n, comparison.lost, comparison.gained) == (6, 2, 1)
    assert (comparison.base, comparison.delta) == pytest.approx((3 / 6, -1 / 6))
    assert comparison.discordant_share == pytest.approx(3 / 6)


def test_stratified_interval_agrees_with_the_stratified_normal_interval() -> None:
    generator = np.random.default_rng(3)
    groups = np.repeat(["a", "b", "c"], [400, 700, 900])
    before = generator.random(2000) < 0.5
    after = np.where(generator.random(2000) < 0.8, before, generator.random(2000) < 0.4)
    difference = after.astype(int) - before
    variance = sum(difference[groups == name].var(ddof=1) * (groups == name).sum() for name in "abc") / 2000**2
    comparison = compare(before, after, groups, scheme="stratified", seed=0)
    half = 1.96 * sqrt(variance)
    assert comparison.standard_error == pytest.approx(sqrt(variance))
    assert comparison.ci == pytest.approx((comparison.delta - half, comparison.delta + half), abs=0.05 * half)
    assert comparison.p_verdict == comparison.p


def databases_that_differ(count: int = 20, each: int = 50) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Answers, groups, and the mean difference of each of several equal databases."""
    generator = np.random.default_rng(4)
    index = np.repeat(np.arange(count), each)
    before = generator.random(count * each) < 0.4
    after = generator.random(count * each) < 0.4 + generator.normal(0.1, 0.1, count)[index]
    means = (after.astype(int) - before).reshape(count, each).mean(axis=1)
    return before, after, [f"db{g}" for g in index], means


def test_clustered_test_and_interval_equal_a_t_test_of_the_database_means() -> None:
    before, after, groups, means = databases_that_differ()
    comparison = compare(before, after, groups, scheme="cluster", seed=0)
    reference = stats.ttest_1samp(means, 0)
    assert comparison.p_verdict == pytest.approx(reference.pvalue)
    interval = reference.confidence_interval(0.95)
    half = (interval.high - interval.low) / 2
    assert comparison.ci == pytest.approx((interval.low, interval.high), abs=0.15 * half)
    assert comparison.design_effect > 1
    assert comparison.p == mcnemar_p(comparison.lost, comparison.gained) < comparison.p_verdict


def test_three_databases_that_move_nearly_alike_are_no_certainty_beyond_what_their_items_say() -> None:
    before, after = [False] * 31, [True] + 9 * [False] + [True] + 9 * [False] + [True] + 10 * [False]
    groups = ["a"] * 10 + ["b"] * 10 + ["c"] * 11
    comparison = compare(before, after, groups, scheme="cluster", seed=0)
    assert stats.ttest_1samp([1 / 10, 1 / 10, 1 / 11], 0).pvalue < 0.01
    assert comparison.scheme == "cluster"
    assert comparison.p_verdict == comparison.p == pytest.approx(0.25)


def test_equivalence_equals_the_two_one_sided_t_tests_of_the_database_means() -> None:
    before, after, groups, means = databases_that_differ()
    comparison = compare(before, after, groups, scheme="cluster", seed=0)
    for margin in (0.05, 0.15, 0.3):
        found = equivalence(comparison, margin)
        reference = DescrStatsW(means).ttost_mean(-margin, margin)
        assert found.p == pytest.approx(reference[0])
        assert found.ci == pytest.approx(DescrStatsW(means).tconfint_mean(alpha=0.10))
        assert found.equivalent == (found.p <= 0.05) == (max(map(abs, found.ci)) <= margin)


def test_equivalence_of_independent_items_agrees_with_statsmodels() -> None:
    before, after = flips(50, 45, 1905)
    comparison = compare(before, after, ["one"] * 2000, scheme="stratified", seed=0)
    difference = np.array(after, dtype=int) - np.array(before)
    reference = DescrStatsW(difference).ttost_mean(-0.01, 0.01)
    assert equivalence(comparison, 0.01).p == pytest.approx(reference[0], rel=0.01)


def test_a_few_changes_that_cancel_out_are_not_certainty() -> None:
    # No change in 200 items: were 2 % to change, that would happen with probability 0.98^200 = 0.0176; in 100, 0.133.
    for n, equivalent in ((200, True), (100, False)):
        comparison = compare([True] * n, [True] * n, ["g"] * n, scheme="stratified", seed=0)
        assert equivalence(comparison, 0.02).p == pytest.approx(0.98**n, rel=0.5)
        assert equivalence(comparison, 0.02).equivalent == equivalent


@pytest.mark.parametrize("margin", [0.0, 2.0])
def test_a_margin_that_is_no_fraction_is_refused(margin: float) -> None:
    before, after = flips(1, 1, 8)
    with pytest.raises(DataError, match="margin between 0 and 1"):
        equivalence(compare(before, after, ["g"] * 10, scheme="stratified", seed=0), margin)


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
    assert (comparison.scheme, comparison.p_verdict) == ("items", comparison.p)
    assert comparison.ci == compare(before, after, ["db"] * 100, scheme="stratified", seed=0).ci


def test_two_databases_that_moved_exactly_alike_are_no_proof() -> None:
    before, after = [False] * 8, [True, False, False, False] * 2
    comparison = compare(before, after, ["a"] * 4 + ["b"] * 4, scheme="cluster", seed=0)
    assert (comparison.scheme, comparison.p_verdict) == ("items", 0.5)
    assert comparison.ci[1] - comparison.ci[0] > 0.4


@pytest.mark.parametrize(("gained", "each"), [(1, 3), (1, 6), (3, 10), (1, 10), (7, 10)])
@pytest.mark.parametrize("databases", [2, 3, 5, 20])
def test_databases_that_moved_exactly_alike_are_no_proof_whatever_the_fraction(
    gained: int, each: int, databases: int
) -> None:
    after = ([True] * gained + [False] * (each - gained)) * databases
    groups = np.repeat(np.arange(databases), each).tolist()
    comparison = compare([False] * len(after), after, groups, scheme="cluster", seed=0)
    assert (comparison.scheme, comparison.p_verdict) == ("items", mcnemar_p(0, gained * databases))
    half = 1.96 * sqrt(gained / each * (1 - gained / each) / len(after))
    assert comparison.ci[1] - comparison.ci[0] > 1.5 * half


def test_a_base_equally_good_in_every_database_has_resamples_at_its_accuracy() -> None:
    before, after = [True, False, False] * 4, [True, True, False] + [True, False, False] * 3
    comparison = compare(before, after, np.repeat(list("abcd"), 3).tolist(), scheme="cluster", seed=0)
    assert comparison.scheme == "cluster"
    assert comparison.draws.base == pytest.approx(np.full(10_000, 1 / 3))


@pytest.mark.parametrize(
    ("strata", "changes"),
    [
        ([10, 10], [0, 10]),  # one subject did not change, the other did in every answer
        ([100, 12, 100], [0, 12, 0]),
        ([100, 12, 100], [1, 12, 1]),  # the small variance left speaks of the other subjects
        ([100, 12, 100], [0, 11, 0]),
    ],
)
def test_subjects_that_moved_as_one_are_no_certainty(strata: list[int], changes: list[int]) -> None:
    groups = np.repeat(np.arange(len(strata)), strata)
    after = np.concatenate([np.arange(size) < changed for size, changed in zip(strata, changes, strict=True)])
    nothing = np.zeros(len(after), dtype=bool)
    comparison = compare(nothing, after, groups, scheme="stratified", seed=0)
    reference = compare(nothing, after, ["one"] * len(after), scheme="stratified", seed=0)
    assert comparison.scheme == "items"
    assert (comparison.ci, comparison.standard_error) == (reference.ci, reference.standard_error)
    assert comparison.ci[1] - comparison.ci[0] > 3.5 * sqrt(sum(changes) * (1 - after.mean())) / len(after)


def test_subjects_that_truly_differ_keep_their_narrower_interval() -> None:
    groups = np.repeat(["a", "b"], 500)
    after = np.arange(1000) % 500 < np.repeat([50, 250], 500)
    comparison = compare([False] * 1000, after, groups, scheme="stratified", seed=0)
    variance = 500 * (0.1 * 0.9 + 0.5 * 0.5) / 1000**2 * 500 / 499
    assert (comparison.scheme, comparison.standard_error) == ("stratified", pytest.approx(sqrt(variance)))


def test_strata_of_one_item_still_give_an_interval() -> None:
    before, after = flips(10, 20, 30)
    low, high = compare(before, after, [f"s{i}" for i in range(60)], scheme="stratified", seed=0).ci
    assert high - low > 0.2


@pytest.mark.parametrize("scheme", ["cluster", "stratified"])
def test_no_change_at_all_is_not_certainty(scheme) -> None:  # type: ignore[no-untyped-def]
    comparison = compare([True] * 50, [True] * 50, [f"g{i % 5}" for i in range(50)], scheme=scheme, seed=0)
    upper = stats.binomtest(0, 50).proportion_ci(0.95, "exact").high
    assert comparison.ci == pytest.approx((-upper, upper))
    assert comparison.p_verdict == 1.0


def test_changes_of_every_item_are_not_certainty_either() -> None:
    comparison = compare([False] * 10, [True] * 10, ["a", "b"] * 5, scheme="cluster", seed=0)
    upper = stats.binomtest(0, 10).proportion_ci(0.95, "exact").high
    assert comparison.ci == pytest.approx((1 - 2 * upper, 1))
    assert comparison.p_verdict == pytest.approx(2 / 2**10)


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


@pytest.mark.parametrize(
    ("lost", "gained", "same", "p", "words"),
    # standard errors: sqrt(lost + gained - delta * net) / n; 1.645 of them for equivalence, 1.96 for the interval
    [
        (10, 60, 930, 0.001, "gain"),
        (60, 10, 930, 0.05, "loss"),
        (60, 10, 930, 0.06, "not distinguishable at this n (up to 6.7 points)"),
        (20, 25, 955, 0.001, "no difference larger than 1.7 points"),
        (20, 25, 155, 0.8, "not distinguishable at this n (up to 9.1 points)"),
    ],
)
def test_verdict_in_words(lost: int, gained: int, same: int, p: float, words: str) -> None:
    before, after = flips(lost, gained, same)
    comparison = compare(before, after, ["one"] * len(before), scheme="stratified", seed=0)
    assert verdict(comparison, p, margin=0.02) == words


def test_no_difference_is_a_finding_just_when_the_two_one_sided_tests_reject() -> None:
    before, after = flips(100, 100, 1800)
    comparison = compare(before, after, ["one"] * 2000, scheme="stratified", seed=0)
    # se = sqrt(0.1 / 2000) = 0.00707, so the 90 % interval reaches to 1.645 se = 1.163 points
    assert verdict(comparison, 1.0, margin=0.0117) == "no difference larger than 1.2 points"
    assert verdict(comparison, 1.0, margin=0.0116).startswith("not distinguishable")


CHECKPOINTS = {50: (548, 519), 100: (640, 555), 150: (655, 589), 200: (675, 593)}
"""Lost and gained items against checkpoint 0, counted by the publishers of the table."""


def answers(shared_data, column: str) -> tuple[list[bool], list[str]]:  # type: ignore[no-untyped-def]
    with (shared_data / "mmlu_forgetting" / "fedllm_mmlu_results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row[column] == "1" for row in rows], [row["subject"] for row in rows]


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_published_forgetting_run_loses_what_its_authors_files_say(shared_data, checkpoint: int) -> None:  # type: ignore[no-untyped-def]
    before, subjects = answers(shared_data, "correct_0")
    after, _ = answers(shared_data, f"correct_{checkpoint}")
    comparison = compare(before, after, subjects, scheme="stratified", seed=0)
    lost, gained = CHECKPOINTS[checkpoint]
    assert (comparison.n, comparison.groups, comparison.lost, comparison.gained) == (12343, 55, lost, gained)
    assert comparison.delta == pytest.approx((gained - lost) / 12343)
    assert comparison.p == pytest.approx(stats.binomtest(lost, lost + gained, 0.5).pvalue)
    half = 1.96 * sqrt(lost + gained - (lost - gained) ** 2 / 12343) / 12343
    assert comparison.ci == pytest.approx((comparison.delta - half, comparison.delta + half), abs=0.05 * half)


def test_published_forgetting_is_seen_when_paired_and_missed_when_not(shared_data) -> None:  # type: ignore[no-untyped-def]
    before, subjects = answers(shared_data, "correct_0")
    after, _ = answers(shared_data, "correct_200")
    comparison = compare(before, after, subjects, scheme="stratified", seed=0)
    assert comparison.p == pytest.approx(0.023, abs=0.001)
    assert comparison.ci[1] < 0
    assert verdict(comparison, comparison.p_verdict, margin=0.02) == "loss"
    assert equivalence(comparison, 0.02).equivalent  # a loss, and certainly less than two points
    z, p = proportions_ztest([sum(before), sum(after)], [len(before)] * 2)
    assert (z, p) == (pytest.approx(1.05, abs=0.005), pytest.approx(0.29, abs=0.01))


def test_no_single_published_checkpoint_stands_when_four_are_looked_at() -> None:
    adjusted = holm([mcnemar_p(*counts) for counts in CHECKPOINTS.values()])
    # smallest first: 0.0151 * 4, 0.0229 * 3, 0.0653 * 2, 0.391
    assert adjusted == pytest.approx([0.391, 0.0603, 0.1306, 0.0687], abs=5e-4)
