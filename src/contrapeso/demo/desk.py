"""Where questions of the page wait and are answered: one at a time, in the order they came.

Questions enter, events leave as they happen, for the page to show: queued, working, answer, error, end. There is one
model and one sandbox, so one thread does all the work; whoever goes away leaves the queue, and what is being written
for them stops at the next token.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from contrapeso.ask import Asker
from contrapeso.demo.answers import answer_json, result_json, sql_json
from contrapeso.demo.shelf import Entry, Shelf
from contrapeso.errors import ContrapesoError
from contrapeso.models.engine import Variant
from contrapeso.report.packing import visible
from contrapeso.sql import Sandbox, judge_sql
from contrapeso.tasks.base import Item

MOST_WAITING = 8
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Desk:
    """The one place where questions are answered.

    Args:
        asker: who answers.
        sandbox: the asker's, for gold queries.
        shelf: the databases.
    """

    def __init__(self, asker: Asker, sandbox: Sandbox, shelf: Shelf) -> None:
        self._asker, self._sandbox, self._shelf = asker, sandbox, shelf
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answers")
        self._closing = threading.Event()
        self.waiting = 0

    def close(self) -> None:
        """Give up what is being answered and everything that waits."""
        self._closing.set()
        self._sandbox.interrupt()
        self._thread.shutdown(cancel_futures=True)

    async def answers(self, entry: Entry, question: str) -> AsyncIterator[dict[str, Any]]:
        """What happens to a question, event by event; closing the iterator withdraws it."""
        gone = threading.Event()
        self.waiting += 1
        try:
            if self.waiting > 1:
                yield {"event": "queued", "ahead": self.waiting - 1}
            item = next((item for item in entry.items if item.question == question.strip()), None)
            if item:
                yield await self._done(partial(self._reference, entry, item))
            for variant in self._asker.source.variants:
                yield {"event": "working", "variant": visible(variant.name)}
                yield await self._done(partial(self._answer, entry, question, item, variant=variant, gone=gone))
            yield {"event": "end"}
        except ContrapesoError as error:  # the question or the database; every variant would say the same
            yield {"event": "error", "message": visible(entry.explained(error))}
        except InterruptedError:
            yield {"event": "error", "message": "the page is being closed"}
        except Exception:  # ours: the page must say that there is no answer, the terminal has the traceback
            _log.exception("a question was not answered")
            yield {"event": "error", "message": "an error in contrapeso itself; its traceback is in the terminal"}
        finally:
            gone.set()
            self.waiting -= 1

    async def _done(self, work: Callable[[], T]) -> T:
        """The value of a piece of work, done in its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _reference(self, entry: Entry, item: Item) -> dict[str, Any]:
        result = self._sandbox.run([(entry.path, item.gold)])[0]
        return {"event": "reference", "sql": sql_json(item.gold), "result": result_json(result) if result.ok else None}

    def _answer(
        self, entry: Entry, question: str, item: Item | None, *, variant: Variant, gone: threading.Event
    ) -> dict[str, Any]:
        def cancelled() -> bool:
            return gone.is_set() or self._closing.is_set()

        database = self._shelf.database(entry.id)
        answer = self._asker.answer(question, database, variant=variant, cancelled=cancelled)
        agrees = None
        if item:
            (verdict,) = judge_sql(self._sandbox, [(entry.path, item.gold, answer.sql)])
            agrees = verdict.rules["unordered"]
        return answer_json(answer, agrees=agrees)
