"""Training examples: the evaluation's own prompts, answered with the gold SQL.

Train items and the task's prompt function enter; token rows with a mask leave. The prompt's ids come from the very
function the engines use (`models.prompts.encode`) and the answer is tokenized by itself and appended, exactly as
generation appends to a prompt: no merge can move the border, no second beginning-of-sequence token can slip in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contrapeso.errors import ModelError
from contrapeso.models.prompts import encode
from contrapeso.tasks.base import Item, Prompt
from contrapeso.tasks.text_to_sql import gold_answer

IGNORED = -100
"""Label of a token that takes no part in the loss; the convention of PyTorch's cross-entropy."""

Row = Mapping[str, Any]
"""A training example as tokens: `input_ids` and `labels`, equally long lists; `group`, a number that rows about one
database have in common (absent: the row is in no company)."""


@dataclass(frozen=True)
class Example:
    """One training example, before tokenization.

    Attributes:
        item: id of the train item.
        prompt: what evaluation would ask about it.
        completion: what follows the prompt, with its leading blank, without end-of-sequence.
    """

    item: str
    prompt: Prompt
    completion: str


def training_examples(items: Iterable[Item], ask: Callable[[Item], Prompt]) -> list[Example]:
    """Pair every item's prompt with its gold SQL.

    Args:
        items: train items.
        ask: the task's prompt function, e.g. `TextToSQL.prompt` of a task without shots.

    Returns:
        One example per item, in order; items left out are not learnt either. A completion begins with a blank, which
        tokenizers join to the word that follows.
    """
    return [Example(item.id, ask(item), " " + gold_answer(item)) for item in items if not item.left_out]


def tokenize_examples(tokenizer: Any, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Token rows for the trainer; TRL takes rows with `input_ids` and `labels` as they are.

    Args:
        tokenizer: the base model's tokenizer.
        examples: what to learn.

    Returns:
        One row per example, `input_ids` and `labels` of equal length: prompt, completion, end-of-sequence. The labels
        of the prompt are `IGNORED`. `group` numbers the different beginnings of prompts (a database's schema).

    Raises:
        ModelError: the tokenizer has no end-of-sequence token, or refuses a chat prompt.
    """
    if tokenizer.eos_token_id is None:
        raise ModelError("the tokenizer names no end-of-sequence token, so a model could not learn where to stop")
    rows = []
    groups: dict[tuple[Any, ...], int] = {}
    for example in examples:
        prompt = encode(tokenizer, example.prompt)
        completion = tokenizer(example.completion, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        group = groups.setdefault((example.prompt.turns, example.prompt.prefix), len(groups))
        labels = [IGNORED] * len(prompt) + completion
        rows.append({"input_ids": prompt + completion, "labels": labels, "group": group})
    return rows
