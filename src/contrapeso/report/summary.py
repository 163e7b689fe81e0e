"""From outcomes to the numbers: `summarize` makes the dictionary that becomes `summary.json`.

Facts, measurements and audit checks enter; one JSON-ready dictionary leaves, and every other report is drawn from it.
Its keys are stable: they may be added to, never renamed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from typing import Any

from contrapeso.errors import DataError
from contrapeso.report.measurement import Check, Measurement, StudyFacts
from contrapeso.report.text import summary_table, verdict_text
from contrapeso.stats.intervals import wilson_interval
from contrapeso.stats.paired import RESAMPLES, Comparison, Scheme, compare, holm, verdict
from contrapeso.stats.power import smallest_detectable_difference
from contrapeso.stats.tradeoff import weigh
from contrapeso.tasks.base import Outcome

__all__ = ["CATEGORIES", "Measurement", "StudyFacts", "summarize", "summary_table"]

CATEGORIES = ("STEM", "Humanities", "Social Sciences", "Other")
SCHEMES: Mapping[str, Scheme] = {"generation": "cluster", "options": "stratified"}
Key = tuple[str, str]


def summarize(
    facts: StudyFacts,
    measurements: Sequence[Measurement],
    *,
    checks: Sequence[Check] = (),
    tolerated: Collection[str] = (),
    complete: bool = True,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """All numbers of a study, in the shape of `summary.json`.

    Args:
        facts: what the study is about.
        measurements: one per variant and task.
        checks: verdicts of the audit; a `fail` marks the numbers it affects `"valid": false`.
        tolerated: names of checks whose `fail` is shown but marks nothing.
        complete: whether every planned measurement is there.
        resamples: number of bootstrap resamples.

    Returns:
        The summary; accuracies, differences and intervals are fractions.

    Raises:
        DataError: a variant is measured twice on one task, or a measurement has no item that counts.
    """
    by_key: dict[Key, Measurement] = {}
    for measurement in measurements:
        key = (measurement.variant, measurement.task)
        if key in by_key:
            raise DataError(f"{key[0]!r} is measured twice on {key[1]!r}; pass one measurement for each pair")
        by_key[key] = measurement
    invalid = _invalid(checks, tolerated)
    variants: dict[str, dict[str, Any]] = {}
    for (variant, task), measurement in by_key.items():
        entry = _entry(facts, measurement)
        entry |= _validity(invalid, [(variant, task)]) | {"warnings": _warnings(checks, (variant, task))}
        variants.setdefault(variant, {})[task] = entry
    pairs = [pair for measurement in by_key.values() if (pair := _pair(facts, measurement, by_key, resamples))]
    summary: dict[str, Any] = {
        "study": facts.name,
        "complete": complete,
        "facts": asdict(facts) | {"categories": _categories_in_use(facts)},
        "variants": variants,
        "comparisons": _comparisons(facts, pairs, invalid),
        "tradeoff": _tradeoffs(facts, pairs, invalid),
        "audit": [
            {
                "check": check.check,
                "status": check.status,
                "detail": check.detail,
                "affects": [list(key) for key in check.affects],
            }
            for check in checks
        ],
    }
    return summary | {"verdict": verdict_text(summary)}


@dataclass(frozen=True)
class _Pair:
    measurement: Measurement
    comparison: Comparison
    same_prompts: bool
    unpaired: int

    @property
    def key(self) -> Key:
        return self.measurement.variant, self.measurement.task


def _score(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    correct, n = sum(outcome.correct for outcome in outcomes), len(outcomes)
    return {"n": n, "correct": correct, "accuracy": correct / n, "ci": list(wilson_interval(correct, n))}


def _score_by(outcomes: Sequence[Outcome], label: Callable[[Outcome], str]) -> dict[str, dict[str, Any]]:
    parts: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        parts.setdefault(label(outcome), []).append(outcome)
    return {name: _score(part) for name, part in sorted(parts.items())}


def _entry(facts: StudyFacts, measurement: Measurement) -> dict[str, Any]:
    """Numbers of one variant on one task."""
    counted = measurement.counted
    if not counted:
        raise DataError(
            f"{measurement.variant!r} on {measurement.task!r} has no item that counts "
            f"({len(measurement.left_out)} left out); evaluate more items"
        )
    groups = _score_by(counted, lambda outcome: outcome.group)
    entry: dict[str, Any] = _score(counted) | {"kind": measurement.kind, "prompt_note": measurement.prompt_note}
    entry["macro"] = sum(group["accuracy"] for group in groups.values()) / len(groups)
    stopped = sum(outcome.stopped for outcome in counted) / len(counted)
    if measurement.kind == "options":
        categories = _score_by(counted, lambda outcome: facts.categories.get(outcome.group, "Other"))
        entry["categories"] = {name: categories[name] for name in CATEGORIES if name in categories}
        entry["letter_rate"] = stopped
    else:
        rules = {name for outcome in counted for name in outcome.rules}
        entry["rules"] = {
            name: sum(outcome.rules.get(name, False) for outcome in counted)
            for name in ("unordered", "spider", "strict")
            if name in rules
        }
        entry["reasons"] = dict(Counter(outcome.reason for outcome in counted).most_common())
        entry["stopped_rate"] = stopped
    entry["groups"] = groups
    if measurement.left_out:
        apart = measurement.left_out
        reasons = sorted({outcome.left_out for outcome in apart})
        entry["left_out"] = {
            "n": len(apart),
            "correct": sum(outcome.correct for outcome in apart),
            "reason": "; ".join(reasons),
        }
    return entry


def _pair(
    facts: StudyFacts, measurement: Measurement, by_key: Mapping[Key, Measurement], resamples: int
) -> _Pair | None:
    """A variant against the baseline on the items both answered; None for the baseline itself."""
    base = by_key.get((facts.baseline, measurement.task))
    if base is None or measurement.variant == facts.baseline:
        return None
    reference = {outcome.item: outcome for outcome in base.counted}
    both = [(reference[outcome.item], outcome) for outcome in measurement.counted if outcome.item in reference]
    if not both:
        raise DataError(
            f"{measurement.variant!r} and {facts.baseline!r} share no item of {measurement.task!r}; "
            "evaluate both on the same items"
        )
    comparison = compare(
        [old.correct for old, _ in both],
        [new.correct for _, new in both],
        [old.group for old, _ in both],
        scheme=SCHEMES[measurement.kind],
        # Different seeds keep the resamples of the two tasks independent, which the exchange rate relies on.
        seed=facts.seed + (measurement.task != facts.target),
        resamples=resamples,
    )
    unpaired = len(reference) + len(measurement.counted) - 2 * len(both)
    return _Pair(measurement, comparison, all(old.prompt_sha == new.prompt_sha for old, new in both), unpaired)


def _comparisons(facts: StudyFacts, pairs: Sequence[_Pair], invalid: Mapping[Key, str]) -> list[dict[str, Any]]:
    adjusted: dict[Key, float] = {}
    # A family is the runs on one task; baselines that are merely prompted otherwise are not runs.
    for family in {(pair.measurement.task, bool(pair.measurement.prompt_note)) for pair in pairs}:
        members = [pair for pair in pairs if (pair.measurement.task, bool(pair.measurement.prompt_note)) == family]
        p_values = holm([pair.comparison.p for pair in members])
        adjusted |= {pair.key: p for pair, p in zip(members, p_values, strict=True)}
    return [_comparison(facts, pair, adjusted[pair.key], invalid) for pair in pairs]


def _comparison(facts: StudyFacts, pair: _Pair, p_holm: float, invalid: Mapping[Key, str]) -> dict[str, Any]:
    comparison, (variant, task) = pair.comparison, pair.key
    validity = _validity(invalid, [(facts.baseline, task), (variant, task)])
    words = verdict(comparison, p_holm, margin=facts.margin)
    return {
        "variant": variant,
        "against": facts.baseline,
        "task": task,
        "n": comparison.n,
        "delta": comparison.delta,
        "ci": list(comparison.ci),
        "lost": comparison.lost,
        "gained": comparison.gained,
        "p": comparison.p,
        "p_holm": p_holm,
        "verdict": words if validity["valid"] else f"not valid: {validity['invalid_reason']}",
        "detectable": smallest_detectable_difference(
            comparison.n, comparison.discordant_share, design_effect=max(1.0, comparison.design_effect)
        ),
        "scheme": comparison.scheme,
        "groups": comparison.groups,
        "same_prompts": pair.same_prompts,
        "prompt_note": pair.measurement.prompt_note,
        "unpaired": pair.unpaired,
    } | validity


def _tradeoffs(facts: StudyFacts, pairs: Sequence[_Pair], invalid: Mapping[Key, str]) -> list[dict[str, Any]]:
    by_key = {pair.key: pair for pair in pairs}
    tradeoffs = []
    for variant in dict.fromkeys(pair.measurement.variant for pair in pairs):
        target, general = by_key.get((variant, facts.target)), by_key.get((variant, facts.general))
        if target is None or general is None:
            continue
        weighed = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(weigh(target.comparison, general.comparison)).items()
        }
        keys = [(name, task) for name in (facts.baseline, variant) for task in (facts.target, facts.general)]
        tradeoffs.append({"variant": variant} | weighed | _validity(invalid, keys))
    return tradeoffs


def _invalid(checks: Sequence[Check], tolerated: Collection[str]) -> dict[Key, str]:
    """(variant, task) -> why its number is worthless; the first failing check speaks."""
    reasons: dict[Key, str] = {}
    for check in checks:
        if check.status == "fail" and check.check not in tolerated:
            for key, reason in zip(check.affects, check.reasons or repeat(check.detail), strict=False):
                reasons.setdefault(key, f"{check.check}: {reason}")
    return reasons


def _warnings(checks: Sequence[Check], key: Key) -> list[str]:
    """Names of the checks that warn of a number."""
    return [check.check for check in checks if check.status == "warn" and key in check.affects]


def _validity(invalid: Mapping[Key, str], keys: Sequence[Key]) -> dict[str, Any]:
    """Whether a number made from these measurements stands; if not, which one fell, by name if one of many."""
    for variant, task in keys:
        if (variant, task) in invalid:
            reason = invalid[variant, task]
            return {"valid": False, "invalid_reason": reason if len(keys) == 1 else f"{variant} on {task}: {reason}"}
    return {"valid": True}


def _categories_in_use(facts: StudyFacts) -> list[str]:
    return [name for name in CATEGORIES if name in facts.categories.values()]
