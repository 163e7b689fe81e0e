"""What the audit looks at: the measurements, and what only data and prompts can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contrapeso.report.measurement import Measurement, StudyFacts

Affected = tuple[tuple[str, str], ...]
RUN = 4
"""Words by which a question is looked up in a text."""


@dataclass(frozen=True)
class Evidence:
    """What the audit looks at. None means that the caller could not tell, and is reported as such.

    Attributes:
        facts: what the study is about.
        measurements: one per variant and task.
        gold_verdicts: item id of the target -> whether its gold answer is judged correct against itself.
        schema_shown: sampled item id of the target -> whether its prompt contains the database's schema.
        evaluated: how many items are evaluated, all tasks together.
        leaked: ids of evaluated items that were shots or training examples too (`leaked_between`).
        trained_on: name of an adapter trained elsewhere -> the base model it names.
    """

    facts: StudyFacts
    measurements: Sequence[Measurement]
    gold_verdicts: Mapping[str, bool] | None = None
    schema_shown: Mapping[str, bool] | None = None
    evaluated: int = 0
    leaked: Sequence[str] | None = None
    trained_on: Mapping[str, str] = field(default_factory=dict)

    def of_task(self, task: str) -> Affected:
        """(variant, task) of every measurement of a task."""
        return tuple((m.variant, m.task) for m in self.measurements if m.task == task)

    def against_baseline(self) -> Iterator[tuple[Measurement, Measurement]]:
        """(baseline, variant) for every measurement that has a baseline on its task."""
        baselines = {m.task: m for m in self.measurements if m.variant == self.facts.baseline}
        for measurement in self.measurements:
            if measurement.variant != self.facts.baseline and measurement.task in baselines:
                yield baselines[measurement.task], measurement


def leaked_between(evaluated: Mapping[str, str], seen: Mapping[str, str]) -> list[str]:
    """Ids of evaluated items that were seen before, by id or by text (case, spacing and closing marks aside).

    Args:
        evaluated: item id -> its text, question and database or options, of every evaluated item.
        seen: id of a shot or training example -> its text, put together like those of `evaluated`.
    """
    texts = {_normalised(text) for text in seen.values()}
    return [item for item, text in evaluated.items() if item in seen or _normalised(text) in texts]


def leaked_into(evaluated: Mapping[str, Sequence[str]], texts: Sequence[str]) -> list[str]:
    """Ids of evaluated items that stand, question and every option, word for word in one of the texts.

    Letter case, spacing and punctuation aside.

    Args:
        evaluated: item id -> its question and, for multiple choice, its options.
        texts: whatever was trained on.
    """
    words = [_words(text) for text in texts]
    places: dict[tuple[str, ...], set[int]] = {}  # where each run of words begins a question, so that few are searched
    for number, text in enumerate(words):
        for start in range(len(text)):
            places.setdefault(tuple(text[start : start + RUN]), set()).add(number)
    joined = [f" {' '.join(text)} " for text in words]
    leaked = []
    for item, parts in evaluated.items():
        wanted = [words_of for part in parts if (words_of := _words(part))]  # an option may be nothing but a sign
        begins = tuple(wanted[0][:RUN]) if wanted else ()
        # A question of fewer words begins like longer runs.
        candidates = places.get(begins, set()) if len(begins) == RUN else range(len(texts))
        if wanted and any(all(f" {' '.join(part)} " in joined[number] for part in wanted) for number in candidates):
            leaked.append(item)
    return leaked


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _normalised(text: str) -> str:
    """Letter case, white space and closing punctuation of a line do not make a question another one."""
    text = "\n".join(line.rstrip(" .?!") for line in text.splitlines())
    return " ".join(text.casefold().split())
