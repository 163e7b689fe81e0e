"""Replayed examples: a little of what the model knew before, mixed in among what it is to learn.

A run's `ReplaySettings` and the general task enter; examples leave, in the form that training takes. Where they come
from is checked against everything that is evaluated (`evidence.leaked_into`).

About one example in a hundred of general data already holds back much of the forgetting (Scialom et al. 2022,
"Fine-tuned language models are continual learners", https://arxiv.org/abs/2205.12393); `docs/frontier.md` has what it
did here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contrapeso.data.choices import load_choices
from contrapeso.errors import DataError
from contrapeso.models.engine import Engine, Variant
from contrapeso.settings import ReplaySettings
from contrapeso.tasks.base import Generation, Item, Prompt
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.training.examples import Example, tokenize_examples

ANSWER_TOKENS = 64
"""Longest answer of the base to a prompt of `self`."""


def replay_pool(settings: ReplaySettings, general: MultipleChoice) -> tuple[Example, ...]:
    """All examples that may be replayed; with `self` prompts that the base has still to answer (`answered_by`).

    Args:
        settings: where they come from.
        general: the general task, whose dev questions are never evaluated.

    Raises:
        DataError: the file is missing or of another kind, or there is nothing to replay.
    """
    alone = settings.data == "self"
    source = settings.prompts if alone else settings.data
    if source == "general":
        pool = _solved([item for items in general.dev_shots.values() for item in items])
    elif Path(source).suffix == ".txt":
        pool = _passages(Path(source), as_prompts=alone)
    else:
        pool = _solved(load_choices(source))
    if not pool:
        raise DataError(f"training.replay names {source}, which holds nothing to replay: name a file with examples")
    return tuple(replace(example, completion="") for example in pool) if alone else tuple(pool)


def answered_by(engine: Engine, base: Variant, pool: Sequence[Example]) -> list[Example]:
    """The prompts of a pool with what the base itself says to them, greedily; those it says nothing to are left out.

    Args:
        engine: answers.
        base: the base model.
        pool: prompts.

    Raises:
        DataError: the base says nothing to any of them.
    """
    answers: dict[int, str] = {}
    for places, replies in engine.generate(
        base, [example.prompt for example in pool], max_new_tokens=ANSWER_TOKENS, stop=("\n\n",), skip=frozenset()
    ):
        answers |= {place: reply.text for place, reply in zip(places, replies, strict=True) if _says(reply)}
    if not answers:
        raise DataError("the base says nothing to any prompt of training.replay: choose other prompts")
    return [replace(pool[place], completion=answers[place]) for place in sorted(answers)]


def replay_count(among: int, share: float) -> int:
    """How many replayed examples make up `share` of all: round(among share / (1 - share)), at least one."""
    return max(1, round(among * share / (1 - share)))


def replay_rows(tokenizer: Any, examples: Sequence[Example], *, longest: int) -> list[dict[str, Any]]:
    """Token rows of replayed examples, marked as such and in no company; a passage that is too long is cut.

    Args:
        tokenizer: the base model's tokenizer.
        examples: what is replayed.
        longest: most tokens in a row.
    """
    return [
        {"input_ids": row["input_ids"][:longest], "labels": row["labels"][:longest], "replay": True}
        for row in tokenize_examples(tokenizer, examples)
    ]


def replayed(pool: Sequence[Example], *, among: int, share: float, seed: int) -> list[Example]:
    """Draw so many examples of a pool that they are `share` of all.

    Args:
        pool: what may be drawn; everything once before anything twice.
        among: how many other examples there are.
        share: replayed / all, in (0, 1).
        seed: of the draw.

    Returns:
        `replay_count` examples.
    """
    shuffle = random.Random(seed)
    wanted = replay_count(among, share)
    drawn: list[Example] = []
    while len(drawn) < wanted:
        drawn += shuffle.sample(pool, len(pool))
    return drawn[:wanted]


def _says(reply: Generation) -> bool:
    return bool(reply.text.strip())


def _solved(items: Sequence[Item]) -> list[Example]:
    """Multiple-choice questions with their letter, asked without shots."""
    task = MultipleChoice((), {}, shots=0)
    return [Example(item.id, task.prompt(item), f" {item.gold}") for item in items]


def _passages(file: Path, *, as_prompts: bool) -> list[Example]:
    """The passages of a text; as prompts, each is to be gone on with."""
    try:
        text = file.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file} of training.replay as UTF-8 text: {error}") from error
    passages = [passage.strip() for passage in text.replace("\r\n", "\n").split("\n\n") if passage.strip()]
    if not passages:
        raise DataError(f"{file} of training.replay holds no text")
    return [
        Example(f"{file.stem}/{place:06d}", Prompt("", passage if as_prompts else ""), "" if as_prompts else passage)
        for place, passage in enumerate(passages)
    ]
