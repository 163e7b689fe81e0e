"""A small made-up study whose truth is known, and ways to plant one fault in it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from contrapeso.models.engine import Point
from contrapeso.report.measurement import Measurement, Sources, StudyFacts
from contrapeso.tasks.base import Item, Outcome

BASE, RUN_1, RUN_2, SHOTS = "Baseline Model", "Fine-Tuned Run 1", "Fine-Tuned Run 2", "Baseline Model (3-shot)"
SUBJECTS = {
    "abstract_algebra": "STEM",
    "astronomy": "STEM",
    "philosophy": "Humanities",
    "world_religions": "Humanities",
    "econometrics": "Social Sciences",
    "sociology": "Social Sciences",
    "nutrition": "Other",
    "virology": "Other",
}
FACTS = StudyFacts(name="counterweight", categories=SUBJECTS, seed=7)


def spider(
    variant: str, share: float, *, seed: int, databases: int = 12, each: int = 40, note: str = ""
) -> Measurement:
    """A text-to-SQL measurement whose every item is correct with probability `share`."""
    generator = np.random.default_rng(seed)
    outcomes = []
    for index in range(databases * each):
        correct = bool(generator.random() < share)
        gold = f"SELECT count(*) FROM t{index}"
        item = f"dev/{index:04d}"
        outcomes.append(
            Outcome(
                item=item,
                group=f"db_{index % databases:02d}",
                gold=gold,
                answer=gold if correct else "SELECT nothing",
                correct=correct,
                reason="ok" if correct else ("unknown_column", "wrong_result", "timeout")[index % 3],
                prompt_sha=f"{note}{index:016x}"[-16:] if not note else f"{note}-{index}",
                prompt_tokens=300,
                truncated=False,
                stopped=True,
                rules={"unordered": correct, "spider": correct and index % 5 > 0, "strict": correct and index % 7 > 0},
            )
        )
    return Measurement(variant, "spider", "generation", outcomes, note)


def mmlu(variant: str, share: float, *, seed: int, each: int = 100) -> Measurement:
    """A multiple-choice measurement whose every item is correct with probability `share`."""
    generator = np.random.default_rng(seed)
    outcomes = []
    for number, subject in enumerate(SUBJECTS):
        for index in range(each):
            gold = "ABCD"[index % 4]
            # One stream for every variant, so that variants mostly agree on which items are hard.
            correct = bool(np.random.default_rng(number * each + index).random() + generator.normal(0, 0.08) < share)
            answer = gold if correct else "ABCD"[(index + 1) % 4]
            noise = generator.normal(0, 0.01)
            outcomes.append(
                Outcome(
                    item=f"{subject}/{index:04d}",
                    group=subject,
                    gold=gold,
                    answer=answer,
                    correct=correct,
                    reason="ok" if correct else "wrong_letter",
                    prompt_sha=f"{number:08x}{index:08x}",
                    prompt_tokens=600,
                    truncated=False,
                    stopped=True,
                    log_probabilities=tuple(-0.3 + noise if letter == answer else -2.0 for letter in "ABCD"),
                )
            )
    return Measurement(variant, "mmlu", "options", outcomes)


def study() -> list[Measurement]:
    """Run 1 gains 25 points and loses little; Run 2 gains as much and loses 15; 3-shot prompting gains 8."""
    return [
        spider(BASE, 0.30, seed=1),
        mmlu(BASE, 0.60, seed=2),
        spider(RUN_1, 0.55, seed=3),
        mmlu(RUN_1, 0.59, seed=4),
        spider(RUN_2, 0.57, seed=5),
        mmlu(RUN_2, 0.45, seed=6),
        spider(SHOTS, 0.38, seed=8, note="3-shot"),
    ]


def study_with_ways() -> list[Measurement]:
    """The runs of `study` with three checkpoints and two scales each, the loss growing with both."""
    found = [m if m.variant == BASE else replace(m, point=Point(m.variant)) for m in study() if m.variant != SHOTS]
    seed = 20
    for run, gain, loss in ((RUN_1, 0.25, 0.01), (RUN_2, 0.27, 0.15)):
        between = [(Point(run, step=100 * part), part / 4) for part in (3, 1, 2)]  # in no order
        for point, share in [*between, (Point(run, scale=0.75), 0.75), (Point(run, scale=0.5), 0.5)]:
            found.append(replace(spider(point.name, 0.3 + gain * share, seed=seed), point=point))
            found.append(replace(mmlu(point.name, 0.6 - loss * share, seed=seed + 1), point=point))
            seed += 2
    return found


def sources(measurements: Sequence[Measurement], **other: Any) -> Sources:
    """What a report of these measurements is made from; every question says its item's id."""
    items: dict[str, dict[str, Item]] = {}
    for measurement in measurements:
        for outcome in measurement.outcomes:
            choices = () if measurement.kind == "generation" else tuple(f"option {letter}" for letter in "ABCD")
            item = Item(outcome.item, outcome.group, f"What about {outcome.item}?", outcome.gold, choices)
            items.setdefault(measurement.task, {})[outcome.item] = item
    return Sources(measurements, items, **other)


def with_outcomes(measurement: Measurement, change: Callable[[int, Outcome], Outcome]) -> Measurement:
    """The measurement with every outcome passed through `change(index, outcome)`."""
    return replace(measurement, outcomes=[change(i, outcome) for i, outcome in enumerate(measurement.outcomes)])
