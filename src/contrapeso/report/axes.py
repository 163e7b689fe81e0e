"""The further axes in the summary: every variant against the baseline on each, and what its gain cost there.

Measurements of axes enter, with the pairs of target and general task; the keys `axes` and `axes_tradeoff` leave. Right
and wrong answers are compared as those of the general task are. A text is no right or wrong: its nats are compared
passage by passage, as a ratio of sums (`stats.values`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import ceil, exp
from typing import Any

from contrapeso.report.measurement import Axis, Measurement, StudyFacts
from contrapeso.report.validity import Key, validity
from contrapeso.report.weighing import Measured, Pair, shared
from contrapeso.stats.intervals import SIGNIFICANCE
from contrapeso.stats.paired import Comparison, compare, holm, verdict
from contrapeso.stats.tradeoff import price
from contrapeso.stats.values import Estimate, estimate, ratio_values
from contrapeso.tasks.base import Outcome

Both = Sequence[tuple[Outcome, Outcome]]
Row = dict[str, Any]

MEAN = "mean"
"""What the mean over tasks is called where an axis has its name."""
NATS = "nats per token"


def weigh_axes(
    facts: StudyFacts, pairs: Sequence[Pair], axes: Measured, invalid: Mapping[Key, str], *, resamples: int
) -> dict[str, Any]:
    """The keys `axes` and `axes_tradeoff`.

    Args:
        facts: what the study is about.
        pairs: every variant with the baseline on target and general task.
        axes: (variant, axis) -> its measurement.
        invalid: numbers that the audit withholds, and why.
        resamples: number of bootstrap resamples.

    Returns:
        The keys with their rows; fractions for right and wrong answers, nats a token for texts.
    """
    rows: list[Row] = []
    compared: dict[Key, Comparison] = {}
    for place, name in enumerate(dict.fromkeys(name for _, name in axes)):
        base = axes.get((facts.baseline, name))
        tuned = [m for (variant, axis), m in axes.items() if axis == name and variant != facts.baseline]
        if base is None or not tuned:
            continue
        if _is_text(base):
            rows += _text_rows(facts, base, tuned, invalid)
            continue
        # Resamples of different questions must be independent, so every axis has a seed of its own.
        found = [_compared(shared(base, m), seed=facts.seed + 2 + place, resamples=resamples) for m in tuned]
        compared |= {(m.variant, name): comparison for m, comparison in zip(tuned, found, strict=True)}
        rows += _rows(facts, tuned, found, invalid)
    kinds = {name: measurement.axis for (_, name), measurement in axes.items() if measurement.axis}
    return {"axes": rows, "axes_tradeoff": _tradeoffs(facts, pairs, compared, kinds, invalid)}


def _is_text(measurement: Measurement) -> bool:
    return any(outcome.value is not None for outcome in measurement.outcomes)


def _compared(both: Both, *, seed: int, resamples: int) -> Comparison:
    return compare(
        [old.correct for old, _ in both],
        [new.correct for _, new in both],
        [old.group for old, _ in both],
        scheme="stratified",
        seed=seed,
        resamples=resamples,
    )


def _rows(
    facts: StudyFacts, tuned: Sequence[Measurement], found: Sequence[Comparison], invalid: Mapping[Key, str]
) -> list[Row]:
    """Of right and wrong answers on one axis; p-values are adjusted over the variants."""
    adjusted = holm([comparison.p_verdict for comparison in found])
    rows = []
    for measurement, comparison, p_holm in zip(tuned, found, adjusted, strict=True):
        numbers = {
            "n": comparison.n,
            "unit": "fraction",
            "base": comparison.base,
            "value": comparison.base + comparison.delta,
            "delta": comparison.delta,
            "ci": list(comparison.ci),
            "lost": comparison.lost,
            "gained": comparison.gained,
            "p": comparison.p,
            "p_holm": p_holm,
        }
        rows.append(_row(facts, measurement, numbers, verdict(comparison, p_holm, margin=facts.margin), invalid))
    return rows


def _text_rows(
    facts: StudyFacts, base: Measurement, tuned: Sequence[Measurement], invalid: Mapping[Key, str]
) -> list[Row]:
    """Of nats on one text. A positive difference is a loss: the text has become more of a surprise."""
    found = []
    for measurement in tuned:
        both = shared(base, measurement)
        tokens = [float(old.weight) for old, _ in both]
        before, after = ([outcome.value or 0.0 for outcome in side] for side in zip(*both, strict=True))
        changes = [new - old for old, new in zip(before, after, strict=True)]
        found.append((sum(before) / sum(tokens), estimate(ratio_values(changes, tokens)), len(both)))
    adjusted = holm([change.p for _, change, _ in found])
    rows = []
    for measurement, (level, change, n), p_holm in zip(tuned, found, adjusted, strict=True):
        numbers = {
            "n": n,
            "unit": NATS,
            "base": level,
            "value": level + change.value,
            "delta": change.value,
            "ci": list(change.ci),
            "lost": None,
            "gained": None,
            "p": change.p,
            "p_holm": p_holm,
            "base_perplexity": exp(level),
            "perplexity": exp(level + change.value),
        }
        rows.append(_row(facts, measurement, numbers, _text_verdict(change, p_holm), invalid))
    return rows


def _text_verdict(change: Estimate, p_holm: float) -> str:
    low, high = change.ci
    if (low > 0 or high < 0) and p_holm <= SIGNIFICANCE:
        return "loss" if low > 0 else "gain"
    farther = ceil(1000 * max(abs(low), abs(high)) - 1e-9) / 1000
    return f"not distinguishable at this n (up to {farther:.3f} nats per token)"


def _row(
    facts: StudyFacts, measurement: Measurement, numbers: Mapping[str, Any], words: str, invalid: Mapping[Key, str]
) -> Row:
    keys = [(facts.baseline, measurement.task), (measurement.variant, measurement.task)]
    valid = validity(invalid, keys)
    axis = measurement.axis
    named = {"axis": measurement.task, "kind": axis.kind if axis else "", "again": axis.again if axis else ""}
    said = words if valid["valid"] else f"not valid: {valid['invalid_reason']}"
    return {**named, "variant": measurement.variant, "against": facts.baseline, **numbers, "verdict": said, **valid}


def _tradeoffs(
    facts: StudyFacts,
    pairs: Sequence[Pair],
    compared: Mapping[Key, Comparison],
    kinds: Mapping[str, Axis],
    invalid: Mapping[Key, str],
) -> list[Row]:
    """Gain against the loss on each axis, and against the mean loss over all tasks with questions of their own.

    An axis that asks again what another task asked is weighed by itself and not averaged: its questions would count
    twice, and its resamples would not be independent of theirs.
    """
    by_key = {pair.key: pair.comparison for pair in pairs} | dict(compared)
    own = [facts.general, *(name for name, axis in kinds.items() if not axis.again)]
    rows = []
    for variant in dict.fromkeys(variant for variant, _ in compared):
        target = by_key.get((variant, facts.target))
        if target is None:
            continue
        weighed = {name: [name] for name in kinds if (variant, name) in compared}
        averaged = [name for name in own if (variant, name) in by_key]
        if len(averaged) > 1:
            weighed[MEAN] = averaged
        for name, tasks in weighed.items():
            keys = [(who, task) for who in (facts.baseline, variant) for task in (facts.target, *tasks)]
            paid = price(target, [by_key[variant, task] for task in tasks])
            numbers = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(paid).items()}
            row = {"variant": variant, "axis": name, "gain": target.delta, "gain_ci": list(target.ci), **numbers}
            rows.append(row | ({"averaged": tasks} if name == MEAN else {}) | validity(invalid, keys))
    return rows
