"""Gates that catch numbers which are artefacts, before any is printed.

`Evidence` enters: the measurements, and what only the caller can know (gold verdicts, prompts, training texts). A
`Check` for every gate leaves. A `fail` names the (variant, task) whose number it makes worthless, and `summarize`
marks them; a `warn` is something to read before quoting the number.

Every check is a pure function of the evidence, listed in `CHECKS`; its name is the function's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from contrapeso.errors import StudyError
from contrapeso.report.measurement import Check, Measurement, StudyFacts
from contrapeso.stats.intervals import wilson_interval

WARN_SHARE = 0.05
FAIL_SHARE = 0.50

# Accuracy of well-measured base models, (task, low, high), where several public measurements agree.
PUBLISHED_BANDS: Mapping[str, tuple[tuple[str, float, float], ...]] = {
    "mistralai/Mistral-7B-Instruct-v0.2": (("mmlu", 0.58, 0.61),),
}

Affected = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Evidence:
    """What the audit looks at. None means that the caller could not tell, and is reported as such.

    Attributes:
        facts: what the study is about.
        measurements: one per variant and task.
        gold_verdicts: item id of the target -> whether its gold answer is judged correct against itself.
        schema_shown: sampled item id of the target -> whether its prompt contains the database's schema.
        evaluated: how many items are evaluated, all tasks together.
        leaked: ids of evaluated items that were shots or training examples too (`leaked_between`).
    """

    facts: StudyFacts
    measurements: Sequence[Measurement]
    gold_verdicts: Mapping[str, bool] | None = None
    schema_shown: Mapping[str, bool] | None = None
    evaluated: int = 0
    leaked: Sequence[str] | None = None

    def of_task(self, task: str) -> Affected:
        """(variant, task) of every measurement of a task."""
        return tuple((m.variant, m.task) for m in self.measurements if m.task == task)

    def against_baseline(self) -> Iterator[tuple[Measurement, Measurement]]:
        """(baseline, variant) for every measurement that has a baseline on its task."""
        baselines = {m.task: m for m in self.measurements if m.variant == self.facts.baseline}
        for measurement in self.measurements:
            if measurement.variant != self.facts.baseline and measurement.task in baselines:
                yield baselines[measurement.task], measurement


def audit(evidence: Evidence) -> list[Check]:
    """Run every check.

    Args:
        evidence: what is known about the study.

    Returns:
        One verdict per check, in the order of `CHECKS`.
    """
    return [check(evidence) for check in CHECKS]


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
    return check if not found else _extend(check, "the score is by log-probability and does not depend on it")


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


def leaked_between(evaluated: Mapping[str, str], seen: Mapping[str, str]) -> list[str]:
    """Ids of evaluated items that were seen before, by id or by text (case, spacing and closing marks aside).

    Args:
        evaluated: item id -> its text, question and database or options, of every evaluated item.
        seen: id of a shot or training example -> its text, put together like those of `evaluated`.
    """
    texts = {_normalised(text) for text in seen.values()}
    return [item for item, text in evaluated.items() if item in seen or _normalised(text) in texts]


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
        odd = {o.item for o in baseline.counted} ^ {o.item for o in measurement.counted}
        if odd:
            found.append((measurement, f"{len(odd)} items were answered by only one of it and the baseline"))
    return _verdict("different_items", warn=found, ok="all variants answered the same items")


def published_band(evidence: Evidence) -> Check:
    """Warn when the base model's interval misses the published band. A subset of the items may lie elsewhere."""
    found = []
    for task, low, high in PUBLISHED_BANDS.get(evidence.facts.base_model, ()):
        for m in evidence.measurements:
            if (m.variant, m.task) == (evidence.facts.baseline, task) and m.counted:
                own_low, own_high = wilson_interval(sum(o.correct for o in m.counted), len(m.counted))
                if own_high < low or own_low > high:
                    own, band = (f"{100 * a:.1f}-{100 * b:.1f} %" for a, b in ((own_low, own_high), (low, high)))
                    found.append((m, f"interval {own} misses the published {band}"))
    known = evidence.facts.base_model in PUBLISHED_BANDS
    ok = "the base model scores as published" if known else "no published accuracy is known for this base model"
    return _verdict("published_band", warn=found, ok=ok)


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
    """The worst finding decides the status; the detail lists all of that status."""
    found = fail or warn
    if not found:
        return Check(name, "ok", ok)
    detail = "; ".join(f"{m.variant} on {m.task}: {words}" for m, words in found)
    affects = tuple((m.variant, m.task) for m, _ in fail)
    return Check(name, "fail" if fail else "warn", detail, affects, tuple(words for _, words in fail))


def _by_share(
    name: str,
    shares: Sequence[tuple[Measurement, float]],
    *,
    found: str,
    ok: str,
    limits: tuple[float, float] = (WARN_SHARE, FAIL_SHARE),
) -> Check:
    warn, fail = ([(m, f"{100 * share:.1f} % {found}") for m, share in shares if share > limit] for limit in limits)
    return _verdict(name, warn=warn, fail=fail, ok=ok)


def _extend(check: Check, words: str) -> Check:
    return replace(check, detail=f"{check.detail}; {words}")


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


def _normalised(text: str) -> str:
    """Letter case, white space and closing punctuation of a line do not make a question another one."""
    text = "\n".join(line.rstrip(" .?!") for line in text.splitlines())
    return " ".join(text.casefold().split())


def _some(items: Collection[str], limit: int = 3) -> str:
    shown = list(items)[:limit]
    return ", ".join(shown) + (", ..." if len(items) > limit else "")
