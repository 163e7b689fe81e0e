"""Every check is shown the fault it is for, and a sound study that must pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, SHOTS, mmlu, spider, study, with_outcomes

from contrapeso.audit import CHECKS, audit
from contrapeso.evidence import Evidence, leaked_between
from contrapeso.report.measurement import Measurement
from contrapeso.report.summary import summarize
from contrapeso.tasks.base import Outcome

EVALUATED = {"dev/0000": "concert_singer\nHow many singers?", "dev/0001": "pets_1\nHow many pets?"}


def evidence(measurements: list[Measurement] | None = None, **changes: object) -> Evidence:
    """A sound study, with some of its evidence replaced."""
    sound = Evidence(
        facts=FACTS,
        measurements=measurements if measurements is not None else study(),
        gold_verdicts={"dev/0000": True, "dev/0001": True},
        schema_shown={"dev/0000": True},
        evaluated=2,
        leaked=(),
    )
    return replace(sound, **changes)  # type: ignore[arg-type]


def change(variant: str, task: str, how: Callable[[int, Outcome], Outcome]) -> list[Measurement]:
    """The sound study with one measurement's outcomes changed."""
    return [with_outcomes(m, how) if (m.variant, m.task) == (variant, task) else m for m in study()]


def verdict_of(name: str, given: Evidence) -> tuple[str, tuple[tuple[str, str], ...], str]:
    (check,) = [check for check in audit(given) if check.check == name]
    return check.status, check.affects, check.detail


def test_a_sound_study_passes_every_check() -> None:
    assert {check.check: check.status for check in audit(evidence())} == {f.__name__: "ok" for f in CHECKS}


def test_accuracy_below_chance_fails() -> None:
    measurements = [*study()[:3], mmlu(RUN_1, 0.02, seed=4)]
    status, affects, detail = verdict_of("below_chance", evidence(measurements))
    assert (status, affects) == ("fail", ((RUN_1, "mmlu"),))
    assert "guessing gives 25 %" in detail


def test_accuracy_at_chance_is_not_below_it() -> None:
    measurements = [*study()[:3], mmlu(RUN_1, 0.25, seed=4)]
    assert verdict_of("below_chance", evidence(measurements))[0] == "ok"


@pytest.mark.parametrize(("every", "status"), [(2, "fail"), (10, "warn"), (30, "ok")])
def test_answers_cut_at_the_token_limit_are_found(every: int, status: str) -> None:
    # the first item too, so that "every second" is more than half
    cut = change(RUN_1, "spider", lambda i, o: replace(o, stopped=bool(i % every) and i > 1))
    assert verdict_of("unstopped_answers", evidence(cut))[0] == status


def test_a_variant_that_fails_does_not_hide_the_warning_of_another() -> None:
    def cut(measurement: Measurement, every: int) -> Measurement:
        return with_outcomes(measurement, lambda i, o: replace(o, stopped=i % every != 0))

    worse = {BASE: 10, RUN_1: 1}
    measurements = [cut(m, worse[m.variant]) if m.task == "spider" and m.variant in worse else m for m in study()]
    (check,) = [check for check in audit(evidence(measurements)) if check.check == "unstopped_answers"]
    assert (check.status, check.affects, check.warns) == ("fail", ((RUN_1, "spider"),), ((BASE, "spider"),))
    assert BASE in check.detail and RUN_1 in check.detail
    warned = summarize(FACTS, measurements, checks=[check])["variants"]
    assert warned[BASE]["spider"]["warnings"] == ["unstopped_answers"] and not warned[RUN_1]["spider"]["valid"]


def test_empty_answers_are_found() -> None:
    empty = change(RUN_2, "spider", lambda i, o: replace(o, answer=" \n"))
    assert verdict_of("unstopped_answers", evidence(empty))[:2] == ("fail", ((RUN_2, "spider"),))


def test_a_model_that_would_not_give_letters_is_a_warning_only() -> None:
    wordy = change(BASE, "mmlu", lambda i, o: replace(o, stopped=False))
    status, affects, detail = verdict_of("letter_rate", evidence(wordy))
    assert (status, affects) == ("warn", ((BASE, "mmlu"),))
    assert "100.0 %" in detail and "log-probability" in detail


def test_an_adapter_that_changes_nothing_fails() -> None:
    same = [*study(), *(replace(m, variant="Fine-Tuned Run 3") for m in study()[:2])]
    status, affects, _ = verdict_of("unchanged_adapter", evidence(same))
    assert (status, set(affects)) == ("fail", {("Fine-Tuned Run 3", "spider"), ("Fine-Tuned Run 3", "mmlu")})


def test_equal_answers_with_other_log_probabilities_are_a_change() -> None:
    base = study()[:2]
    nudged = with_outcomes(
        base[1], lambda i, o: replace(o, log_probabilities=tuple(x - 1e-4 for x in o.log_probabilities))
    )
    measurements = [*base, replace(base[0], variant=RUN_1), replace(nudged, variant=RUN_1)]
    assert verdict_of("unchanged_adapter", evidence(measurements))[0] == "ok"


def test_gold_that_fails_against_itself_fails_the_target() -> None:
    status, affects, detail = verdict_of("gold_against_itself", evidence(gold_verdicts={"dev/1": True, "dev/2": False}))
    assert status == "fail"
    assert set(affects) == {(variant, "spider") for variant in (BASE, RUN_1, RUN_2, SHOTS)}
    assert "1 of 2" in detail and "dev/2" in detail


def test_a_prompt_without_schema_fails_the_target() -> None:
    status, affects, _ = verdict_of("schema_in_prompts", evidence(schema_shown={"dev/1": True, "dev/2": False}))
    assert status == "fail" and (BASE, "spider") in affects and (BASE, "mmlu") not in affects


@pytest.mark.parametrize(
    "seen",
    [{"dev/0001": "anything"}, {"train/1": "PETS_1   how many\npets?"}],
    ids=["same id", "same text but for case and spaces"],
)
def test_an_evaluated_item_among_shots_or_training_fails(seen: dict[str, str]) -> None:
    leaked = leaked_between(EVALUATED, seen)
    assert leaked == ["dev/0001"]
    status, affects, detail = verdict_of("leaked_items", evidence(leaked=leaked))
    assert status == "fail" and "dev/0001" in detail
    assert (RUN_1, "spider") in affects and (RUN_1, "mmlu") not in affects


def test_the_same_question_about_another_database_is_no_leak() -> None:
    assert leaked_between(EVALUATED, {"train/1": "farm\nHow many pets?"}) == []


@pytest.mark.parametrize(("every", "status"), [(10, "fail"), (400, "warn")])
def test_truncated_prompts_are_found(every: int, status: str) -> None:
    cut = change(BASE, "spider", lambda i, o: replace(o, truncated=i % every == 0))
    assert verdict_of("truncated_prompts", evidence(cut))[0] == status


def test_a_tuned_model_asked_otherwise_than_the_base_fails() -> None:
    other = change(RUN_1, "spider", lambda i, o: replace(o, prompt_sha="f" * 16) if i == 5 else o)
    status, affects, detail = verdict_of("different_prompts", evidence(other))
    assert (status, affects) == ("fail", ((RUN_1, "spider"),))
    assert "dev/0005" in detail


def test_a_declared_difference_in_prompts_is_allowed_and_an_undeclared_one_is_not() -> None:
    declared = [spider(BASE, 0.3, seed=1), spider(SHOTS, 0.4, seed=2, note="3-shot")]
    undeclared = [declared[0], replace(declared[1], prompt_note="")]
    assert verdict_of("different_prompts", evidence(declared))[0] == "ok"
    assert verdict_of("different_prompts", evidence(undeclared))[0] == "fail"


def test_variants_that_answered_other_items_are_a_warning() -> None:
    measurements = [m if m.variant != RUN_1 else replace(m, outcomes=m.outcomes[3:]) for m in study()]
    status, _, detail = verdict_of("different_items", evidence(measurements))
    assert status == "warn" and "3 items" in detail


@pytest.mark.parametrize(("share", "status"), [(0.60, "ok"), (0.40, "warn")])
def test_a_base_outside_its_published_band_is_a_warning(share: float, status: str) -> None:
    facts = replace(FACTS, base_model="mistralai/Mistral-7B-Instruct-v0.2")
    measurements = [mmlu(BASE, share, seed=2)]
    assert verdict_of("published_band", evidence(measurements, facts=facts))[0] == status


@pytest.mark.parametrize(
    ("share", "examples", "status"), [(0.70, 7000, "ok"), (0.30, 7000, "warn"), (0.30, 500, "ok"), (0.95, 7000, "warn")]
)
def test_a_run_on_the_whole_train_set_has_a_published_band_too(share: float, examples: int, status: str) -> None:
    facts = replace(FACTS, base_model="mistralai/Mistral-7B-Instruct-v0.2", train_examples=examples)
    measurements = [spider(BASE, 0.3, seed=1), spider(RUN_1, share, seed=2), spider(SHOTS, 0.3, seed=3, note="3-shot")]
    found, affects, _ = verdict_of("published_band", evidence(measurements, facts=facts))
    assert found == status
    assert affects == (((RUN_1, "spider"),) if status == "warn" else ())


@pytest.mark.parametrize(
    ("check", "missing"),
    [("gold_against_itself", "gold_verdicts"), ("schema_in_prompts", "schema_shown"), ("leaked_items", "leaked")],
)
def test_a_check_without_its_evidence_says_that_it_was_not_made(check: str, missing: str) -> None:
    status, _, detail = verdict_of(check, evidence(**{missing: None}))
    assert status == "warn" and detail.startswith("not checked")


def test_items_left_out_are_not_audited_for_the_headline() -> None:
    apart = change(RUN_1, "spider", lambda i, o: replace(o, stopped=False, left_out="gold times out") if i % 2 else o)
    assert verdict_of("unstopped_answers", evidence(apart))[0] == "ok"
