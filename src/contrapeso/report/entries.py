"""The numbers of one variant on one task: accuracy with its interval, its parts, and why answers are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from contrapeso.errors import DataError
from contrapeso.report.measurement import Measurement, StudyFacts
from contrapeso.sql.hardness import LEVELS, hardness
from contrapeso.stats.intervals import accuracy_interval, wilson_interval
from contrapeso.tasks.base import Outcome

CATEGORIES = ("STEM", "Humanities", "Social Sciences", "Other")


def _score(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    correct, n = sum(outcome.correct for outcome in outcomes), len(outcomes)
    return {"n": n, "correct": correct, "accuracy": correct / n, "ci": list(wilson_interval(correct, n))}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return {"n": len(outcomes), "correct": sum(outcome.correct for outcome in outcomes)}


def _score_by(outcomes: Sequence[Outcome], label: Callable[[Outcome], str]) -> dict[str, dict[str, Any]]:
    parts: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        parts.setdefault(label(outcome), []).append(outcome)
    return {name: _score(part) for name, part in sorted(parts.items())}


def entry(facts: StudyFacts, measurement: Measurement) -> dict[str, Any]:
    """Numbers of one variant on one task.

    The interval of a whole text-to-SQL accuracy is for new databases (`stats.intervals.accuracy_interval`); those of
    its parts and of multiple choice are for more items like these (Wilson).

    Raises:
        DataError: no item counts.
    """
    counted = measurement.counted
    if not counted:
        raise DataError(
            f"{measurement.variant!r} on {measurement.task!r} has no item that counts "
            f"({len(measurement.left_out)} left out); evaluate more items"
        )
    groups = _score_by(counted, lambda outcome: outcome.group)
    clusters = [outcome.group for outcome in counted] if measurement.kind == "generation" else None
    interval = accuracy_interval([outcome.correct for outcome in counted], clusters)
    entry: dict[str, Any] = _score(counted) | {"ci": [interval.low, interval.high], "ci_method": interval.method}
    entry |= {"kind": measurement.kind, "prompt_note": measurement.prompt_note}
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
        levels = _score_by(counted, lambda outcome: hardness(outcome.gold))
        entry["hardness"] = {level: levels[level] for level in LEVELS if level in levels}
        flags = sorted({flag for outcome in counted for flag in outcome.flags})
        entry["flags"] = {flag: _counts([o for o in counted if flag in o.flags]) for flag in flags}
        entry["reasons"] = dict(Counter(outcome.reason for outcome in counted).most_common())
        entry["stopped_rate"] = stopped
    entry["groups"] = groups
    if measurement.left_out:
        apart = measurement.left_out
        reasons = sorted({outcome.left_out for outcome in apart})
        entry["left_out"] = _counts(apart) | {"reason": "; ".join(reasons)}
    return entry
