"""Which variant of a study to take: the most gain within a loss one can bear, or the least loss for a gain one needs.

A study folder enters; a JSON-ready recommendation and the lines to print leave. `stats.selection` has the method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from contrapeso.errors import StoreError
from contrapeso.report.measurement import Measurement, StudyFacts
from contrapeso.report.record import read_record, read_sources
from contrapeso.report.text import points, span, task_name
from contrapeso.stats.selection import Candidate, Differences, Recommendation, Rule, Weighed, recommend
from contrapeso.store import open_folder, read_json

Measured = Mapping[tuple[str, str], Measurement]


def recommend_variant(folder: str | Path, rule: Rule) -> dict[str, Any]:
    """Choose among the variants of a study that the audit lets stand.

    Args:
        folder: the study folder.
        rule: what may be taken and what is best.

    Returns:
        `chosen` (None: keep the base), `candidates`, `held_out`, the rule, and what was chosen among.

    Raises:
        StoreError: not a study folder, or nothing is reported yet.
        DataError: no variant is validly measured on both tasks.
    """
    root = Path(folder)
    summary = read_json(root / "summary.json")
    if summary is None:
        raise StoreError(f"{root} holds no summary.json; `contrapeso run STUDY --out {root}` makes it")
    with open_folder(root) as opened:
        record = read_record(opened)
        measurements = read_sources(opened, record).measurements
    return recommend_among(summary, measurements, record.facts, rule)


def recommend_among(
    summary: Mapping[str, Any], measurements: Sequence[Measurement], facts: StudyFacts, rule: Rule
) -> dict[str, Any]:
    """The same from a summary and what it was made from; key `recommendation` where a study names a budget.

    Args:
        summary: from `summarize`.
        measurements: one per variant and task.
        facts: what the study is about.
        rule: what may be taken and what is best.

    Raises:
        DataError: no variant is validly measured on both tasks.
    """
    measured = {(measurement.variant, measurement.task): measurement for measurement in measurements}
    valid = [row["variant"] for row in summary["tradeoff"] if row["valid"]]
    found = recommend(candidates_among(valid, measured, facts), rule, seed=facts.seed)
    return {
        "study": facts.name,
        "target": facts.target,
        "general": facts.general,
        "baseline": facts.baseline,
        "rule": asdict(rule),
        **_json(found),
    }


def candidates_among(variants: Sequence[str], measured: Measured, facts: StudyFacts) -> list[Candidate]:
    """The variants as `stats.selection` takes them, numbered alike.

    Args:
        variants: display names, each measured on both tasks beside the baseline.
        measured: (variant, task) -> measurement.
        facts: names baseline, target and general task.
    """
    of_task = {task: _Numbers(measured[facts.baseline, task]) for task in (facts.target, facts.general)}
    return [
        Candidate(
            name,
            target=of_task[facts.target].differences(measured[name, facts.target]),
            general=of_task[facts.general].differences(measured[name, facts.general]),
        )
        for name in variants
    ]


class _Numbers:
    """Items and groups of one task, numbered as the baseline answered them."""

    def __init__(self, baseline: Measurement) -> None:
        counted = baseline.counted
        groups = {group: number for number, group in enumerate(dict.fromkeys(outcome.group for outcome in counted))}
        self._item = {outcome.item: number for number, outcome in enumerate(counted)}
        self._group = [groups[outcome.group] for outcome in counted]
        self._correct = [outcome.correct for outcome in counted]

    def differences(self, measurement: Measurement) -> Differences:
        """The variant against the baseline, on the items both answered."""
        both = [(self._item[outcome.item], outcome) for outcome in measurement.counted if outcome.item in self._item]
        return Differences(
            values=np.asarray([outcome.correct - self._correct[number] for number, outcome in both], dtype=np.float64),
            items=np.asarray([number for number, _ in both], dtype=np.intp),
            groups=np.asarray([self._group[number] for number, _ in both], dtype=np.intp),
        )


def _json(found: Recommendation) -> dict[str, Any]:
    held = asdict(found.held_out)
    held["chosen"] = [{"variant": name or None, "share": share} for name, share in found.held_out.chosen.items()]
    return {"chosen": found.chosen, "candidates": [asdict(one) for one in found.candidates], "held_out": held}


def recommendation_lines(found: Mapping[str, Any]) -> list[str]:
    """What `contrapeso recommend` prints."""
    rule, held = found["rule"], found["held_out"]
    target, general = task_name(found["target"]), task_name(found["general"])
    budget, level = f"{100 * rule['budget']:g} points", f"{100 * rule['confidence']:g} %"
    less, more = f"at most {budget} of {general} lost", f"at least {budget} of {target} gained"
    lines = [f"budget: {less if rule['by'] == 'max_loss' else more}, with {level} confidence"]
    chosen = next((Weighed(**one) for one in found["candidates"] if one["name"] == found["chosen"]), None)
    if chosen is None:
        lines.append(f"recommended: {found['baseline']}, because no variant is certainly within it")
    else:
        changes = f"{points(chosen.gain)} points of {target}, {points(-chosen.loss)} of {general}"
        lines.append(f"recommended: {chosen.name}: {changes}, {_bound(rule['by'], chosen.bound)}")
    if held["gain"] is not None:
        lost = span([-end for end in reversed(held["loss_ci"])], signed=True)
        lines.append(
            f"what choosing so is worth, on halves of the items it was not made on: {points(held['gain'])} "
            f"points of {target} {span(held['gain_ci'], signed=True)}, {points(-held['loss'])} of {general} {lost} "
            f"(gain on the halves it was made on: {points(held['gain'] + held['flattery'])})"
        )
    shares = (f"{row['variant'] or 'none'} {100 * row['share']:.0f} %" for row in held["chosen"])
    lines.append(f"chosen on half of the items: {', '.join(shares)}")
    candidates = [Weighed(**one) for one in found["candidates"]]
    alike = len({(one.n_target, one.n_general) for one in candidates}) == 1
    return [*lines, "", *(_candidate_line(one, rule["by"], chosen, sizes=not alike) for one in candidates)]


def _candidate_line(one: Weighed, by: str, chosen: Weighed | None, *, sizes: bool) -> str:
    mark = "*" if chosen and one.name == chosen.name else "+" if one.allowed else "-"
    asked = f", on {one.n_target:,} and {one.n_general:,} items" if sizes else ""
    return f"{mark} {one.name}: {points(one.gain)} / {points(-one.loss)}, {_bound(by, one.bound)}{asked}"


def _bound(by: str, bound: float) -> str:
    return f"loss below {100 * bound:.1f}" if by == "max_loss" else f"gain above {100 * bound:.1f}"
