"""The three types every part of contrapeso speaks: `Item` (a question), `Outcome` (a result), `Task` (how to get one).

An item enters, a prompt goes to an engine, a reply comes back, an outcome leaves. Outcomes are plain JSON lines; they
are the only thing that passes between GPU work and statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from contrapeso.models.engine import Engine, Variant


Kind = Literal["generation", "options", "texts", "model"]


@dataclass(frozen=True)
class Item:
    """One question of a task, with its gold answer and its group.

    Attributes:
        id: unique within the task and stable across machines, e.g. `dev/0012` or `astronomy/0003`.
        group: what outcomes cluster by: `db_id` for text-to-SQL, subject for multiple choice.
        question: the question as the data set gives it.
        gold: the gold SQL, or the letter of the right option (`A`, `B`, ...).
        choices: the options in order; empty for text-to-SQL.
        database: the SQLite file the question is about; None for multiple choice.
        left_out: why the item is measured apart from the headline ("" when it counts).
    """

    id: str
    group: str
    question: str
    gold: str
    choices: tuple[str, ...] = ()
    database: Path | None = None
    left_out: str = ""


def option_letters(count: int) -> tuple[str, ...]:
    """The letters of so many options, `("A", "B", ...)`; at most 26."""
    return tuple(chr(ord("A") + place) for place in range(count))


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: chat messages, or plain text when `chat` is False.

    Attributes:
        prefix: the part several items share word for word (instructions, schema, shots). Engines compute it once.
        body: the rest. The text is `prefix + body`.
        turns: earlier (user, assistant) exchanges, for few-shot prompts of chat models. Shots of plain prompts live
            in `prefix`.
        chat: whether the tokenizer's chat template is put around the text.
    """

    prefix: str
    body: str
    turns: tuple[tuple[str, str], ...] = ()
    chat: bool = False

    @property
    def text(self) -> str:
        """The user's text, before any chat template."""
        return self.prefix + self.body


@dataclass(frozen=True)
class Generation:
    """A reply in free text: greedy, cut at the end of the statement.

    Attributes:
        text: the generated text without the stop marker.
        stopped: True when generation ended by itself (end-of-sequence or stop string) and not at the token limit.
        tokens: how many tokens were generated.
        prompt_tokens: length of the prompt in tokens.
        prompt_sha: first 16 hex digits of the SHA-256 of the prompt's token ids; equal prompts have equal hashes.
        truncated: True when the prompt did not fit the model and was cut.
    """

    text: str
    stopped: bool
    tokens: int
    prompt_tokens: int
    prompt_sha: str
    truncated: bool = False


@dataclass(frozen=True)
class OptionScores:
    """A reply to a multiple-choice question: the next-token log-probability of each option letter.

    Attributes:
        log_probabilities: one natural logarithm per option, over the whole vocabulary.
        greedy_is_option: True when the single most likely next token is one of the letters, i.e. free generation
            would have given a letter at all.
        prompt_tokens, prompt_sha, truncated: as in `Generation`.
    """

    log_probabilities: tuple[float, ...]
    greedy_is_option: bool
    prompt_tokens: int
    prompt_sha: str
    truncated: bool = False


@dataclass(frozen=True)
class TextScores:
    """A reply to the question how likely some texts are after a prompt.

    Attributes:
        log_likelihoods: one natural logarithm per text, summed over its tokens.
        tokens: how many tokens each text has.
        prompt_tokens, prompt_sha, truncated: as in `Generation`.
    """

    log_likelihoods: tuple[float, ...]
    tokens: tuple[int, ...]
    prompt_tokens: int
    prompt_sha: str
    truncated: bool = False


@dataclass(frozen=True)
class Judged:
    """A reply that was judged where it was given, by another harness.

    Attributes:
        correct: whether it is right.
        answer: what was answered, in words.
        metric: the measure that says so.
        prompt_tokens, prompt_sha, truncated: as in `Generation`.
    """

    correct: bool
    answer: str
    metric: str
    prompt_tokens: int
    prompt_sha: str
    truncated: bool = False


Reply = Generation | OptionScores | TextScores | Judged


@dataclass(frozen=True)
class Outcome:
    """One variant's result on one item; one JSON line.

    Attributes:
        item, group, gold: copied from the item.
        answer: the predicted SQL or the chosen letter ("" when there is none).
        correct: the headline verdict (rule `unordered` for SQL, letter equality for multiple choice).
        reason: `ok` when correct, otherwise one word on why not (`wrong_result`, `timeout`, `unknown_table`, ...).
        prompt_sha, prompt_tokens, truncated: what was asked.
        stopped: the query ended by itself, before the token limit; for multiple choice, free generation would have
            given a letter.
        detail: more on the reason, in a sentence.
        flags: for SQL, what to know about the item: `gold_empty`, `gold_ties`, `gold_fails`.
        rules: for SQL, the verdict of every rule: {"unordered", "spider", "strict"}.
        results: for SQL, the first rows that the `gold` and the `predicted` query gave, as `Preview.to_json` writes
            them; a query that failed has none.
        log_probabilities: for multiple choice, one per option.
        value: for texts, nats: minus the log-likelihood of the text; `weight` the tokens it is the sum over.
        left_out: why the item is reported apart ("" when it counts).
    """

    item: str
    group: str
    gold: str
    answer: str
    correct: bool
    reason: str
    prompt_sha: str
    prompt_tokens: int
    truncated: bool
    stopped: bool
    detail: str = ""
    flags: tuple[str, ...] = ()
    rules: Mapping[str, bool] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    log_probabilities: tuple[float, ...] = ()
    value: float | None = None
    weight: int = 0
    left_out: str = ""

    def apart(self, reason: str) -> Outcome:
        """The same outcome, reported apart for a reason ("" when it counts): the task's word, not the journal's."""
        return self if self.left_out == reason else replace(self, left_out=reason)

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON-ready values; `Outcome.from_json` inverts it."""
        row: dict[str, Any] = {name: getattr(self, name) for name in _SCALARS}
        optional = {
            "detail": self.detail,
            "flags": list(self.flags),
            "rules": dict(self.rules),
            "results": dict(self.results),
            "log_probabilities": list(self.log_probabilities),
            "weight": self.weight,
            "left_out": self.left_out,
        }
        known = {} if self.value is None else {"value": self.value}
        return row | known | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Outcome:
        """Rebuild an outcome from one parsed JSON line.

        Raises:
            KeyError: a required key is missing.
            TypeError: a value is not of its kind.
        """
        if not all(isinstance(row[name], bool) for name in ("correct", "truncated", "stopped")):
            raise TypeError("correct, truncated and stopped are true or false")
        return cls(
            **{name: row[name] for name in _SCALARS},
            detail=row.get("detail", ""),
            flags=tuple(row.get("flags", ())),
            rules=dict(row.get("rules", {})),
            results=dict(row.get("results", {})),
            log_probabilities=tuple(row.get("log_probabilities", ())),
            value=row.get("value"),
            weight=row.get("weight", 0),
            left_out=row.get("left_out", ""),
        )


_SCALARS = (
    "item",
    "group",
    "gold",
    "answer",
    "correct",
    "reason",
    "prompt_sha",
    "prompt_tokens",
    "truncated",
    "stopped",
)


class Task(Protocol):
    """How one benchmark is asked and scored. A new task is one file in `tasks/` and one line in `tasks/__init__.py`.

    `kind` says what the engine is asked for: "generation" (free text, greedy), "options" (letters by log-probability),
    "texts" (log-likelihoods of whole texts), or "model" (its very model, for another harness).
    """

    @property
    def name(self) -> str:
        """Key of the task in files and summaries: `spider`, `mmlu`."""

    @property
    def kind(self) -> Kind:
        """`generation`, `options`, `texts` or `model`."""

    @property
    def items(self) -> Sequence[Item]:
        """All items, in data-set order."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything a score depends on apart from the model: items, databases, shots, prompt text, limits."""

    def prompt(self, item: Item) -> Prompt:
        """What the model is asked; identical for every variant."""

    def ask(
        self, engine: Engine, variant: Variant, *, skip: frozenset[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Reply]]]:
        """Put all prompts to the engine; yields indices into `items` with their replies, batch by batch."""

    def score(self, items: Sequence[Item], replies: Sequence[Reply]) -> list[Outcome]:
        """Judge replies, in the order of the items."""
