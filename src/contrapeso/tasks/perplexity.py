"""How well a model foretells a text it never saw: the oldest measure of what it knows of a language.

A text file enters; passages as items and, from their log-likelihoods, outcomes leave. An outcome here is no right or
wrong but a number: nats, and the tokens they are the sum over. The perplexity of a text is
exp(sum of nats / sum of tokens); a difference of two variants is one of nats a token, paired passage by passage.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from contrapeso.errors import DataError, ModelError
from contrapeso.tasks.base import Item, Outcome, Prompt, Reply, TextScores

if TYPE_CHECKING:
    from contrapeso.models.engine import Engine, Variant

LONGEST_CHARACTERS = 2_000
"""A longer passage is cut into several, at a line's or a word's end where there is one."""


def load_passages(file: str | Path) -> tuple[Item, ...]:
    """The passages of a text, divided by blank lines.

    Args:
        file: UTF-8 text.

    Returns:
        Items in the order of the text, ids `<stem>/0000`; all in one group.

    Raises:
        DataError: the file cannot be read as text, or holds none.
    """
    path = Path(file).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} as UTF-8 text: {error}") from error
    passages = [part for passage in text.split("\n\n") if passage.strip() for part in _cut(passage.strip())]
    if not passages:
        raise DataError(f"{path} holds no text")
    return tuple(Item(f"{path.stem}/{place:04d}", path.stem, part, "") for place, part in enumerate(passages))


@dataclass(frozen=True)
class Perplexity:
    """A held-out text; meets the `Task` protocol.

    Attributes:
        items: its passages.
        name: key of the task in files.
    """

    items: tuple[Item, ...]
    name: str

    @property
    def kind(self) -> Literal["texts"]:
        """`texts`: the engine is asked for log-likelihoods."""
        return "texts"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything a score depends on apart from the model."""
        content = [[item.id, item.question] for item in self.items]
        return hashlib.sha256(json.dumps(["perplexity", self.name, content]).encode()).hexdigest()

    def prompt(self, item: Item) -> Prompt:
        """Nothing but what the tokenizer begins every text with: a passage stands by itself."""
        return Prompt(prefix="", body="")

    def ask(
        self, engine: Engine, variant: Variant, *, skip: frozenset[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Reply]]]:
        """Put all passages to the engine; see `Task.ask`."""
        prompts = [self.prompt(item) for item in self.items]
        yield from engine.score_texts(variant, prompts, texts=[[item.question] for item in self.items], skip=skip)

    def score(self, items: Sequence[Item], replies: Sequence[Reply]) -> list[Outcome]:
        """Nats and tokens of every passage; nothing is right or wrong.

        Args:
            items: passages.
            replies: a `TextScores` for each.

        Raises:
            ModelError: a log-likelihood is no number.
        """
        return [_outcome(item, reply) for item, reply in zip(items, replies, strict=True)]


def _cut(passage: str) -> list[str]:
    parts = []
    while len(passage) > LONGEST_CHARACTERS:
        end = max(passage.rfind(mark, 1, LONGEST_CHARACTERS) for mark in "\n ")
        end = end if end > 0 else LONGEST_CHARACTERS
        parts.append(passage[:end].strip())
        passage = passage[end:].strip()
    return [part for part in (*parts, passage) if part]


def _outcome(item: Item, reply: Reply) -> Outcome:
    if not isinstance(reply, TextScores):
        raise TypeError(f"a text is scored by its log-likelihood, not by {type(reply).__name__}")
    (found,), (tokens,) = reply.log_likelihoods, reply.tokens
    if not math.isfinite(found):
        raise ModelError(
            f"passage {item.id}: its log-likelihood is {found}; the weights or the arithmetic overflow, try "
            'model.dtype = "float32" or "bfloat16"'
        )
    return Outcome(
        item=item.id,
        group=item.group,
        gold="",
        answer="",
        correct=False,
        reason="text",
        prompt_sha=reply.prompt_sha,
        prompt_tokens=reply.prompt_tokens,
        truncated=reply.truncated,
        stopped=True,
        value=round(-found, 6),
        weight=tokens,
        left_out=item.left_out,
    )
