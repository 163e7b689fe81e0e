"""From outcomes to the numbers: `summarize` makes the dictionary that becomes `summary.json`.

Facts, measurements and audit checks enter; one JSON-ready dictionary leaves, and every other report is drawn from it.
Its keys are stable: they may be added to, never renamed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from contrapeso.errors import DataError
from contrapeso.report.axes import weigh_axes
from contrapeso.report.entries import CATEGORIES, entry
from contrapeso.report.forgetting import told_apart
from contrapeso.report.measurement import Check, Measurement, StudyFacts
from contrapeso.report.text import verdict_text
from contrapeso.report.validity import Key, invalid_numbers, validity, warnings
from contrapeso.report.way import against_ends
from contrapeso.report.weighing import comparisons, pairs_with_baseline, standings, tradeoffs
from contrapeso.stats.paired import RESAMPLES


def summarize(
    facts: StudyFacts,
    measurements: Sequence[Measurement],
    *,
    axes: Sequence[Measurement] = (),
    checks: Sequence[Check] = (),
    tolerated: Collection[str] = (),
    complete: bool = True,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """All numbers of a study, in the shape of `summary.json`.

    Args:
        facts: what the study is about.
        measurements: one per variant and task.
        axes: one per variant and further axis.
        checks: verdicts of the audit; a `fail` marks the numbers it affects `"valid": false`.
        tolerated: names of checks whose `fail` is shown but marks nothing.
        complete: whether every planned measurement is there.
        resamples: number of bootstrap resamples.

    Returns:
        The summary; accuracies, differences and intervals are fractions.

    Raises:
        DataError: a variant is measured twice on one task, or a measurement has no item that counts.
    """
    measured = _by_key(measurements)
    invalid = invalid_numbers(checks, tolerated)
    variants: dict[str, dict[str, Any]] = {}
    for (variant, task), measurement in measured.items():
        numbers = entry(facts, measurement) | validity(invalid, [(variant, task)])
        variants.setdefault(variant, {})[task] = numbers | {"warnings": warnings(checks, tolerated, (variant, task))}
    pairs = pairs_with_baseline(facts, measured, resamples=resamples)
    pareto = standings(facts, measured, invalid, resamples=resamples)
    categories = [name for name in CATEGORIES if name in facts.categories.values()]
    summary: dict[str, Any] = {
        "study": facts.name,
        "complete": complete,
        "facts": asdict(facts) | {"categories": categories},
        "variants": variants,
        "comparisons": comparisons(facts, pairs, invalid),
        "tradeoff": [
            row | {"pareto": pareto.get(row["variant"], {}).get("standing", "")}
            for row in tradeoffs(facts, pairs, invalid)
        ],
        "pareto": pareto,
        "audit": [_audited(check) for check in checks],
    }
    points = {variant: measurement.point for (variant, _), measurement in measured.items() if measurement.point}
    if any(point.intermediate or point.imported for point in points.values()):
        summary["points"] = {variant: asdict(point) for variant, point in points.items()}
        summary["way"] = against_ends(facts, measured, invalid, resamples=resamples)
    if axes:
        summary |= weigh_axes(facts, pairs, _by_key(axes), invalid, resamples=resamples)
        summary |= told_apart(facts, measured, _by_key(axes), invalid, resamples=resamples)
    return summary | {"verdict": verdict_text(summary)}


def _audited(check: Check) -> dict[str, Any]:
    return {
        "check": check.check,
        "status": check.status,
        "detail": check.detail,
        "affects": [list(key) for key in (*check.affects, *check.warns)],
    }


def _by_key(measurements: Sequence[Measurement]) -> dict[Key, Measurement]:
    measured: dict[Key, Measurement] = {}
    for measurement in measurements:
        key = (measurement.variant, measurement.task)
        if key in measured:
            raise DataError(f"{key[0]!r} is measured twice on {key[1]!r}; pass one measurement for each pair")
        measured[key] = measurement
    return measured
