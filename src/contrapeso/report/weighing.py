"""Variants against each other: differences, verdicts, the trade-off, the Pareto front. All paired on the same items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from contrapeso.errors import DataError
from contrapeso.report.measurement import Measurement, StudyFacts
from contrapeso.report.validity import Key, validity
from contrapeso.stats.paired import Comparison, Scheme, compare, equivalence, holm, verdict
from contrapeso.stats.pareto import pareto
from contrapeso.stats.power import smallest_detectable_difference
from contrapeso.stats.tradeoff import weigh
from contrapeso.tasks.base import Outcome

SCHEMES: Mapping[str, Scheme] = {"generation": "cluster", "options": "stratified"}
Measured = Mapping[Key, Measurement]
LEAST_RESAMPLES = 1_000


@dataclass(frozen=True)
class Pair:
    """A variant and the baseline on one task.

    Attributes:
        measurement: of the variant.
        comparison: against the baseline, on the items both answered.
        same_prompts: whether both were asked byte for byte the same.
        unpaired: how many items only one of them answered.
    """

    measurement: Measurement
    comparison: Comparison
    same_prompts: bool
    unpaired: int

    @property
    def key(self) -> Key:
        """(variant, task)."""
        return self.measurement.variant, self.measurement.task


def pairs_with_baseline(facts: StudyFacts, measured: Measured, *, resamples: int) -> list[Pair]:
    """Every measurement that has a baseline on its task, compared with it.

    Raises:
        DataError: a variant and the baseline share no item.
    """
    pairs = []
    for (variant, task), measurement in measured.items():
        base = measured.get((facts.baseline, task))
        if base is None or variant == facts.baseline:
            continue
        both = shared(base, measurement)
        pairs.append(
            Pair(
                measurement,
                compared(facts, measurement, both, resamples),
                same_prompts=all(old.prompt_sha == new.prompt_sha for old, new in both),
                unpaired=len(base.counted) + len(measurement.counted) - 2 * len(both),
            )
        )
    return pairs


def comparisons(facts: StudyFacts, pairs: Sequence[Pair], invalid: Mapping[Key, str]) -> list[dict[str, Any]]:
    """Rows of the key `comparisons`."""
    adjusted: dict[Key, float] = {}
    for family in {_family(pair.measurement) for pair in pairs}:
        members = [pair for pair in pairs if _family(pair.measurement) == family]
        p_values = holm([pair.comparison.p_verdict for pair in members])
        adjusted |= {pair.key: p for pair, p in zip(members, p_values, strict=True)}
    return [_comparison(facts, pair, adjusted[pair.key], invalid) for pair in pairs]


def _family(measurement: Measurement) -> tuple[str, bool, bool]:
    """What p-values are adjusted together: the runs on one task.

    Baselines that are merely prompted otherwise are not runs, and neither are checkpoints and scaled adapters: looking
    at the way to a run makes nothing less certain about the run.
    """
    point = measurement.point
    return measurement.task, bool(measurement.prompt_note), point is not None and point.intermediate


def tradeoffs(facts: StudyFacts, pairs: Sequence[Pair], invalid: Mapping[Key, str]) -> list[dict[str, Any]]:
    """Rows of the key `tradeoff`: every variant that was measured on both tasks beside the baseline."""
    by_key = {pair.key: pair for pair in pairs}
    rows = []
    for variant in dict.fromkeys(pair.measurement.variant for pair in pairs):
        target, general = by_key.get((variant, facts.target)), by_key.get((variant, facts.general))
        if target is None or general is None:
            continue
        weighed = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(weigh(target.comparison, general.comparison)).items()
        }
        keys = [(name, task) for name in (facts.baseline, variant) for task in (facts.target, facts.general)]
        rows.append({"variant": variant} | weighed | validity(invalid, keys))
    return rows


def standings(
    facts: StudyFacts, measured: Measured, invalid: Mapping[Key, str], *, resamples: int
) -> dict[str, dict[str, Any]]:
    """The key `pareto`: where each variant stands among all that are validly measured on both tasks.

    Every two are compared, so more than a handful of variants get fewer resamples each, a thousand at least: shares of
    draws are held against 5 and 95 %.
    """
    tasks = (facts.target, facts.general)
    variants = [
        name
        for name in dict.fromkeys(variant for variant, _ in measured)
        if all((name, task) in measured and (name, task) not in invalid for task in tasks)
        and not any(measured[name, task].prompt_note for task in tasks)
    ]
    found = {}
    pairs = list(combinations(variants, 2))
    resamples = min(resamples, max(LEAST_RESAMPLES, 10 * resamples // max(1, len(pairs))))
    for first, second in pairs:
        both = [(measured[first, task], measured[second, task]) for task in tasks]
        target, general = (compared(facts, b, shared(a, b), resamples) for a, b in both)
        found[first, second] = target, general
    return {
        name: {"standing": standing.words, "on_front": standing.on_front, "dominated": dict(standing.dominated)}
        for name, standing in pareto(found).items()
    }


def shared(a: Measurement, b: Measurement) -> list[tuple[Outcome, Outcome]]:
    """Outcomes of both on the items both answered.

    Raises:
        DataError: there is none.
    """
    reference = {outcome.item: outcome for outcome in a.counted}
    both = [(reference[outcome.item], outcome) for outcome in b.counted if outcome.item in reference]
    if not both:
        raise DataError(f"{b.variant!r} and {a.variant!r} share no item of {b.task!r}; evaluate both on the same items")
    return both


def compared(
    facts: StudyFacts, measurement: Measurement, both: Sequence[tuple[Outcome, Outcome]], resamples: int
) -> Comparison:
    """The second outcome of every pair against the first, as `measurement`'s kind asks."""
    return compare(
        [old.correct for old, _ in both],
        [new.correct for _, new in both],
        [old.group for old, _ in both],
        scheme=SCHEMES[measurement.kind],
        # Different seeds keep the resamples of the two tasks independent, which exchange rate and front rely on.
        seed=facts.seed + (measurement.task != facts.target),
        resamples=resamples,
    )


def difference(facts: StudyFacts, comparison: Comparison, p_holm: float, valid: Mapping[str, Any]) -> dict[str, Any]:
    """What every row about two variants says of them: the difference, how sure it is, and what it may be called.

    Args:
        facts: names the margin.
        comparison: of the two.
        p_holm: its adjusted p-value.
        valid: from `validity`.
    """
    words = verdict(comparison, p_holm, margin=facts.margin)
    return {
        "n": comparison.n,
        "delta": comparison.delta,
        "ci": list(comparison.ci),
        "lost": comparison.lost,
        "gained": comparison.gained,
        "p": comparison.p,
        "p_verdict": comparison.p_verdict,
        "p_holm": p_holm,
        "verdict": words if valid["valid"] else f"not valid: {valid['invalid_reason']}",
    }


def _comparison(facts: StudyFacts, pair: Pair, p_holm: float, invalid: Mapping[Key, str]) -> dict[str, Any]:
    comparison, (variant, task) = pair.comparison, pair.key
    valid = validity(invalid, [(facts.baseline, task), (variant, task)])
    harmless = equivalence(comparison, facts.margin)
    return {
        "variant": variant,
        "against": facts.baseline,
        "task": task,
        **difference(facts, comparison, p_holm, valid),
        "equivalence": {"margin": harmless.margin, "p": harmless.p, "ci": list(harmless.ci)},
        "detectable": smallest_detectable_difference(
            comparison.n,
            comparison.discordant_share,
            design_effect=max(1.0, comparison.design_effect),
            degrees=comparison.degrees,
        ),
        "design_effect": comparison.design_effect,
        "scheme": comparison.scheme,
        "groups": comparison.groups,
        "same_prompts": pair.same_prompts,
        "prompt_note": pair.measurement.prompt_note,
        "unpaired": pair.unpaired,
    } | valid
