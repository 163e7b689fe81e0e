"""One engine in every process, which answer together: each its share of the batches.

An engine's protocol enters and leaves. Batches are planned as in one process, so the division depends on the prompts
alone; the processes take turns, batch by batch, and the main one gets every reply in the order of the plan. A batch is
computed as in one process, by one process: the replies are the same, whoever computed them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from contrapeso.distributed import Post, rank, receive, size, tell
from contrapeso.models.engine import Engine, Variant
from contrapeso.models.fsdp import in_step, is_divided
from contrapeso.tasks.base import Generation, OptionScores, Prompt, TextScores

if TYPE_CHECKING:
    from contrapeso.models.loading import LoadedModel
    from contrapeso.models.local import LocalEngine

Method = Literal["generate", "score_options", "score_texts"]


def start_local(base: LoadedModel, **options: Any) -> LocalEngine | Sharded:
    """The engine `local`; with several processes, one in each.

    Args:
        base: the base model, which every other process has loaded too.
        options: see `LocalEngine`.
    """
    from contrapeso.models.local import LocalEngine

    # A CUDA graph would replay the gathering of weights in one process and not in the others.
    if is_divided(base.model):
        options["in_slots"] = False
    engine = LocalEngine(base.model, base.tokenizer, **options)
    if size() == 1:
        return engine
    same_plan = ("batch_size_generate", "batch_size_score", "token_budget", "in_slots")
    tell("start", **{name: getattr(engine, name) for name in same_plan})
    return Sharded(engine)


class Share(frozenset[int]):
    """The `skip` of one process: what is answered already, and the batches that are another's turn.

    It counts on an engine to ask once for every batch, in the order of its plan, whether it is to be left out: asked
    twice, or only sometimes, processes would answer a batch twice or never.
    """

    _turn = -1

    def issuperset(self, other: Iterable[object]) -> bool:
        """Whether a batch is left out here."""
        batch = frozenset(other)
        if super().issuperset(batch):
            return True
        self._turn += 1
        return self._turn % size() != rank()


class Sharded:
    """The engine of the main process, with those of the others behind it; see `Engine`.

    Args:
        engine: this process's own.
    """

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def detach(self) -> None:
        """Take all adapters off the base models, so that they can be trained upon."""
        tell("detach")
        self.engine.detach()

    def generate(
        self,
        variant: Variant,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: Sequence[str],
        skip: frozenset[int],
    ) -> Iterator[tuple[list[int], list[Generation]]]:
        """Greedy generation; see `Engine.generate`."""
        options = {"max_new_tokens": max_new_tokens, "stop": stop}
        yield from self._answers("generate", variant, prompts, options, skip)

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token; see `Engine.score_options`."""
        yield from self._answers("score_options", variant, prompts, {"letters": letters}, skip)

    def score_texts(
        self, variant: Variant, prompts: Sequence[Prompt], *, texts: Sequence[Sequence[str]], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[TextScores]]]:
        """Log-likelihood of each of a prompt's texts; see `Engine.score_texts`."""
        yield from self._answers("score_texts", variant, prompts, {"texts": texts}, skip)

    def lent(self, variant: Variant) -> AbstractContextManager[tuple[Any, Any]]:
        """The main process's own model; the others wait. See `Engine.lent`."""
        lent: AbstractContextManager[tuple[Any, Any]] = self.engine.lent(variant)
        return lent

    def _answers(
        self,
        method: Method,
        variant: Variant,
        prompts: Sequence[Prompt],
        options: dict[str, Any],
        skip: Collection[int],
    ) -> Iterator[tuple[list[int], list[Any]]]:
        asked: dict[str, Any] = {
            "method": method,
            "variant": variant,
            "prompts": prompts,
            "options": options,
            "skip": skip,
        }
        tell("answer", **asked)
        streams = [answer_share(self.engine, **asked), *map(_received, range(1, size()))]
        for of_all in zip_longest(*streams):
            yield from (batch for batch in of_all if batch is not None)


def answer_share(
    engine: Engine,
    *,
    method: Method,
    variant: Variant,
    prompts: Sequence[Prompt],
    options: dict[str, Any],
    skip: Collection[int],
) -> Iterator[tuple[list[int], list[Any]] | None]:
    """What this process answers.

    Args:
        engine: this process's own.
        method: `generate`, `score_options` or `score_texts`.
        variant: who is asked.
        prompts: what is asked, all of it.
        options: the other arguments of the method.
        skip: prompts already answered.

    Yields:
        Places in `prompts` and replies, batch by batch; None after the last, see `in_step`.
    """
    yield from in_step(engine, getattr(engine, method)(variant, prompts, skip=Share(skip), **options))


def send_share(engine: Engine, **asked: Any) -> None:
    """Answer this process's share for the main process; see `answer_share`."""
    post = Post()
    for batch in answer_share(engine, **asked):
        post.send(batch)
    post.flush()


def _received(source: int) -> Iterator[tuple[list[int], list[Any]]]:
    while (batch := receive(source)) is not None:
        yield batch
