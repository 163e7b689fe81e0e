"""Text-to-SQL in the manner of Spider: write the query that answers a question about a database.

Questions enter; prompts that carry the schema and, from the generated text, outcomes leave. The same prompt goes to
every variant, base and tuned: a difference between two variants is then a difference between models.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contrapeso.errors import DataError
from contrapeso.sql import JUDGE_RULE, Sandbox, Verdict, judge_sql, read_schema, render_schema
from contrapeso.sql.tokens import Token, tokenize
from contrapeso.tasks.base import Generation, Item, Outcome, Prompt, Reply

if TYPE_CHECKING:
    from contrapeso.models.engine import Engine, Variant

EXTRACTION_RULE = 2
"""Raise it with every change of `extract_sql`: outcomes found by another rule are then measured anew."""

_PREFIX = "Write one SQLite query that answers the question. Reply with the query only.\n\n{schema}\n\nQuestion: "

# WITH is an English word too: it counts where it opens a common table expression.
_QUERY = re.compile(
    r'\bSELECT\b|\bWITH\s+(?:RECURSIVE\s+)?[\w"`\[\]]+\s*(?:\([^()]*\)\s*)?\bAS\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\(',
    re.IGNORECASE,
)
# Statements that change something stay whole, so that they are refused: a DELETE must not pass as the SELECT inside it.
_CHANGE = re.compile(
    r"\A\s*(?:sql(?:ite)?\s)?(?:[a-z ]{1,24}:)?\s*(?P<statement>"
    r"(?:ALTER|ATTACH|CREATE|DELETE|DETACH|DROP|INSERT|PRAGMA|REINDEX|REPLACE|UPDATE|VACUUM)\s)",
    re.IGNORECASE,
)
_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_NEXT_LABEL = re.compile(r"\n[ \t]*[A-Za-z][A-Za-z ]{0,24}:(?!:)")
_NOT_SQL = re.compile(r'near "|incomplete input|unrecognized token|embedded null', re.IGNORECASE)
_MOST_STARTS = 20
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_CLAUSES = ("select", "from", "where", "group", "having", "order", "limit", "union", "intersect", "except", "join")
_GOES_ON = frozenset((*_CLAUSES, "inner", "left", "(", ")", ","))


@dataclass(frozen=True)
class TextToSQL:
    """A text-to-SQL benchmark; meets the `Task` protocol.

    Attributes:
        items: the questions, each with its database.
        sandbox: where queries run when replies are scored.
        shots: solved questions shown before each question; from train, never from what is evaluated.
        schema_style: `ddl` (`CREATE TABLE` statements) or `compact` (one line a table).
        chat: whether the model's chat template is put around the text; shots are then earlier turns.
        max_new_tokens: longest answer, in tokens.
        name: key of the task in files.
        schemas: what prompts show of databases read so far.
    """

    items: tuple[Item, ...]
    sandbox: Sandbox
    _: KW_ONLY
    shots: tuple[Item, ...] = ()
    schema_style: Literal["ddl", "compact"] = "ddl"
    chat: bool = False
    max_new_tokens: int = 160
    name: str = "spider"
    schemas: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def kind(self) -> Literal["generation"]:
        """`generation`: the engine is asked for free text."""
        return "generation"

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends an answer: a semicolon (no gold query of Spider has one inside a literal), and for plain prompts,
        where a model goes on with a next question of its own, a blank line.
        """
        return (";",) if self.chat else (";", "\n\n")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything a score depends on apart from the model."""
        databases = dict.fromkeys(_database(item) for item in self.items)
        content = [
            [self.name, self.chat, self.stop, self.max_new_tokens, asdict(self.sandbox.limits)],
            [EXTRACTION_RULE, JUDGE_RULE],
            [hashlib.sha256(database.read_bytes()).hexdigest() for database in databases],
            [[item.id, item.group, item.gold] for item in self.items],
            [[prompt.turns, prompt.text] for prompt in map(self.prompt, self.items)],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def prompt(self, item: Item) -> Prompt:
        """Instruction, schema, question; the prefix is the same for all questions of a database."""
        if self.chat:
            turns = tuple((self._prefix(shot) + shot.question, gold_answer(shot)) for shot in self.shots)
            return Prompt(self._prefix(item), item.question, turns, chat=True)
        # The answer's blank (" SELECT") is left to the model: tokenizers join it to the word that follows.
        solved = "".join(f"{self._prefix(shot)}{shot.question}\nSQL: {gold_answer(shot)}\n\n" for shot in self.shots)
        return Prompt(solved + self._prefix(item), f"{item.question}\nSQL:")

    def ask(
        self, engine: Engine, variant: Variant, *, skip: frozenset[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Reply]]]:
        """Put all prompts to the engine; see `Task.ask`."""
        prompts = [self.prompt(item) for item in self.items]
        yield from engine.generate(variant, prompts, max_new_tokens=self.max_new_tokens, stop=self.stop, skip=skip)

    def score(self, items: Sequence[Item], replies: Sequence[Reply]) -> list[Outcome]:
        """Run gold and predicted queries and compare their results.

        Args:
            items: questions.
            replies: a `Generation` for each.

        Raises:
            DataError: a database is missing or broken.
        """
        answers = [extract_sql(_generation(reply).text) for reply in replies]
        triples = [(_database(item), item.gold, answer) for item, answer in zip(items, answers, strict=True)]
        verdicts = judge_sql(self.sandbox, triples)
        return [
            Outcome(
                item=item.id,
                group=item.group,
                gold=item.gold,
                answer=answer,
                correct=verdict.rules["unordered"],
                reason=verdict.reason,
                prompt_sha=reply.prompt_sha,
                prompt_tokens=reply.prompt_tokens,
                truncated=reply.truncated,
                stopped=ended(_generation(reply), answer),
                detail=verdict.detail,
                flags=verdict.flags,
                rules=verdict.rules,
                results=_results(verdict),
                left_out=item.left_out,
            )
            for item, reply, answer, verdict in zip(items, replies, answers, verdicts, strict=True)
        ]

    def schema(self, item: Item) -> str:
        """The schema of an item's database, as prompts show it."""
        database = _database(item)
        if database not in self.schemas:
            self.schemas[database] = render_schema(read_schema(database), self.schema_style)
        return self.schemas[database]

    def _prefix(self, item: Item) -> str:
        return _PREFIX.format(schema=self.schema(item))


def choose_shots(train_items: Iterable[Item], count: int, *, seed: int) -> tuple[Item, ...]:
    """Draw shots from the train split, each about another database.

    Items are put in the order of a hash of seed and id, and the first of each database counts: the draw is the same
    on every machine and Python, and more shots begin with the fewer.

    Args:
        train_items: the train split; items left out are never drawn.
        count: how many.
        seed: another seed, another draw.

    Raises:
        DataError: the split has fewer databases than `count`.
    """
    if count == 0:
        return ()
    candidates = [item for item in train_items if not item.left_out]
    first: dict[str, Item] = {}
    for item in sorted(candidates, key=lambda item: hashlib.sha256(f"{seed} {item.id}".encode()).digest()):
        first.setdefault(item.group, item)
    if len(first) < count:
        raise DataError(
            f"{count} shots about different databases were asked for, but the train split has {len(first)} databases; "
            "lower target.shots and target.baseline_shots, or raise target.train_limit"
        )
    return tuple(first.values())[:count]


def gold_answer(item: Item) -> str:
    """The gold SQL as shots show it and training teaches it: as the data set writes it, less a closing semicolon.

    Half of Spider's gold queries have one, and generation stops before it anyway.
    """
    return item.gold.rstrip("; \n").lstrip()


def extract_sql(text: str) -> str:
    """The SQL in a reply, by one rule for all variants ("" when there is none).

    1. Thoughts (`<think>...</think>`) are dropped. The text inside a code fence (closed or not) is looked at first,
       then the text around it.
    2. The query starts at a SELECT, or a WITH that opens a common table expression: the first one from which SQLite's
       parser accepts the statement, or else the very first. So a label or a sentence before it falls away, also one
       that says "select". A text that begins with a statement that changes something is kept whole.
    3. It ends before the first semicolon outside quotes and comments, before a line that begins with a label (`Q:`),
       or at a blank line after which no clause of a query follows. Inside, nothing is changed.
    """
    pieces = _THINKING.sub("", text).split("```")
    for piece in (*pieces[1::2], *pieces[::2]):
        change = _CHANGE.match(piece)
        if change and _is_sql(statement := _first_statement(piece[change.start("statement") :])):
            return statement
        starts = [match.start() for match in _QUERY.finditer(piece)][:_MOST_STARTS]
        if starts:
            statements = [_first_statement(piece[start:]) for start in starts]
            return next(filter(_is_sql, statements), statements[0])
    return ""


def _is_sql(statement: str) -> bool:
    """Whether SQLite can parse a statement.

    It is never run, and not even compiled: an authorizer that denies everything stops it right after the grammar, since
    compiling nested common table expressions takes time exponential in their depth.
    """
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
        try:
            empty.execute(f"EXPLAIN {statement}")
        except sqlite3.Error as error:
            return not _NOT_SQL.search(str(error))
        except (ValueError, UnicodeError):  # a NUL byte, half a surrogate pair
            return False
    return True


def _first_statement(sql: str) -> str:
    tokens = tokenize(_NEXT_LABEL.split(sql, maxsplit=1)[0])
    kept: list[str] = []
    for place, token in enumerate(tokens):
        if token.text == ";" or (_BLANK_LINE.search(token.text) and token.text.isspace() and _is_over(tokens[place:])):
            break
        kept.append(token.text)
    return "".join(kept).strip()


def _is_over(rest: Sequence[Token]) -> bool:
    following = next((token.text.casefold() for token in rest if token.kind != "space"), "")
    return following not in _GOES_ON


def _results(verdict: Verdict) -> dict[str, dict[str, Any]]:
    """The corners of both results, ready for JSON; a query that failed has none."""
    corners = {"gold": verdict.gold, "predicted": verdict.predicted}
    return {name: corner.to_json() for name, corner in corners.items() if corner}


def ended(reply: Generation, answer: str) -> bool:
    """Whether the query ended by itself: generation stopped, or went on to something that is not the query."""
    return reply.stopped or not reply.text.rstrip().endswith(answer)


def _database(item: Item) -> Path:
    if item.database is None:
        raise DataError(f"item {item.id} names no database; text-to-SQL needs one")
    return item.database


def _generation(reply: Reply) -> Generation:
    if not isinstance(reply, Generation):
        raise TypeError(f"text-to-SQL is scored by generated text, not by {type(reply).__name__}")
    return reply
