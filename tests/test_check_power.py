"""What `contrapeso check` says about the smallest effect a study could show."""

import re

import pytest

from contrapeso.check import smallest_effect


def points(detail: str) -> float:
    found = re.match(r"([\d.]+) points ", detail)
    assert found, detail
    return float(found[1])


def test_a_check_says_what_it_assumes_about_databases() -> None:
    finding = smallest_effect("gain", 1000, 0.3, databases=[50] * 20)
    # design effect 1 + 49 * 0.04
    assert (
        "when 30% of the outcomes change and databases differ as much as Spider's (design effect 3.0)" in finding.detail
    )


def test_databases_that_differ_make_the_smallest_effect_larger() -> None:
    alone, clustered = smallest_effect("gain", 1000, 0.3), smallest_effect("gain", 1000, 0.3, databases=[50] * 20)
    assert points(alone.detail) == pytest.approx(4.8)
    # sqrt(2.96) for the design effect, and Student's quantiles with 19 degrees for the normal ones
    assert points(clustered.detail) == pytest.approx(4.8 * 2.96**0.5 * (2.093 + 0.861) / (1.960 + 0.842), abs=0.1)


def test_one_database_says_nothing_about_others_and_assumes_nothing() -> None:
    assert smallest_effect("gain", 100, 0.3, databases=[100]) == smallest_effect("gain", 100, 0.3)


def test_a_study_that_cannot_see_ten_points_is_warned_about() -> None:
    assert smallest_effect("gain", 1000, 0.3).status == "ok"
    assert smallest_effect("gain", 150, 0.3).status == "warn"
    nothing = smallest_effect("gain", 10, 0.1)
    assert nothing.status == "warn" and nothing.detail.startswith("none with 10 questions")
