"""Is it forgetting or format? The general questions asked three ways: by letter, by letter in another order, in words.

Measurements enter; the key `forgetting` leaves: for every variant what it lost each way on the very same questions,
and a word for it. A model that was tuned to write SQL may know as much as before and merely have lost the habit of
answering with a letter: "spurious forgetting" (Zheng et al. 2025, https://arxiv.org/abs/2501.13453). In words no letter
is needed.

**How the word is found**, decided here and nowhere else. A loss is certain when its verdict is `loss`: its interval
excludes 0 and its p-value, adjusted by Holm over the variants, is at most 0.05.

- Points lost in letters and in words do not compare where the base stands at different heights: from 98 % there is
  more to lose than from 60 %. So the *difference* is certain only when two intervals exclude 0: that of the paired
  difference in points, letters minus words, question by question; and that of the difference in shares, each loss
  divided by what the base knew above guessing.
- Where the base itself cannot be told from guessing in words, words cannot show a loss, and nothing is concluded.

    loss in letters   loss in words   letters lost more      word
    any               certain         certainly              both
    any               certain         not certainly          knowledge
    certain           not certain     certainly              letter habit
    certain           not certain     not certainly          not distinguishable at this n
    shown harmless, or a gain         not certain            no loss to explain
    otherwise                                                not distinguishable at this n

"Knowledge" does not say that the letter habit is whole, only that no more than the knowledge can be seen to be gone. An
axis `shuffled` has no say in the word: it tells whether the order of the options mattered, and stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contrapeso.report.measurement import Measurement, StudyFacts
from contrapeso.report.validity import Key, validity
from contrapeso.report.weighing import Measured
from contrapeso.stats.intervals import SIGNIFICANCE, wilson_interval
from contrapeso.stats.paired import Comparison, compare, holm, verdict
from contrapeso.stats.values import Estimate, estimate, ratio_values
from contrapeso.tasks.base import Outcome

Row = dict[str, Any]

LETTERS, SHUFFLED, WORDS = "letters", "shuffled", "words"
KINDS = {"shuffled": SHUFFLED, "full_text": WORDS}
UNCLEAR = "not distinguishable at this n"


@dataclass(frozen=True)
class Way:
    """The same questions asked one way, of the baseline and of a variant.

    Attributes:
        task: name of task or axis.
        before, after: outcomes of baseline and variant, question by question.
        comparison: of the two.
    """

    task: str
    before: Sequence[Outcome]
    after: Sequence[Outcome]
    comparison: Comparison


def told_apart(
    facts: StudyFacts, measured: Measured, axes: Measured, invalid: Mapping[Key, str], *, resamples: int
) -> dict[str, Any]:
    """The key `forgetting`, when the general questions were asked another way too.

    Args:
        facts: what the study is about.
        measured: (variant, task) -> its measurement, target and general.
        axes: (variant, axis) -> its measurement.
        invalid: numbers that the audit withholds, and why.
        resamples: number of bootstrap resamples.

    Returns:
        The key with one row a variant, or nothing.
    """
    tasks = {LETTERS: facts.general}
    for (_, name), measurement in axes.items():
        axis = measurement.axis
        if axis and axis.again == facts.general and axis.kind in KINDS:
            tasks.setdefault(KINDS[axis.kind], name)
    everything = {**measured, **axes}
    variants = [
        variant
        for variant in dict.fromkeys(variant for variant, _ in axes)
        if variant != facts.baseline and all((variant, task) in everything for task in tasks.values())
    ]
    if len(tasks) == 1 or not variants or not all((facts.baseline, task) in everything for task in tasks.values()):
        return {}
    ways = {variant: _ways(facts, everything, tasks, variant, resamples) for variant in variants}
    adjusted = {way: holm([ways[variant][way].comparison.p_verdict for variant in variants]) for way in tasks}
    rows = []
    for place, variant in enumerate(variants):
        p_values = {way: adjusted[way][place] for way in tasks}
        keys = [(who, task) for who in (facts.baseline, variant) for task in tasks.values()]
        valid = validity(invalid, keys)
        row = _row(facts, variant, ways[variant], p_values)
        rows.append(row | valid | ({} if valid["valid"] else {"word": f"not valid: {valid['invalid_reason']}"}))
    return {"forgetting": rows}


def _ways(
    facts: StudyFacts, everything: Measured, tasks: Mapping[str, str], variant: str, resamples: int
) -> dict[str, Way]:
    """Every way over the questions that were asked all ways."""

    def by_item(measurement: Measurement) -> dict[str, Outcome]:
        return {outcome.item: outcome for outcome in measurement.counted}

    sides = {
        way: (by_item(everything[facts.baseline, task]), by_item(everything[variant, task]))
        for way, task in tasks.items()
    }
    items = [item for item in sides[LETTERS][0] if all(item in side for both in sides.values() for side in both)]
    found = {}
    for place, (way, (base, tuned)) in enumerate(sides.items()):
        before, after = ([side[item] for item in items] for side in (base, tuned))
        comparison = compare(
            [outcome.correct for outcome in before],
            [outcome.correct for outcome in after],
            [outcome.group for outcome in before],
            scheme="stratified",
            seed=facts.seed + 1 + place,
            resamples=resamples,
        )
        found[way] = Way(tasks[way], before, after, comparison)
    return found


def _row(facts: StudyFacts, variant: str, ways: Mapping[str, Way], p_values: Mapping[str, float]) -> Row:
    row: Row = {"variant": variant, "n": ways[LETTERS].comparison.n}
    for way, asked in ways.items():
        comparison = asked.comparison
        row[way] = {
            "task": asked.task,
            "base": comparison.base,
            "loss": 0.0 - comparison.delta,
            "ci": [0.0 - comparison.ci[1], 0.0 - comparison.ci[0]],
            "p_holm": p_values[way],
            "verdict": verdict(comparison, p_values[way], margin=facts.margin),
        }
    if SHUFFLED in ways:
        row["order"] = _difference(ways[LETTERS], ways[SHUFFLED])
    if WORDS not in ways:
        return row | {"word": "not asked in words"}
    guessing, above = _above_guessing(ways[WORDS])
    row[WORDS] |= {"guessing": guessing, "above_guessing": above}
    difference = _difference(ways[LETTERS], ways[WORDS])
    shares = _shares(ways[LETTERS], ways[WORDS]) if above and _above_guessing(ways[LETTERS])[1] else None
    return row | {"difference": difference, "shares": shares, "word": word_for(row, difference, shares)}


def word_for(row: Mapping[str, Any], difference: Mapping[str, Any], shares: Mapping[str, Any] | None) -> str:
    """What the losses of a variant are called; the rule is in the module's docstring.

    Args:
        row: with `letters` and `words`, each with its `verdict`.
        difference: loss in letters minus loss in words, with its `ci`.
        shares: the same in shares of what the base knew, or None where it cannot be told from guessing.

    Returns:
        `knowledge`, `letter habit`, `both`, `no loss to explain` or `not distinguishable at this n`.
    """
    letters, words = row[LETTERS]["verdict"], row[WORDS]["verdict"]
    if shares is None:
        return UNCLEAR
    more = difference["ci"][0] > 0 and shares["ci"][0] > 0
    if words == "loss":
        return "both" if more else "knowledge"
    if letters == "loss":
        return "letter habit" if more else UNCLEAR
    if letters == "gain" or letters.startswith("no difference"):
        return "no loss to explain"
    return UNCLEAR


def _above_guessing(way: Way) -> tuple[float, bool]:
    """The accuracy of guessing, and whether the base certainly lies above it."""
    guessing = sum(_guess(outcome) for outcome in way.before) / len(way.before)
    right = sum(outcome.correct for outcome in way.before)
    return guessing, wilson_interval(right, len(way.before))[0] > guessing


def _guess(outcome: Outcome) -> float:
    return 1 / len(outcome.log_probabilities)


def _difference(letters: Way, other: Way) -> Row:
    """Loss in letters minus loss the other way, question by question, in fractions."""
    numbers = [one - two for one, two in zip(_lost(letters), _lost(other), strict=True)]
    found = estimate(numbers, _groups(letters))
    ci = found.ci
    if not found.standard_error:  # every question did the same; how many would not is bounded as in `stats.paired`
        reach = 2 * (1 - (SIGNIFICANCE / 2) ** (1 / len(numbers)))
        ci = found.value - reach, found.value + reach
    return {"value": found.value, "ci": list(ci)}


def _shares(letters: Way, words: Way) -> Row:
    """Of what the base knew above guessing, the share lost in letters, in words, and the difference."""

    def lost_of_known(way: Way) -> Any:
        known = [outcome.correct - _guess(outcome) for outcome in way.before]
        return ratio_values(_lost(way), known)

    one, other = lost_of_known(letters), lost_of_known(words)
    found: Estimate = estimate(one - other, _groups(letters))
    ends = {LETTERS: float(one.mean()), WORDS: float(other.mean())}
    return {**ends, "value": found.value, "ci": list(found.ci)}


def _lost(way: Way) -> list[float]:
    """1 for a question that only the baseline answered correctly, -1 for one that only the variant did, else 0."""
    return [float(old.correct - new.correct) for old, new in zip(way.before, way.after, strict=True)]


def _groups(way: Way) -> list[str]:
    return [outcome.group for outcome in way.before]
