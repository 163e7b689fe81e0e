"""Multiple choice without letters: which option's own words does the model find most likely after the question?

Questions and solved ones enter; prompts and, from the log-likelihoods of the options, outcomes leave.

Asked for a letter, a model must know the answer *and* the habit of answering with a letter. Fine-tuning on another task
can cost the habit alone. Here no letter is involved: the options are not shown, each is scored as the continuation of
the question, divided by its length so that short options are not preferred (Zellers et al. 2019, "HellaSwag",
https://arxiv.org/abs/1905.07830; Gao et al. 2021 call it `acc_norm`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from contrapeso.errors import DataError, ModelError
from contrapeso.tasks.base import Item, Outcome, Prompt, Reply, TextScores, option_letters

if TYPE_CHECKING:
    from contrapeso.models.engine import Engine, Variant

QUESTION = "Question: {question}\nAnswer:"


@dataclass(frozen=True)
class FullText:
    """A multiple-choice set answered in words; meets the `Task` protocol.

    Attributes:
        items: the questions, each with two options or more.
        name: key of the task in files.
        template: what is asked, with `{question}` in it; for sets whose options go on with a text, `{question}` alone.
        dev_shots: solved questions of each group, in the order they are shown; those of "" for any other group.
        shots: how many of them a prompt shows.

    Raises:
        DataError: the template has no `{question}`.
    """

    items: tuple[Item, ...]
    name: str
    template: str = QUESTION
    dev_shots: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    shots: int = 0

    def __post_init__(self) -> None:
        if "{question}" not in self.template:
            raise DataError(f"the template {self.template!r} of {self.name} has no {{question}} in it")

    @property
    def kind(self) -> Literal["texts"]:
        """`texts`: the engine is asked for log-likelihoods."""
        return "texts"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything a score depends on apart from the model."""
        content = [[i.id, i.group, i.gold, *i.choices, self.prompt(i).text] for i in self.items]
        return hashlib.sha256(json.dumps([self.name, content]).encode()).hexdigest()

    def prompt(self, item: Item) -> Prompt:
        """Solved questions, then the question; plain text for every model."""
        shots = self.dev_shots.get(item.group, self.dev_shots.get("", ()))[: self.shots]
        solved = "".join(f"{self._asked(shot)} {_right(shot)}\n\n" for shot in shots)
        return Prompt(prefix=solved, body=self._asked(item))

    def ask(
        self, engine: Engine, variant: Variant, *, skip: frozenset[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Reply]]]:
        """Put all prompts with their options to the engine; see `Task.ask`."""
        prompts = [self.prompt(item) for item in self.items]
        texts = [[f" {choice}" for choice in item.choices] for item in self.items]
        yield from engine.score_texts(variant, prompts, texts=texts, skip=skip)

    def score(self, items: Sequence[Item], replies: Sequence[Reply]) -> list[Outcome]:
        """Take the option with the highest log-likelihood a character; of equally likely ones the first.

        Args:
            items: questions.
            replies: a `TextScores` for each.

        Raises:
            ModelError: a log-likelihood is no number.
        """
        return [_outcome(item, reply) for item, reply in zip(items, replies, strict=True)]

    def _asked(self, item: Item) -> str:
        # Not str.format: a question may hold braces of its own.
        return self.template.replace("{question}", item.question.strip())


def _right(item: Item) -> str:
    return item.choices[option_letters(len(item.choices)).index(item.gold)]


def _outcome(item: Item, reply: Reply) -> Outcome:
    if not isinstance(reply, TextScores):
        raise TypeError(f"full-text options are scored by log-likelihoods, not by {type(reply).__name__}")
    if not all(map(math.isfinite, reply.log_likelihoods)):
        raise ModelError(
            f"item {item.id}: the log-likelihoods of its options are {reply.log_likelihoods}; the weights or the "
            'arithmetic overflow, try model.dtype = "float32" or "bfloat16"'
        )
    values = [found / len(choice) for found, choice in zip(reply.log_likelihoods, item.choices, strict=True)]
    answer = option_letters(len(values))[values.index(max(values))]
    return Outcome(
        item=item.id,
        group=item.group,
        gold=item.gold,
        answer=answer,
        correct=answer == item.gold,
        reason="ok" if answer == item.gold else "wrong_option",
        prompt_sha=reply.prompt_sha,
        prompt_tokens=reply.prompt_tokens,
        truncated=reply.truncated,
        stopped=True,
        log_probabilities=tuple(round(value, 6) for value in values),
        left_out=item.left_out,
    )
