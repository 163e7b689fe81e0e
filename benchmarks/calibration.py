"""Do the intervals cover what they promise, and do the tests reject as rarely as they promise?

Studies are simulated whose truth is known, with the sizes of Spider's dev split (1,034 questions on 20 uneven
databases), of the pocket set and of MMLU's test split (14,042 questions in 57 subjects), and every statistic of
`contrapeso.stats` is asked about each. Databases are a sample: their effects are drawn anew for every study. Subjects
are a fixed list: theirs are drawn once. In: a number of studies and a seed. Out: a table and, with `--json`, a file.

    python -m benchmarks.calibration [--studies 2000] [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contrapeso.stats.intervals import CONFIDENCE, accuracy_interval
from contrapeso.stats.means import degrees_of_freedom
from contrapeso.stats.paired import Comparison, Scheme, compare, equivalence, verdict
from contrapeso.stats.pareto import pareto
from contrapeso.stats.power import DATABASE_CORRELATION, assumed_design_effect, smallest_detectable_difference
from contrapeso.stats.tradeoff import relative_change, weigh

SPIDER_SIZES = (16, 92, 45, 30, 84, 82, 38, 80, 18, 56, 40, 42, 40, 4, 30, 78, 62, 15, 120, 62)
POCKET_SIZES = (44,) * 8
# fmt: off
MMLU_SIZES = (
    100, 135, 152, 100, 265, 144, 100, 100, 100, 173, 102, 100, 235, 114, 145, 378, 126, 100, 310, 203, 100, 165, 198,
    193, 390, 270, 238, 151, 545, 216, 204, 237, 223, 131, 121, 108, 163, 112, 103, 234, 100, 783, 346, 895, 306, 311,
    324, 282, 1534, 272, 612, 110, 245, 201, 100, 166, 171,
)
# fmt: on
RESAMPLES = 1000
MARGIN = 0.02

Answers = npt.NDArray[np.bool_]
Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """The truth of a simulated study.

    Attributes:
        name: what it is like.
        sizes: items of each group.
        scheme: `cluster` when groups are a sample, `stratified` when they are a fixed list.
        changed: share of items on which the two variants disagree.
        delta: true difference, b - a.
        spread: standard deviation of the difference between groups (uniform), fraction.
        same: share of right answers among the items on which the variants agree.
    """

    name: str
    sizes: Sequence[int]
    scheme: Scheme
    changed: float
    delta: float = 0.0
    spread: float = 0.0
    same: float = 0.5

    @property
    def base(self) -> float:
        """True accuracy of a."""
        return (self.changed - self.delta) / 2 + (1 - self.changed) * self.same


SPIDER = World("Spider", SPIDER_SIZES, "cluster", changed=0.3)
POCKET = World("pocket", POCKET_SIZES, "cluster", changed=0.3)
MMLU = World("MMLU", MMLU_SIZES, "stratified", changed=0.1)
NULL_WORLDS = (
    *(replace(SPIDER, changed=changed) for changed in (0.02, 0.1, 0.3)),
    *(replace(SPIDER, spread=spread) for spread in (0.05, 0.1)),
    *(replace(POCKET, spread=spread) for spread in (0.0, 0.1)),
    *(replace(MMLU, changed=changed) for changed in (0.002, 0.1, 0.3)),
    replace(MMLU, spread=0.05),
)


def comparisons(world: World, studies: int, *, seed: int) -> Iterator[Comparison]:
    """Simulated studies of one world, compared."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(world.sizes)), world.sizes)
    fixed = _effects(world, generator) if world.scheme == "stratified" else None
    for _ in range(studies):
        effect = (_effects(world, generator) if fixed is None else fixed)[groups]
        draw = generator.random(len(groups))
        gained = draw < (world.changed + effect) / 2
        lost = ~gained & (draw < world.changed)
        right = generator.random(len(groups)) < world.same
        a, b = (right | lost) & ~gained, (right | gained) & ~lost
        resampling = int(generator.integers(2**32))
        yield compare(a, b, groups, scheme=world.scheme, seed=resampling, resamples=RESAMPLES)


def _effects(world: World, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Each group's true difference; a fixed list is centred, so that its mean over items is `delta`."""
    around = generator.uniform(-1, 1, len(world.sizes)) * np.sqrt(3) * world.spread
    if world.scheme == "stratified":
        around -= np.average(around, weights=world.sizes)
    return world.delta + around


def accuracy_coverage(
    sizes: Sequence[int], accuracy: float, correlation: float, *, studies: int, seed: int
) -> tuple[float, float]:
    """Share of studies whose Wilson interval, and whose cluster interval, holds the true accuracy (beta-binomial)."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    hits = np.zeros(2)
    for _ in range(studies):
        chance = np.full(len(sizes), accuracy)
        if correlation:
            weight = 1 / correlation - 1
            chance = generator.beta(accuracy * weight, (1 - accuracy) * weight, len(sizes))
        correct = generator.random(len(groups)) < chance[groups]
        found = (accuracy_interval(correct), accuracy_interval(correct, groups))
        hits += [interval.low <= accuracy <= interval.high for interval in found]
    wilson, cluster = hits / studies
    return float(wilson), float(cluster)


def subject_coverage(sizes: Sequence[int], accuracy: float, *, studies: int, seed: int) -> float:
    """Coverage of Wilson's interval over a fixed list of subjects whose accuracies differ (standard deviation 0.12)."""
    generator = np.random.default_rng(seed)
    around = generator.uniform(-1, 1, len(sizes)) * np.sqrt(3) * 0.12
    chance = accuracy + around - np.average(around, weights=sizes)
    hits = 0
    for _ in range(studies):
        correct = generator.binomial(sizes, chance).sum()
        interval = accuracy_interval(np.arange(sum(sizes)) < correct)
        hits += interval.low <= accuracy <= interval.high
    return hits / studies


def paired(world: World, *, studies: int, seed: int) -> Row:
    """Coverage of the interval, and how often each test and the verdict find a difference."""
    found = list(comparisons(world, studies, seed=seed))
    words = [verdict(one, one.p_verdict, margin=MARGIN) for one in found]
    return {
        "coverage": _share([one.ci[0] <= world.delta <= one.ci[1] for one in found]),
        "mcnemar": _share([one.p <= 0.05 for one in found]),
        "p_verdict": _share([one.p_verdict <= 0.05 for one in found]),
        "verdict": _share([word in ("gain", "loss") for word in words]),
        "no_difference": _share([word.startswith("no difference") for word in words]),
    }


def equivalence_rate(world: World, margin: float, *, studies: int, seed: int) -> float:
    """How often `equivalence` claims that the difference is below the margin."""
    return _share([equivalence(one, margin).equivalent for one in comparisons(world, studies, seed=seed)])


def ratio_coverage(target: World, general: World, *, studies: int, seed: int) -> Row:
    """Coverage of the exchange rate and of the relative change on the target, where they have intervals."""
    pairs = list(
        zip(comparisons(target, studies, seed=seed), comparisons(general, studies, seed=seed + 1), strict=True)
    )
    rates = [weighed.ci for weighed in (weigh(*pair) for pair in pairs) if weighed.ci]
    changes = [change.ci for change in (relative_change(one) for one, _ in pairs) if change.ci]
    rate, change = -general.delta / target.delta, target.delta / target.base
    return {
        "exchange_rate": _share([low <= rate <= high for low, high in rates]),
        "has_rate": len(rates) / studies,
        "relative_change": _share([low <= change <= high for low, high in changes]),
    }


def dominance_rate(target: World, general: World, *, studies: int, seed: int) -> float:
    """How often 95 % of resamples say that b dominates a."""
    pairs = zip(comparisons(target, studies, seed=seed), comparisons(general, studies, seed=seed + 1), strict=True)
    standings = [pareto({("a", "b"): pair}) for pair in pairs]
    return _share([standing["a"].dominated["b"] >= CONFIDENCE for standing in standings])


def detection_rate(world: World, *, studies: int, seed: int) -> tuple[float, float]:
    """The smallest detectable difference foretold for a world, and how often the verdict finds just that one."""
    design_effect, degrees = 1.0, float("inf")
    if world.scheme == "cluster":
        design_effect, degrees = assumed_design_effect(world.sizes), degrees_of_freedom(world.sizes)
        # Of the variance of a difference, about `changed`, this share lies between databases.
        world = replace(world, spread=(DATABASE_CORRELATION * world.changed) ** 0.5)
    smallest = smallest_detectable_difference(
        sum(world.sizes), world.changed, design_effect=design_effect, degrees=degrees
    )
    if smallest is None:
        return float("nan"), 0.0
    return smallest, paired(replace(world, delta=smallest), studies=studies, seed=seed)["verdict"]


def _share(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def measure(studies: int, seed: int) -> dict[str, list[Row]]:
    """Every table, as rows."""
    run = {"studies": studies, "seed": seed}
    accuracies: list[Row] = []
    for name, sizes in (("Spider", SPIDER_SIZES), ("pocket", POCKET_SIZES)):
        for correlation in (0.0, 0.05, 0.1):
            for accuracy in (0.09, 0.2, 0.5, 0.76, 0.9, 0.97):
                wilson, cluster = accuracy_coverage(sizes, accuracy, correlation, **run)
                known = {"like": name, "accuracy": accuracy, "correlation": correlation}
                accuracies.append(known | {"wilson": wilson, "cluster": cluster})
    for accuracy in (0.25, 0.47, 0.6):
        accuracies.append(
            {"like": "MMLU", "accuracy": accuracy, "wilson": subject_coverage(MMLU_SIZES, accuracy, **run)}
        )
    for accuracy in (0.25, 0.47, 0.9):
        wilson, _ = accuracy_coverage((100,), accuracy, 0.0, **run)
        accuracies.append({"like": "one subject of 100", "accuracy": accuracy, "wilson": wilson})
    real = [replace(SPIDER, delta=0.12, spread=0.1), replace(MMLU, delta=-0.01, spread=0.05)]
    margins = [(MMLU, MARGIN / 4), (MMLU, MARGIN), (SPIDER, 0.05), (replace(SPIDER, spread=0.05), 0.1)]
    margins += [(replace(MMLU, changed=0.03), MARGIN), (World("100 items", (100,), "stratified", 0.06), 0.05)]
    tuned, worse = replace(SPIDER, delta=0.12, spread=0.05), replace(MMLU, delta=-0.02, spread=0.02)
    return {
        "accuracy intervals": accuracies,
        "paired, no true difference": [_known(world) | paired(world, **run) for world in NULL_WORLDS],
        "paired, a true difference": [_known(world) | paired(world, **run) for world in real],
        "equivalence": [
            _known(world)
            | {
                "margin": margin,
                "claimed at the margin": equivalence_rate(replace(world, delta=margin), margin, **run),
                "claimed at 0": equivalence_rate(world, margin, **run),
            }
            for world, margin in margins
        ],
        "ratios": [_known(tuned) | {"loss": -worse.delta} | ratio_coverage(tuned, worse, **run)],
        "dominance": [
            {"truth": "both the same", "claimed": dominance_rate(SPIDER, MMLU, **run)},
            {"truth": "better on Spider, the same on MMLU", "claimed": dominance_rate(tuned, MMLU, **run)},
            {"truth": "better on both", "claimed": dominance_rate(tuned, replace(MMLU, delta=0.02), **run)},
        ],
        "smallest detectable difference": [
            _known(world) | dict(zip(("foretold", "found"), detection_rate(world, **run), strict=True))
            for world in (SPIDER, replace(POCKET, changed=0.5), MMLU)
        ],
    }


def _known(world: World) -> Row:
    return {"like": world.name, "changed": world.changed, "delta": world.delta, "spread": world.spread}


def main() -> None:
    """Measure, print, and write the file that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies a row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    tables = measure(arguments.studies, arguments.seed)
    for title, rows in tables.items():
        print(f"\n{title}, {arguments.studies:,} studies a row")
        heads = list(dict.fromkeys(key for row in rows for key in row))
        print(" | ".join(heads))
        for row in rows:
            print(
                " | ".join(
                    f"{row[key]:.4g}" if isinstance(row.get(key), float) else str(row.get(key, "–")) for key in heads
                )
            )
    if arguments.json:
        settings = {"studies": arguments.studies, "seed": arguments.seed, "resamples": RESAMPLES}
        arguments.json.write_text(json.dumps(settings | {"tables": tables}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
