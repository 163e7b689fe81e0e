"""The way from the base to the end of each run: what stopping earlier or a weaker update would have given.

Measurements enter `against_ends`, which makes the key `way` of the summary. A summary enters `stops` and `ways`; its
variants as points of a plane, and in the order in which each run passed them, leave for the figure, the table and
`frontier.csv`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contrapeso.report.measurement import Measurement, StudyFacts
from contrapeso.report.text import on_the_way
from contrapeso.report.validity import Key, validity
from contrapeso.report.weighing import Measured, compared, difference, shared
from contrapeso.stats.paired import holm

Summary = Mapping[str, Any]
Ends = tuple[float, float]


def against_ends(
    facts: StudyFacts, measured: Measured, invalid: Mapping[Key, str], *, resamples: int
) -> list[dict[str, Any]]:
    """Rows of the key `way`: every checkpoint and scaled adapter against the end of its own run, on the same items.

    What a variant saves cannot be read from two differences with the baseline, whose intervals overlap long before the
    variants are alike. p-values are adjusted by Holm over the variants of one run and task.

    Args:
        facts: names target and general task.
        measured: (variant, task) -> measurement.
        invalid: (variant, task) -> why the audit withholds it.
        resamples: number of bootstrap resamples.
    """
    families: dict[tuple[str, str], list[Measurement]] = {}
    for (_, task), measurement in measured.items():
        point = measurement.point
        if point and point.intermediate and (point.origin, task) in measured:
            families.setdefault((point.origin, task), []).append(measurement)
    rows = []
    for (origin, task), members in families.items():
        end = measured[origin, task]
        found = [compared(facts, member, shared(end, member), resamples) for member in members]
        adjusted = holm([comparison.p_verdict for comparison in found])
        for member, comparison, p_holm in zip(members, found, adjusted, strict=True):
            valid = validity(invalid, [(origin, task), (member.variant, task)])
            names = {"variant": member.variant, "against": origin, "task": task}
            rows.append(names | difference(facts, comparison, p_holm, valid) | valid)
    return rows


@dataclass(frozen=True)
class Stop:
    """A variant as a point of the plane of gain and loss.

    Attributes:
        variant: display name.
        origin: the run or imported adapter it belongs to; "" for the baseline, however prompted.
        step: optimizer step of a checkpoint; None is the end.
        scale: what the update is multiplied by; 0 for the baseline.
        n_target, n_general: items it is compared on; None where it was not measured.
        gain, loss: points of the target gained and of the general task lost; None where not measured or withheld.
        gain_ci, loss_ci: their 95 % intervals, likewise.
        on_front: whether no other variant is better on one task and no worse on the other, by the estimates; None
            where it is not on both tasks.
        standing: the same with its uncertainty, in the words of `stats.pareto`; "" likewise.
        reason: why numbers are withheld; "" when none is.
    """

    variant: str
    origin: str
    step: int | None
    scale: float
    n_target: int | None
    n_general: int | None
    gain: float | None
    gain_ci: Ends | None
    loss: float | None
    loss_ci: Ends | None
    on_front: bool | None
    standing: str
    reason: str

    @property
    def place(self) -> tuple[float, float] | None:
        """(loss, gain), or None when one of them is missing."""
        return None if self.gain is None or self.loss is None else (self.loss, self.gain)


def stops(summary: Summary) -> list[Stop]:
    """Every variant of a study as a point, in the order of the summary."""
    changes = {(row["variant"], row["task"]): row for row in summary["comparisons"]}
    return [_stop(summary, changes, variant) for variant in summary["variants"]]


def _stop(summary: Summary, changes: Mapping[tuple[str, str], Mapping[str, Any]], variant: str) -> Stop:
    facts, entries = summary["facts"], summary["variants"][variant]
    point = summary.get("points", {}).get(variant)
    standing = summary["pareto"].get(variant, {})
    reasons = []
    numbers: dict[str, Any] = {}
    for what, side, sign in (("gain", "target", 1), ("loss", "general", -1)):
        entry, row = entries.get(facts[side]), changes.get((variant, facts[side]))
        numbers |= {f"n_{side}": None, what: None, f"{what}_ci": None}
        if variant == facts["baseline"] and entry:
            row = {"n": entry["n"], "delta": 0.0, "ci": (0.0, 0.0), "valid": entry["valid"]}
            row["invalid_reason"] = entry.get("invalid_reason", "")
        if row is None:
            continue
        numbers[f"n_{side}"] = row["n"]
        if not row["valid"]:
            reasons.append(row["invalid_reason"])
            continue
        low, high = sorted(100 * sign * end + 0.0 for end in row["ci"])
        numbers |= {what: 100 * sign * row["delta"] + 0.0, f"{what}_ci": (low, high)}
    tuned = variant != facts["baseline"] and not any(entry["prompt_note"] for entry in entries.values())
    return Stop(
        variant,
        origin=point["origin"] if point else variant if tuned else "",
        step=point["step"] if point else None,
        scale=point["scale"] if point else float(tuned),
        on_front=standing.get("on_front"),
        standing=standing.get("standing", ""),
        reason="; ".join(dict.fromkeys(reasons)),
        **numbers,
    )


@dataclass(frozen=True)
class Way:
    """What one run passed, from the baseline on.

    Attributes:
        origin: display name of the run.
        over: `steps`: checkpoints in the order of training, ending in the run; `scales`: by growing factor, with the
            run where its own, 1, stands.
        stops: those that have a place, the baseline first.
    """

    origin: str
    over: str
    stops: tuple[Stop, ...]


def ways(summary: Summary) -> list[Way]:
    """The trajectories that have something between their ends."""
    placed = [stop for stop in stops(summary) if stop.place]
    base = [stop for stop in placed if stop.variant == summary["facts"]["baseline"]]
    found = []
    for origin in dict.fromkeys(stop.origin for stop in placed if stop.origin):
        mine = [stop for stop in placed if stop.origin == origin]
        steps = sorted((s for s in mine if s.scale == 1), key=lambda stop: (stop.step is None, stop.step or 0))
        scales = sorted((s for s in mine if s.step is None), key=lambda stop: stop.scale)
        found += [
            Way(origin, over, (*base, *members))
            for over, members in (("steps", steps), ("scales", scales))
            if any(on_the_way(summary, stop.variant) for stop in members)
        ]
    return found


def way_of(summary: Summary, origin: str) -> Sequence[str]:
    """The checkpoints and scaled adapters of one run."""
    points = summary.get("points", {})
    return [name for name in summary["variants"] if on_the_way(summary, name) and points[name]["origin"] == origin]
