"""The numbers of one variant on one task: accuracy with its interval, its parts, and why answers are wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from contrapeso.errors import DataError
from contrapeso.report.measurement import Measurement, StudyFacts
from contrapeso.sql.hardness import LEVELS, hardness
from contrapeso.stats.intervals import accuracy_interval
from contrapeso.tasks.base import Outcome

CATEGORIES = ("STEM", "Humanities", "Social Sciences", "Other")


def _score(outcomes: Sequence[Outcome], *, clustered: bool = False) -> dict[str, Any]:
    """n, right answers, accuracy, its interval and how that was made; `clustered`: for other groups too."""
    right, clusters = [o.correct for o in outcomes], [o.group for o in outcomes]
    interval = accuracy_interval(right, clusters if clustered else None)
    numbers = {"n": len(right), "correct": sum(right), "accuracy": sum(right) / len(right)}
    return numbers | {"ci": [interval.low, interval.high], "ci_method": interval.method}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return {"n": len(outcomes), "correct": sum(outcome.correct for outcome in outcomes)}


def _score_by(
    outcomes: Sequence[Outcome], label: Callable[[Outcome], str], *, clustered: bool = False
) -> dict[str, dict[str, Any]]:
    parts: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        parts.setdefault(label(outcome), []).append(outcome)
    return {name: _score(part, clustered=clustered) for name, part in sorted(parts.items())}


def entry(facts: StudyFacts, measurement: Measurement) -> dict[str, Any]:
    """Numbers of one variant on one task.

    The intervals of text-to-SQL accuracies, whole and by hardness, are for new databases
    (`stats.intervals.accuracy_interval`); those of one database and of multiple choice are for more items like these
    (Wilson).

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
    entry = _score(counted, clustered=measurement.kind == "generation")
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
        levels = _score_by(counted, lambda outcome: hardness(outcome.gold), clustered=True)
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
