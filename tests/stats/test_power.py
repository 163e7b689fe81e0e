"""What a study can see, against Connor's formula, simulation and the published predictions for Spider."""

import json
from itertools import combinations
from math import inf, sqrt

import numpy as np
import pytest
from scipy import stats

from benchmarks.calibration import MMLU, MMLU_SIZES, SPIDER, SPIDER_SIZES, detection_rate
from contrapeso.data import load_mmlu
from contrapeso.errors import DataError
from contrapeso.stats.paired import compare, mcnemar_p
from contrapeso.stats.power import DATABASE_CORRELATION, assumed_design_effect, smallest_detectable_difference


@pytest.mark.parametrize("degrees", [inf, 14.1])
def test_smallest_detectable_difference_solves_connors_sample_size_formula(degrees: float) -> None:
    z_a, z_b = stats.t.ppf(0.975, degrees), stats.t.ppf(0.8, degrees)
    for n, share in [(100, 0.25), (1034, 0.2), (14042, 0.1)]:
        d = smallest_detectable_difference(n, share, degrees=degrees)
        assert d is not None
        assert (z_a * sqrt(share) + z_b * sqrt(share - d**2)) ** 2 / d**2 == pytest.approx(n)


def test_smallest_detectable_difference_is_found_in_four_of_five_simulated_studies() -> None:
    n, share = 1034, 0.2
    d = smallest_detectable_difference(n, share)
    assert d is not None
    counts = np.random.default_rng(0).multinomial(n, [(share + d) / 2, (share - d) / 2, 1 - share], size=2000)
    found = np.mean([mcnemar_p(int(lost), int(gained)) <= 0.05 for gained, lost, _ in counts])
    assert found == pytest.approx(0.80, abs=0.04)


def test_difference_foretold_for_databases_that_differ_is_found_in_about_four_of_five() -> None:
    foretold, found = detection_rate(SPIDER, studies=400, seed=1)
    plain = smallest_detectable_difference(1034, SPIDER.changed)
    assert plain is not None and foretold > 1.9 * plain
    assert found == pytest.approx(0.80, abs=0.06)


def test_too_few_changes_can_show_nothing() -> None:
    assert smallest_detectable_difference(20, 0.05) is None
    assert smallest_detectable_difference(100, 0.0) is None
    with pytest.raises(DataError, match="n=0"):
        smallest_detectable_difference(0, 0.2)


def test_clustering_makes_the_detectable_difference_larger() -> None:
    plain, clustered = (smallest_detectable_difference(1000, 0.2, design_effect=effect) for effect in (1.0, 4.0))
    assert plain is not None and clustered == pytest.approx(2 * plain, rel=0.02)


def test_assumed_design_effect_is_kishs_for_equal_clusters() -> None:
    assert assumed_design_effect([50] * 20, correlation=0.1) == pytest.approx(1 + 49 * 0.1)
    assert assumed_design_effect([1, 1, 1]) == 1
    with pytest.raises(DataError, match="no design effect"):
        assumed_design_effect([])


def test_assumed_correlation_lies_among_those_measured_on_published_predictions(shared_data) -> None:  # type: ignore[no-untyped-def]
    databases = [row["db_id"] for row in json.loads((shared_data / "spider" / "dev.json").read_text(encoding="utf-8"))]
    sizes = np.unique(databases, return_counts=True)[1].tolist()
    verdicts = [
        json.loads((shared_data / "spider_predictions" / f"{name}.verdicts.json").read_text())
        for name in ("din_sql_gpt4", "dts_sql_mistral7b", "chatgpt_zero_shot")
    ]
    measured = [compare(a, b, databases, scheme="cluster", seed=0) for a, b in combinations(verdicts, 2)]
    assert [pair.design_effect for pair in measured] == pytest.approx([4.21, 5.24, 1.46], abs=0.01)
    assert (
        0.19
        <= min(pair.discordant_share for pair in measured)
        <= max(pair.discordant_share for pair in measured)
        <= 0.21
    )
    assert 1.46 < assumed_design_effect(sizes, correlation=DATABASE_CORRELATION) < 5.24
    assert assumed_design_effect(sizes) == pytest.approx(3.7, abs=0.05)


def test_sizes_written_into_the_calibration_are_those_of_the_real_sets(shared_data) -> None:  # type: ignore[no-untyped-def]
    databases = [row["db_id"] for row in json.loads((shared_data / "spider" / "dev.json").read_text(encoding="utf-8"))]
    assert tuple(np.unique(databases, return_counts=True)[1].tolist()) == SPIDER_SIZES == SPIDER.sizes
    items = load_mmlu(shared_data / "mmlu").test
    assert tuple(np.unique([item.group for item in items], return_counts=True)[1].tolist()) == MMLU_SIZES == MMLU.sizes
