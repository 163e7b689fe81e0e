"""A short run of the calibration: intervals cover what they promise, tests reject as rarely as they promise.

With 400 studies a rate of 95 % has a standard error of 1.1 points; `benchmarks/calibration.py` takes 2,000.
"""

from dataclasses import replace

import pytest

from benchmarks.calibration import (
    MARGIN,
    MMLU,
    POCKET,
    POCKET_SIZES,
    SPIDER,
    SPIDER_SIZES,
    World,
    accuracy_coverage,
    dominance_rate,
    equivalence_rate,
    paired,
    ratio_coverage,
)

STUDIES = 400
SMALL_MMLU = replace(MMLU, name="MMLU, 10 subjects", sizes=MMLU.sizes[:10])


@pytest.mark.parametrize("sizes", [SPIDER_SIZES, POCKET_SIZES])
@pytest.mark.parametrize("accuracy", [0.2, 0.76])
def test_accuracy_interval_covers_new_databases_and_wilsons_does_not(sizes: tuple[int, ...], accuracy: float) -> None:
    wilson, cluster = accuracy_coverage(sizes, accuracy, 0.1, studies=STUDIES, seed=2)
    assert 0.925 <= cluster <= 0.975
    assert wilson < 0.7


def test_accuracy_interval_of_independent_items_covers_either_way() -> None:
    wilson, cluster = accuracy_coverage(SPIDER_SIZES, 0.76, 0.0, studies=STUDIES, seed=2)
    assert 0.925 <= wilson <= 0.975
    assert wilson <= cluster <= 0.99  # it cannot know that they are independent


@pytest.mark.parametrize("world", [SPIDER, replace(SPIDER, spread=0.1), replace(POCKET, spread=0.1)])
def test_paired_interval_covers_and_the_verdict_is_wrong_as_rarely_as_promised(world: World) -> None:
    found = paired(world, studies=STUDIES, seed=3)
    assert 0.925 <= found["coverage"] <= 0.975
    assert 0.02 <= found["verdict"] <= found["p_verdict"] <= 0.075


def test_mcnemar_alone_would_find_differences_that_are_not_there_when_databases_differ() -> None:
    assert paired(replace(SPIDER, spread=0.1), studies=STUDIES, seed=3)["mcnemar"] > 0.15


def test_paired_interval_and_mcnemar_hold_for_subjects() -> None:
    found = paired(replace(SMALL_MMLU, changed=0.3), studies=STUDIES, seed=4)
    assert 0.925 <= found["coverage"] <= 0.975
    assert 0.02 <= found["mcnemar"] == found["p_verdict"] <= 0.075


def test_equivalence_is_claimed_at_the_margin_in_one_of_twenty_studies() -> None:
    for world, margin in ((replace(SPIDER, spread=0.05), 0.1), (SMALL_MMLU, 0.02)):
        rate = equivalence_rate(replace(world, delta=margin), margin, studies=STUDIES, seed=10)
        assert 0.02 <= rate <= 0.08


def test_no_harm_is_found_on_mmlu_where_there_is_none() -> None:
    assert equivalence_rate(MMLU, MARGIN, studies=20, seed=6) == 1


def test_ratios_cover_and_dominance_is_claimed_rarely_when_one_task_is_unchanged() -> None:
    tuned, worse = replace(SPIDER, delta=0.12, spread=0.05), replace(SMALL_MMLU, delta=-0.02)
    found = ratio_coverage(tuned, worse, studies=STUDIES, seed=9)
    assert 0.925 <= found["exchange_rate"] <= 0.975
    assert 0.925 <= found["relative_change"] <= 0.975
    assert 0.02 <= dominance_rate(tuned, SMALL_MMLU, studies=STUDIES, seed=8) <= 0.08
