"""Choosing a variant: the rule against textbook bounds, and the estimate against studies whose truth is known."""

import numpy as np
import pytest
from scipy import stats

from contrapeso.errors import DataError
from contrapeso.stats.selection import Candidate, Differences, Rule, recommend

DATABASES, EACH, SUBJECTS, PER_SUBJECT = 12, 20, 10, 60


def differences(generator, groups, each, effects):
    """Answers that change by `effects[group]` on average: never for one effect of 0, both ways otherwise."""
    group = np.repeat(np.arange(groups), each)
    effect = np.broadcast_to(np.asarray(effects, dtype=float), (groups,))[group]
    values = (generator.random(len(group)) < 0.15 + effect / 2).astype(float)
    values -= generator.random(len(group)) < 0.15 - effect / 2
    return Differences(values, np.arange(len(group)), group)


def candidate(name, generator, gain, loss, *, spread=0.0):
    effects = gain + spread * generator.standard_normal(DATABASES)
    return Candidate(
        name,
        target=differences(generator, DATABASES, EACH, effects),
        general=differences(generator, SUBJECTS, PER_SUBJECT, -loss),
    )


def test_the_bound_of_the_loss_is_the_one_sided_bound_of_a_stratified_mean():
    generator = np.random.default_rng(0)
    one = candidate("a", generator, 0.1, 0.02)
    (weighed,) = recommend([one], Rule("max_loss", 0.05), seed=0, splits=2).candidates
    by_subject = one.general.values.reshape(SUBJECTS, PER_SUBJECT)
    error = np.sqrt((by_subject.var(axis=1, ddof=1) / PER_SUBJECT).mean() / SUBJECTS)
    assert weighed.loss == pytest.approx(-by_subject.mean())
    assert weighed.bound == pytest.approx(weighed.loss + 1.6448536 * error)


def test_the_bound_of_the_gain_is_a_t_bound_over_databases():
    one = candidate("a", np.random.default_rng(1), 0.2, 0.0, spread=0.1)
    (weighed,) = recommend([one], Rule("min_gain", 0.01), seed=0, splits=2).candidates
    means = one.target.values.reshape(DATABASES, EACH).mean(axis=1)
    expected = stats.ttest_1samp(means, 0, alternative="greater").confidence_interval(0.95).low
    assert weighed.bound == pytest.approx(expected)


def test_the_most_gain_within_the_budget_is_taken_and_the_most_gain_beyond_it_is_not():
    generator = np.random.default_rng(2)
    effects = (("small", 0.05, 0.0), ("good", 0.15, 0.0), ("costly", 0.25, 0.25))
    ones = [candidate(name, generator, gain, loss) for name, gain, loss in effects]
    found = recommend(ones, Rule("max_loss", 0.12), seed=0)
    assert found.chosen == "good"
    assert [one.allowed for one in found.candidates] == [True, True, False]
    assert "costly" not in found.held_out.chosen


def test_the_least_loss_is_taken_among_those_that_gain_enough():
    generator = np.random.default_rng(3)
    ones = [candidate(n, generator, g, loss) for n, g, loss in (("a", 0.0, 0.0), ("b", 0.2, 0.02), ("c", 0.25, 0.12))]
    assert recommend(ones, Rule("min_gain", 0.08), seed=0).chosen == "b"


def test_nothing_is_recommended_when_no_variant_is_certainly_within_the_budget():
    found = recommend([candidate("a", np.random.default_rng(4), 0.2, 0.1)], Rule("max_loss", 0.02), seed=0)
    assert found.chosen is None
    assert found.held_out.gain is None and found.held_out.chosen == {"": 1.0}


def test_the_best_of_twenty_equal_variants_looks_better_than_it_is_and_the_estimate_does_not():
    looked, held, covered = [], [], []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        ones = [candidate(f"v{number}", generator, 0.05, 0.0) for number in range(20)]
        found = recommend(ones, Rule("max_loss", 0.2), seed=seed, splits=30)
        looked.append(max(one.gain for one in found.candidates))
        held.append(found.held_out.gain)
        covered.append(found.held_out.gain_ci[0] <= 0.05 <= found.held_out.gain_ci[1])
    assert np.mean(looked) > 0.09  # the truth is 0.05 for every one
    assert np.mean(held) == pytest.approx(0.05, abs=0.01)
    assert np.mean(covered) >= 0.95


def test_a_variant_probed_on_few_items_is_weighed_by_those():
    generator = np.random.default_rng(5)
    whole = candidate("whole", generator, 0.1, 0.0)
    few = np.arange(0, DATABASES * EACH, 8)
    probed = Candidate(
        "probed",
        target=Differences(whole.target.values[few], few, whole.target.groups[few]),
        general=whole.general,
    )
    found = recommend([whole, probed], Rule("min_gain", 0.01), seed=0, splits=20)
    assert found.candidates[1].gain == pytest.approx(whole.target.values[few].mean())
    assert found.candidates[1].gain_error > found.candidates[0].gain_error


def test_of_many_variants_at_the_edge_of_the_budget_no_more_pass_than_of_one():
    def passed(variants):
        found = []
        for study in range(120):
            generator = np.random.default_rng(9000 + study)
            ones = [candidate(str(n), generator, 0.1, 0.05) for n in range(variants)]  # all lose just the budget
            found.append(recommend(ones, Rule("max_loss", 0.05), seed=study, splits=1).chosen is not None)
        return np.mean(found)

    assert passed(1) < 0.1
    assert passed(10) < 0.1  # 0.4 where each is given the whole confidence


def test_halves_on_which_the_chosen_was_not_asked_count_in_no_mean():
    generator = np.random.default_rng(5)
    one = candidate("a", generator, 0.4, -0.1)
    here = one.target.groups == 0  # a few probe items, all about one database
    target = Differences(np.ones(here.sum()), one.target.items[here], one.target.groups[here])
    other = candidate("b", generator, -0.3, 0.5)  # loses too much, but was asked everything
    found = recommend([Candidate("a", target, one.general), other], Rule("max_loss", 0.1), seed=0, splits=40)
    assert found.chosen == "a" and 0.2 < found.held_out.chosen["a"] < 0.8
    assert found.held_out.gain is None  # the other half never asked it anything
    assert [(one.n_target, one.n_general) for one in found.candidates] == [(EACH, 600), (240, 600)]


def test_the_seed_decides_the_splits():
    ones = [candidate(str(n), np.random.default_rng(n), 0.1, 0.0, spread=0.05) for n in range(3)]
    rule = Rule("max_loss", 0.1)
    assert recommend(ones, rule, seed=1) == recommend(ones, rule, seed=1) != recommend(ones, rule, seed=2)


@pytest.mark.parametrize(("budget", "confidence"), [(0, 0.95), (1.2, 0.95), (0.01, 0.5), (0.01, 1)])
def test_a_budget_or_confidence_out_of_range_is_refused(budget, confidence):
    with pytest.raises(DataError, match="budget"):
        Rule("max_loss", budget, confidence)


def test_no_variant_at_all_is_a_data_error():
    with pytest.raises(DataError, match="no variant"):
        recommend([], Rule("max_loss", 0.1), seed=0)


def test_one_database_has_no_t_distribution_and_says_so_without_an_infinite_number():
    generator = np.random.default_rng(9)
    one = Candidate("a", differences(generator, 1, 40, 0.3), differences(generator, 4, 40, 0.0))
    (weighed,) = recommend([one], Rule("min_gain", 0.01), seed=0, splits=4).candidates
    assert weighed.gain_degrees is None
    error = one.target.values.std(ddof=1) / np.sqrt(40)
    assert weighed.bound == pytest.approx(one.target.values.mean() - 1.6448536 * error)
