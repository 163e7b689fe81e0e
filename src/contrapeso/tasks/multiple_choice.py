"""Multiple choice in the manner of MMLU: which option letter does the model find most likely?

Questions and shots enter; prompts and, from the letters' log-probabilities, outcomes leave.

No text is parsed. Reading a letter out of generated text measures obedience to a format as much as knowledge: a model
that answers "The answer is B" or starts an explanation is wrong or right by the parser's grace, and fine-tuning on
another task changes the format first. The study this project grew from read the last of five generated tokens and
got 0 % where guessing gives 25 %. The letter with the highest next-token log-probability always exists, costs one
forward pass, and is what published MMLU numbers use. How often free generation would have given a letter at all is
kept beside it, as the outcome's `stopped`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from contrapeso.errors import DataError, ModelError
from contrapeso.tasks.base import Item, OptionScores, Outcome, Prompt, Reply, option_letters

if TYPE_CHECKING:
    from contrapeso.models.engine import Engine, Variant

LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class MultipleChoice:
    """A multiple-choice benchmark; meets the `Task` protocol.

    Attributes:
        items: the questions, each with as many options as there are letters.
        dev_shots: solved questions of each subject, in the order they are shown.
        shots: how many of them a prompt shows.
        name: key of the task in files.
        letters: what the options are called.

    Raises:
        DataError: a subject has fewer solved questions than `shots`, or an item another number of options.
    """

    items: tuple[Item, ...]
    dev_shots: Mapping[str, Sequence[Item]]
    shots: int = 5
    name: str = "mmlu"
    letters: tuple[str, ...] = LETTERS

    def __post_init__(self) -> None:
        for subject in dict.fromkeys(item.group for item in self.items):
            available = len(self.dev_shots.get(subject, ()))
            if available < self.shots:
                raise DataError(
                    f"subject {subject!r} has {available} dev questions, fewer than the {self.shots} shots asked for; "
                    "lower general.shots"
                )
        for item in self.items:
            if len(item.choices) != len(self.letters):
                raise DataError(f"item {item.id} has {len(item.choices)} options; {len(self.letters)} are expected")

    @property
    def kind(self) -> Literal["options"]:
        """`options`: the engine is asked for letters by log-probability."""
        return "options"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything a score depends on apart from the model."""
        content = [
            [self.name, self.shots, self.letters],
            [[item.id, item.group, item.gold, self.prompt(item).text] for item in self.items],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def prompt(self, item: Item) -> Prompt:
        """The customary text: instruction and shots, equal for all questions of a subject, then the question.

        Plain text for every model, chat models too: the published numbers were measured so. After `Answer:` the
        letter comes with its blank (" A"), as one token; a prompt that ended in a blank would split that token.
        """
        shots = self.dev_shots.get(item.group, ())[: self.shots]
        solved = "".join(f"{_question(shot)} {shot.gold}\n\n" for shot in shots)
        return Prompt(prefix=_instruction(item.group) + solved, body=_question(item))

    def ask(
        self, engine: Engine, variant: Variant, *, skip: frozenset[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Reply]]]:
        """Put all prompts to the engine; see `Task.ask`."""
        prompts = [self.prompt(item) for item in self.items]
        yield from engine.score_options(variant, prompts, letters=self.letters, skip=skip)

    def score(self, items: Sequence[Item], replies: Sequence[Reply]) -> list[Outcome]:
        """Take the most likely letter; of equally likely ones the first.

        Args:
            items: questions.
            replies: an `OptionScores` for each, with natural logarithms.

        Raises:
            ModelError: a log-probability is not a number, or all of them are minus infinity.
        """
        return [_outcome(item, reply) for item, reply in zip(items, replies, strict=True)]


def _instruction(subject: str) -> str:
    return f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"


def _question(item: Item) -> str:
    letters = option_letters(len(item.choices))
    options = "".join(f"{letter}. {choice}\n" for letter, choice in zip(letters, item.choices, strict=True))
    return f"{item.question.strip()}\n{options}Answer:"


def _outcome(item: Item, reply: Reply) -> Outcome:
    if not isinstance(reply, OptionScores):
        raise TypeError(f"multiple choice is scored by option log-probabilities, not by {type(reply).__name__}")
    values = reply.log_probabilities
    if any(math.isnan(value) for value in values) or max(values) == -math.inf:
        raise ModelError(
            f"item {item.id}: the model's log-probabilities are {values}; the weights or the arithmetic overflow, "
            'try model.dtype = "float32" or "bfloat16"'
        )
    answer = option_letters(len(values))[values.index(max(values))]
    correct = answer == item.gold
    return Outcome(
        item=item.id,
        group=item.group,
        gold=item.gold,
        answer=answer,
        correct=correct,
        reason="ok" if correct else "wrong_option",
        prompt_sha=reply.prompt_sha,
        prompt_tokens=reply.prompt_tokens,
        truncated=reply.truncated,
        stopped=reply.greedy_is_option,
        log_probabilities=tuple(round(value, 6) for value in values),  # as in the journal, so that both compare equal
        left_out=item.left_out,
    )
