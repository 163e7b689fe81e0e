"""The findings on forgetting: the study of a seed says what it should, and the table is the arithmetic of its seeds."""

import pytest
from scipy import stats

from benchmarks.frontier import MITIGATIONS, RATES, SCALES, draw, estimate, rows_of, run_name, study_text, table
from contrapeso import load_study
from contrapeso.names import scaled_name


def test_the_study_of_a_seed_crosses_rates_with_mitigations_and_scales_all_of_them(tmp_path):
    file = tmp_path / "frontier.toml"
    file.write_text(study_text(3, tiny=False), encoding="utf-8")
    study = load_study(file)
    assert study.seed == 3 and study.evaluate.scales == SCALES
    assert [run.name for run in study.runs] == [run_name(rate, way) for rate in RATES for way in MITIGATIONS]
    both = [run for run in study.runs if run.replay and run.kl_to_base]
    assert len(both) == len(RATES) and {run.learning_rate for run in study.runs} == {float(rate) for rate in RATES}


def test_an_estimate_is_the_mean_with_its_t_interval():
    values = [1.0, 2.5, 0.5, 3.0, 2.0]
    interval = stats.t.interval(0.95, 4, loc=1.8, scale=stats.sem(values))
    found = estimate(values)
    assert (found.mean, found.low, found.high) == pytest.approx((1.8, *interval))


def test_changes_are_paired_by_seed_with_the_plain_run_of_the_same_rate(tmp_path):
    def seed(shift):
        return {
            scaled_name(run_name(rate, way), scale): (10.0 * scale + place + shift, scale - shift)
            for rate in RATES
            for place, way in enumerate(MITIGATIONS)
            for scale in SCALES
        }

    rows = rows_of([seed(0.0), seed(4.0)])
    assert len(rows) == len(RATES) * len(MITIGATIONS) * len(SCALES)
    plain, replay = rows[0], rows[2]
    assert (plain.mitigation, plain.scale, plain.gain.mean, plain.gain_change) == ("plain", 1.0, 12.0, None)
    # the shift of a seed falls out of a paired difference, and is all the spread there is in a mean
    assert (replay.gain_change.mean, replay.gain_change.low, replay.gain_change.high) == (1.0, 1.0, 1.0)
    assert replay.gain.high - replay.gain.low > 40
    text = table(rows)
    assert len(text.splitlines()) == 2 + len(rows) and "| +1.0 [+1.0, +1.0] | +0.0 [+0.0, +0.0] |" in text
    draw(rows, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
