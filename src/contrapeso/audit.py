"""Gates that catch numbers which are artefacts, before any is printed.

`Evidence` enters: the measurements, and what only the caller can know (gold verdicts, prompts, training texts). A
`Check` for every gate leaves. A `fail` names the (variant, task) whose number it makes worthless, and `summarize`
marks them; a `warn` is something to read before quoting the number.

Every check is a pure function of the evidence, listed in `CHECKS`; its name is the function's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from contrapeso.bands import PUBLISHED_BANDS
from contrapeso.errors import StudyError
from contrapeso.evidence import Evidence
from contrapeso.report.measurement import Check, Measurement, StudyFacts
from contrapeso.stats.intervals import accuracy_interval, wilson_interval

WARN_SHARE = 0.05
FAIL_SHARE = 0.50


def audit(evidence: Evidence) -> list[Check]:
    """Run every check; one verdict for each, in the order of `CHECKS`, and one more where an adapter is not ours."""
    verdicts = [check(evidence) for check in CHECKS]
    return [*verdicts, trained_elsewhere(evidence)] if evidence.trained_on else verdicts


def below_chance(evidence: Evidence) -> Check:
    """Fail when guessing would have scored better: the upper end of the Wilson interval lies below chance.

    A model that knows nothing scores at chance; one that scores below it is being misread.
    """
    found = []
    for measurement in evidence.measurements:
        chance, counted = _chance(evidence.facts, measurement), measurement.counted
        if chance is None or not counted:
            continue
        correct = sum(outcome.correct for outcome in counted)
        if wilson_interval(correct, len(counted))[1] < chance:
            share = f"{100 * correct / len(counted):.1f} % where guessing gives {100 * chance:.0f} %"
            found.append((measurement, f"{share}; answers are misread or letters mixed up"))
    return _verdict("below_chance", fail=found, ok="no accuracy lies below that of guessing")


def unstopped_answers(evidence: Evidence) -> Check:
    """Warn above 5 %, fail above 50 %, of free-text answers that are empty or were cut at the token limit."""
    return _by_share(
        "unstopped_answers",
        [
            (m, _share(not outcome.stopped or not outcome.answer.strip() for outcome in m.counted))
            for m in evidence.measurements
            if m.kind == "generation"
        ],
        found="of answers are empty or were cut at the token limit",
        ok="answers end by themselves",
    )


def letter_rate(evidence: Evidence) -> Check:
    """Warn when free generation would often not have given a letter. The score does not depend on it."""
    found = []
    for measurement in evidence.measurements:
        if measurement.kind == "options":
            missing = _share(not outcome.stopped for outcome in measurement.counted)
            if missing > WARN_SHARE:
                found.append((measurement, f"would not have answered {100 * missing:.1f} % of items with a letter"))
    ok = "free generation would have answered with a letter"
    check = _verdict("letter_rate", warn=found, ok=ok)
    note = "; the score is by log-probability and does not depend on it"
    return replace(check, detail=check.detail + note) if found else check


def unchanged_adapter(evidence: Evidence) -> Check:
    """Fail when a variant answers every item exactly as the baseline does: its adapter was not applied."""
    compared = [(b, m) for b, m in evidence.against_baseline() if not m.prompt_note]
    same = {(m.variant, m.task) for b, m in compared if _replies(b) == _replies(m)}
    found = [
        (measurement, "every answer and log-probability equals the baseline's; the adapter changes nothing")
        for _, measurement in compared
        # Greedy SQL may survive a weak adapter unchanged; log-probabilities never do. All tasks must agree.
        if all((m.variant, m.task) in same for _, m in compared if m.variant == measurement.variant)
    ]
    return _verdict("unchanged_adapter", fail=found, ok="every adapter changes the model")


def gold_against_itself(evidence: Evidence) -> Check:
    """Fail when a gold answer is not judged correct against itself: the judge or the database is broken."""
    name, target = "gold_against_itself", evidence.facts.target
    if evidence.gold_verdicts is None:
        return _not_told(name, "the verdicts of gold answers against themselves")
    wrong = [item for item, correct in evidence.gold_verdicts.items() if not correct]
    if wrong:
        detail = f"{len(wrong)} of {len(evidence.gold_verdicts)} gold answers fail against themselves ({_some(wrong)})"
        return Check(name, "fail", f"{detail}; repair or leave out these items", evidence.of_task(target))
    return Check(name, "ok", f"all {len(evidence.gold_verdicts)} gold answers are correct against themselves")


def schema_in_prompts(evidence: Evidence) -> Check:
    """Fail when a sampled prompt lacks the schema: nobody can name tables they have not been shown."""
    name, target = "schema_in_prompts", evidence.facts.target
    if evidence.schema_shown is None:
        return _not_told(name, "whether prompts show the schema")
    without = [item for item, shown in evidence.schema_shown.items() if not shown]
    if without:
        detail = f"{len(without)} of {len(evidence.schema_shown)} sampled prompts lack the schema ({_some(without)})"
        return Check(name, "fail", detail, evidence.of_task(target))
    return Check(name, "ok", f"all {len(evidence.schema_shown)} sampled prompts show the schema")


def leaked_items(evidence: Evidence) -> Check:
    """Fail when an evaluated item was also a shot or training example."""
    name = "leaked_items"
    if evidence.leaked is None:
        return _not_told(name, "which items were shots or training examples")
    leaked = set(evidence.leaked)
    if not leaked:
        return Check(name, "ok", f"none of {evidence.evaluated} evaluated items was shown or trained on")
    affects = tuple(
        (m.variant, m.task) for m in evidence.measurements if any(outcome.item in leaked for outcome in m.counted)
    )
    detail = f"{len(leaked)} evaluated items were shots or training examples ({_some(sorted(leaked))})"
    return Check(name, "fail", detail, affects)


def truncated_prompts(evidence: Evidence) -> Check:
    """Warn when any prompt was cut to fit the model, fail above 5 %."""
    shares = [(m, _share(outcome.truncated for outcome in m.counted)) for m in evidence.measurements]
    return _by_share(
        "truncated_prompts",
        shares,
        found="of prompts were cut to fit the model",
        ok="every prompt fits the model",
        limits=(0.0, WARN_SHARE),
    )


def different_prompts(evidence: Evidence) -> Check:
    """Fail when a variant was not asked byte for byte what the baseline was asked, unless it is declared."""
    found = []
    for baseline, measurement in evidence.against_baseline():
        asked = {outcome.item: outcome.prompt_sha for outcome in baseline.counted}
        other = [o.item for o in measurement.counted if o.item in asked and o.prompt_sha != asked[o.item]]
        if other and not measurement.prompt_note:
            found.append((measurement, f"asked otherwise than the baseline on {len(other)} items ({_some(other)})"))
    return _verdict("different_prompts", fail=found, ok="base and tuned answered byte-identical prompts")


def different_items(evidence: Evidence) -> Check:
    """Warn when a variant and the baseline did not answer the same items; only shared ones are compared."""
    found = []
    for baseline, measurement in evidence.against_baseline():
        asked, answered = ({o.item for o in m.counted} for m in (baseline, measurement))
        probe = measurement.point is not None and measurement.point.probe  # meant to answer a part of the items
        odd = answered - asked if probe else answered ^ asked
        if odd:
            found.append((measurement, f"{len(odd)} items were answered by only one of it and the baseline"))
    return _verdict("different_items", warn=found, ok="all variants answered the same items")


def published_band(evidence: Evidence) -> Check:
    """Warn when an interval misses the band that public measurements of the same model agree on.

    The base model has a band on the general task; adapters have one on the target when they learnt the whole train set.
    A subset of the items may lie elsewhere.
    """
    facts = evidence.facts
    bands = PUBLISHED_BANDS.get(facts.base_model, ())
    found = []
    for measurement in evidence.measurements:
        for band in bands:
            if band.task == measurement.task and band.speaks_of(measurement, facts) and measurement.counted:
                clusters = [outcome.group for outcome in measurement.counted]
                right = [outcome.correct for outcome in measurement.counted]
                found_in = accuracy_interval(right, clusters if measurement.kind == "generation" else None)
                if found_in.high < band.low or found_in.low > band.high:
                    ends = (found_in.low, found_in.high), (band.low, band.high)
                    own, published = (f"{100 * low:.1f}-{100 * high:.1f} %" for low, high in ends)
                    found.append((measurement, f"interval {own} misses the published {published}"))
    ok = "accuracies are as published for this base model" if bands else "no accuracy is published for this base model"
    return _verdict("published_band", warn=found, ok=ok)


def trained_elsewhere(evidence: Evidence) -> Check:
    """Warn of adapters trained elsewhere: what they learnt is not known, nor always on which base."""
    found = []
    for measurement in evidence.measurements:
        named = evidence.trained_on.get(measurement.point.origin) if measurement.point else None
        if named is None:
            continue
        words = "whether it was trained on evaluated items cannot be told"
        if named and named != evidence.facts.base_model:
            words += f"; it names {named} as its base"
        found.append((measurement, words))
    return _verdict("trained_elsewhere", warn=found, ok="no adapter was trained elsewhere")


CHECKS: tuple[Callable[[Evidence], Check], ...] = (
    below_chance,
    unstopped_answers,
    letter_rate,
    unchanged_adapter,
    gold_against_itself,
    schema_in_prompts,
    leaked_items,
    truncated_prompts,
    different_prompts,
    different_items,
    published_band,
)


def require_known_checks(names: Sequence[str]) -> tuple[str, ...]:
    """The names, sorted.

    Raises:
        StudyError: one of them is no audit check.
    """
    known = [check.__name__ for check in CHECKS]
    for name in names:
        if name not in known:
            raise StudyError(f"there is no audit check {name!r} to allow to fail; checks: {', '.join(known)}")
    return tuple(sorted(set(names)))


_Found = Sequence[tuple[Measurement, str]]


def _verdict(name: str, *, ok: str, fail: _Found = (), warn: _Found = ()) -> Check:
    """The worst finding decides the status; the detail lists all."""
    worst = fail or warn
    if not worst:
        return Check(name, "ok", ok)
    return Check(
        name,
        "fail" if fail else "warn",
        "; ".join(f"{m.variant} on {m.task}: {words}" for m, words in (*fail, *warn)),
        affects=tuple((m.variant, m.task) for m, _ in worst),
        reasons=tuple(words for _, words in worst),
        warns=tuple((m.variant, m.task) for m, _ in warn) if fail else (),
    )


def _by_share(
    name: str,
    shares: Sequence[tuple[Measurement, float]],
    *,
    found: str,
    ok: str,
    limits: tuple[float, float] = (WARN_SHARE, FAIL_SHARE),
) -> Check:
    warn_above, fail_above = limits
    worded = [(m, share, f"{100 * share:.1f} % {found}") for m, share in shares]
    fail = [(m, words) for m, share, words in worded if share > fail_above]
    warn = [(m, words) for m, share, words in worded if warn_above < share <= fail_above]
    return _verdict(name, warn=warn, fail=fail, ok=ok)


def _not_told(name: str, what: str) -> Check:
    return Check(name, "warn", f"not checked: the audit was not told {what}")


def _share(flags: Iterator[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values) if values else 0.0


def _chance(facts: StudyFacts, measurement: Measurement) -> float | None:
    """Accuracy of guessing: 1 / number of options, averaged over the items; else what the study says."""
    if measurement.kind == "options" and measurement.counted and all(o.log_probabilities for o in measurement.counted):
        return sum(1 / len(o.log_probabilities) for o in measurement.counted) / len(measurement.counted)
    return facts.chance.get(measurement.task)


def _replies(measurement: Measurement) -> dict[str, tuple[str, tuple[float, ...]]]:
    return {outcome.item: (outcome.answer, tuple(outcome.log_probabilities)) for outcome in measurement.outcomes}


def _some(items: Collection[str], limit: int = 3) -> str:
    shown = list(items)[:limit]
    return ", ".join(shown) + (", ..." if len(items) > limit else "")
