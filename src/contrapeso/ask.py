"""A question about a database, answered by a model: question + SQLite file -> SQL -> rows.

A model with its variants (`ask_source`) and a question about a database enter; an `Answer` leaves: the query a variant
wrote, what it gave, how long both took. The prompt is the study's own, so a variant is asked here what it was measured
on. The database is never trusted and never written to: its schema is read in a child process, queries run in the
sandbox. A query that fails is an answer with a reason, never an exception.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contrapeso.ask_database import Database
from contrapeso.errors import DataError
from contrapeso.models.engine import Variant
from contrapeso.models.loading import POCKET
from contrapeso.names import model_name
from contrapeso.sql import Limits, Result, Sandbox, render_schema
from contrapeso.tasks.base import Generation, Item, Prompt
from contrapeso.tasks.text_to_sql import TextToSQL, ended, extract_sql

if TYPE_CHECKING:
    from contrapeso.ask_source import Source
    from contrapeso.models.local import LocalEngine

WAITING_LIMITS = Limits(cpu_seconds=10.0, seconds=30.0)
"""What a query may use while somebody waits for it; a study allows more."""


@dataclass(frozen=True)
class Answer:
    """What one variant made of a question.

    Attributes:
        question: as asked.
        variant: display name.
        sql: the query the variant wrote ("" when its reply holds none).
        result: what the query gave, or why it failed.
        stopped: the query ended by itself, before the token limit.
        seconds_writing: until the query was written.
        seconds_running: until its rows were there.
    """

    question: str
    variant: str
    sql: str
    result: Result
    stopped: bool
    seconds_writing: float
    seconds_running: float

    def to_json(self) -> dict[str, Any]:
        """The answer as JSON-ready values; what JSON has no word for (blobs, infinities) becomes text."""
        return {
            "question": self.question,
            "variant": self.variant,
            "sql": self.sql,
            "reason": self.result.reason,
            "detail": self.result.detail,
            "columns": list(self.result.names),
            "rows": [[_json_value(value) for value in row] for row in self.result.rows],
            "row_count": len(self.result.rows),
            "stopped": self.stopped,
            "seconds": {"writing": round(self.seconds_writing, 3), "running": round(self.seconds_running, 3)},
        }

    def to_csv(self) -> str:
        """The rows as CSV with a line of column names; NULL is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.result.names)
        writer.writerows([["" if value is None else cell_text(value) for value in row] for row in self.result.rows])
        return text.getvalue()


def cell_text(value: Any) -> str:
    """A value of a row as text: NULL as `NULL`, a blob as SQL writes it."""
    if value is None:
        return "NULL"
    return f"X'{value.hex()}'" if isinstance(value, bytes) else str(value)


class Asker:
    """Answers questions with the variants of one model, which is loaded at the first question.

    One thread at a time may ask.

    Args:
        source: which model, which variants, which prompt.
        sandbox: where queries run.
        say: told, once, what the model is when it is one that should not be taken seriously.
    """

    def __init__(self, source: Source, sandbox: Sandbox, *, say: Callable[[str], None]) -> None:
        self.source = source
        self._sandbox = sandbox
        self._say = say
        self._engine: LocalEngine | None = None
        self._task: TextToSQL | None = None
        self._known: set[str] = set()

    def answer(
        self,
        question: str,
        database: Database,
        *,
        variant: Variant | None = None,
        run: bool = True,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Ask one question.

        Args:
            question: in any language the model knows.
            database: what it is about.
            variant: who answers; the source's chosen one by default.
            run: whether the query is run; without, the result has the reason `not_run`.
            cancelled: looked at before every token; when it turns true, the answer is given up.

        Raises:
            DataError: the question is empty, or too long together with the schema; the database cannot be read.
            ModelError: model or adapter cannot be loaded.
            ResourceError: they do not fit in memory.
            InterruptedError: `cancelled` turned true.
        """
        variant = variant or self.source.chosen
        question = _checked(question)
        engine, task = self.load()
        task.schemas[database.path] = render_schema(database.schema, task.schema_style)
        prompt = task.prompt(Item("asked", database.name, question, gold="", database=database.path))
        self._require_room(prompt, database)
        started = time.perf_counter()
        with self._sound(variant), _giving_up(engine.model, cancelled):
            reply = _only_reply(engine, variant, prompt, task)
        written = time.perf_counter()
        sql = extract_sql(reply.text)
        result = self._sandbox.run([(database.path, sql)])[0] if run else Result(0, (), "not_run")
        return Answer(
            question,
            variant.name,
            sql,
            result,
            ended(reply, sql),
            written - started,
            time.perf_counter() - written,
        )

    def load(self) -> tuple[LocalEngine, TextToSQL]:
        """The engine and the prompt's maker; loaded at the first call, which need not be a question's.

        Raises:
            ModelError, ResourceError: the model cannot be loaded.
        """
        if self._engine is None or self._task is None:
            from contrapeso.gathering import use_chat
            from contrapeso.models.loading import load_model
            from contrapeso.models.local import LocalEngine

            model, target = self.source.model, self.source.target
            base = load_model(
                model.id,
                revision=model.revision,
                dtype=model.dtype,
                quantization=model.quantization,
                device=model.device,
            )
            if model.id == POCKET and not self._known:
                self._say(f"{POCKET} is {_toy(base.model.num_parameters())}")
            # Recorded steps pay for themselves over hundreds of prompts, and could not be stopped before their end.
            self._engine = LocalEngine(base.model, base.tokenizer, in_slots=False, say=self._say)
            self._task = TextToSQL(
                (),
                self._sandbox,
                shots=self.source.shots,
                schema_style=target.schema_style,
                chat=use_chat(model, base.tokenizer),
                max_new_tokens=target.max_new_tokens,
            )
        return self._engine, self._task

    def _require_room(self, prompt: Prompt, database: Database) -> None:
        """Refuse a prompt that would be cut: the model would be asked about a part of the schema."""
        from contrapeso.models.encoding import encode_prompts

        engine, task = self.load()
        limit = getattr(engine.model.config.get_text_config(), "max_position_embeddings", None)
        (encoded,) = encode_prompts(engine.tokenizer, [prompt], limit=limit, room=task.max_new_tokens)
        if encoded.truncated:
            raise DataError(
                f"the question and the schema of {database.name} ({len(database.schema.tables)} tables) take "
                f"{encoded.length:,} tokens; {model_name(self.source.model.id)} holds {limit:,}, {task.max_new_tokens} "
                "of them for the answer: ask a shorter question, take a smaller database or a model with more context"
            )

    @contextmanager
    def _sound(self, variant: Variant) -> Iterator[None]:
        """Forget a model on which an adapter may lie half: interrupted before the variant ever answered."""
        try:
            yield
        except BaseException:
            if variant.name not in self._known:
                self._engine = None
            raise
        self._known.add(variant.name)


def _only_reply(engine: LocalEngine, variant: Variant, prompt: Prompt, task: TextToSQL) -> Generation:
    answers = engine.generate(variant, [prompt], max_new_tokens=task.max_new_tokens, stop=task.stop, skip=frozenset())
    ((_, (reply,)),) = answers
    return reply


@contextmanager
def _giving_up(model: Any, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Within the block the model stops before its next token once `cancelled` says so."""

    def look(*_: Any) -> None:
        if cancelled():
            raise InterruptedError("the question was withdrawn")

    handle = model.register_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()


def _checked(question: str) -> str:
    question = question.strip()
    if not question:
        raise DataError("the question is empty; ask something about the database")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the question is not UTF-8 text: {question[error.start : error.end]!r} in it") from error
    return question


def _toy(parameters: int) -> str:
    return (
        f"a toy of {parameters / 1e6:.1f} million parameters that has only read small invented databases: it is often "
        "wrong; --study and --model take others"
    )


def _json_value(value: Any) -> Any:
    odd = isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value))
    return cell_text(value) if odd else value
