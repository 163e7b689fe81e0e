"""The engine in this process: transformers and PEFT, on a CPU or one GPU.

A loaded base model enters; for any variant of it, generations and option scores leave batch by batch. It meets the
`Engine` protocol: the same prompts give the same bits, also when part of them was answered before. A batch that does
not fit in memory is computed in parts, so that a batch size asked for too boldly costs time and not the study.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch

from contrapeso.models.adapters import Adapters
from contrapeso.models.batches import Backoff, Batch, cut, gather, plan_batches
from contrapeso.models.decoding import generate_greedy, has_sliding_window, new_cache, prefix_cache, score
from contrapeso.models.encoding import Encoded, Encodings, Ending, letter_tokens, sharing, text_tokens
from contrapeso.models.engine import Variant
from contrapeso.models.fsdp import is_divided
from contrapeso.models.graphs import SlotGenerator, parts_of
from contrapeso.models.lean import lean_lora
from contrapeso.models.likelihood import beginning, log_likelihoods, plan_texts
from contrapeso.models.scaling import require_base_at_zero
from contrapeso.models.slots import budget_tokens, has_slots, score_in_slots
from contrapeso.tasks.base import Generation, OptionScores, Prompt, TextScores

R = TypeVar("R")

PROVEN_ON = 4
"""Prompts on which scale 0 is held against the base before an adapter is measured scaled."""


class LocalEngine:
    """Answers prompts for variants of one base model.

    Args:
        model: a transformers causal language model in eval mode.
        tokenizer: its tokenizer.
        batch_size_generate: most prompts generated together; 64 by default, and 512 in slots.
        batch_size_score: most prompts scored together; likewise.
        token_budget: most tokens in a batch, padding and tokens to be generated included. It bounds the key-value
            cache: 32,768 tokens of Mistral-7B in 16 bits take 4 GiB. See `budget_tokens` for the default.
        in_slots: whether keys and values stand in slots, where the model can do that, steps of generation are recorded
            as CUDA graphs, and adapters are computed by `lean_lora`; on a GPU by default.
        say: told, once each, when a batch does not fit in memory or steps cannot be recorded; a Python warning by
            default.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size_generate: int | None = None,
        batch_size_score: int | None = None,
        token_budget: int | None = None,
        in_slots: bool | None = None,
        say: Callable[[str], None] = warnings.warn,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.in_slots = (model.device.type == "cuda" if in_slots is None else in_slots) and has_slots(model)
        self.batch_size_generate = batch_size_generate or (512 if self.in_slots else 64)
        self.batch_size_score = batch_size_score or (512 if self.in_slots else 64)
        self.token_budget = token_budget or budget_tokens(model)
        self._adapters = Adapters(model)
        self._memory = Backoff(say, alone=not is_divided(model))
        self._say = say
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self._encodings = Encodings(tokenizer, limit)
        self._base_at_zero: set[str] = set()

    def detach(self) -> None:
        """Take all adapters off the base model, so that it can be trained upon."""
        self._adapters.detach()

    def generate(
        self,
        variant: Variant,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: Sequence[str],
        skip: frozenset[int],
    ) -> Iterator[tuple[list[int], list[Generation]]]:
        """Greedy generation; see `Engine.generate`.

        Prompts with equal `prefix` (a schema, say) take it from one key-value cache where there are enough of them.

        Raises:
            ModelError: the adapter does not fit, or `max_new_tokens` leaves no room for a prompt.
            ResourceError: a single prompt does not fit in memory.
        """
        encoded = self._encodings.of(prompts, room=max_new_tokens)
        ending = Ending(self.tokenizer, self.model.generation_config.eos_token_id, stop)
        cache = new_cache(self.model)
        batches = plan_batches(
            [prompt.tokens for prompt in encoded],
            sharing(prompts, encoded, allowed=cache is not None and not has_sliding_window(cache)),
            room=max_new_tokens,
            # Every token costs a pass over the weights, so a few prompts had better join a larger batch. In slots they
            # do so once they have been read.
            smallest_group=4 if self.in_slots else self.batch_size_generate // 4,
            batch_size=self.batch_size_generate,
            token_budget=self.token_budget,
        )
        if self.in_slots:
            yield from self._generations(variant, encoded, batches, skip=skip, room=max_new_tokens, ending=ending)
            return

        def compute(rows: Sequence[int], shared: int, prefix: Any) -> list[Generation]:
            with self._answering_as(variant):
                answers = generate_greedy(
                    self.model,
                    [encoded[row].tokens[shared:] for row in rows],
                    max_new_tokens=max_new_tokens,
                    finished=ending.reached,
                    pad_token=self.tokenizer.pad_token_id,
                    prefix=prefix,
                )
            return [ending.reply(encoded[row], answer) for row, answer in zip(rows, answers, strict=True)]

        yield from self._answers(variant, encoded, batches, skip=skip, compute=compute)

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token; see `Engine.score_options`.

        Prompts with equal `prefix` (and `turns`) take it from one key-value cache: exact up to the order of
        floating-point sums (5e-7 in float32), and 5 to 6 times faster for 5-shot MMLU.

        Raises:
            ModelError: the adapter does not fit, or a letter is not a single token after the prompt.
            ResourceError: a single prompt does not fit in memory.
        """
        encoded = self._encodings.of(prompts, room=0)
        options = letter_tokens(self.tokenizer, prompts, encoded, letters)
        batches = plan_batches(
            [prompt.tokens for prompt in encoded],
            sharing(prompts, encoded, allowed=new_cache(self.model) is not None),
            room=0,
            smallest_group=2,
            batch_size=self.batch_size_score,
            token_budget=self.token_budget,
        )
        scored = score
        if self.in_slots:
            batches, scored = cut(batches, [prompt.tokens for prompt in encoded]), score_in_slots

        def compute(rows: Sequence[int], shared: int, prefix: Any) -> list[OptionScores]:
            suffixes = [encoded[row].tokens[shared:] for row in rows]
            with self._answering_as(variant):
                values = scored(self.model, suffixes, pad_token=self.tokenizer.pad_token_id, prefix=prefix)
            best = values.argmax(dim=-1).tolist()
            asked = torch.tensor([options[row] for row in rows], device=values.device)
            of_letters = values.gather(1, asked).tolist()
            return [
                encoded[row].option_scores(of_letters[place], likeliest=best[place] in options[row])
                for place, row in enumerate(rows)
            ]

        yield from self._answers(variant, encoded, batches, skip=skip, compute=compute)

    def score_texts(
        self, variant: Variant, prompts: Sequence[Prompt], *, texts: Sequence[Sequence[str]], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[TextScores]]]:
        """Log-likelihood of each of a prompt's texts after it; see `Engine.score_texts`.

        Raises:
            ModelError: the adapter does not fit, or a text leaves no room for its prompt.
            ResourceError: a single prompt with its texts does not fit in memory.
        """
        endings = [[text_tokens(self.tokenizer, text) for text in of_prompt] for of_prompt in texts]
        room = max((len(tokens) for of_prompt in endings for tokens in of_prompt), default=0)
        encoded = self._encodings.of(prompts, room=room)
        batches = plan_texts(
            [prompt.tokens for prompt in encoded],
            sharing(prompts, encoded, allowed=new_cache(self.model) is not None),
            texts=endings,
            batch_size=self.batch_size_score,
            token_budget=self.token_budget,
        )

        def compute(rows: Sequence[int], shared: int, prefix: Any) -> list[TextScores]:
            asked = [beginning(encoded[row].tokens[shared:], tokens) for row in rows for tokens in endings[row]]
            with self._answering_as(variant):
                values = iter(log_likelihoods(self.model, asked, pad_token=self.tokenizer.pad_token_id, prefix=prefix))
            return [encoded[row].text_scores([next(values) for _ in endings[row]], endings[row]) for row in rows]

        yield from self._answers(variant, encoded, batches, skip=skip, compute=compute)

    @contextmanager
    def lent(self, variant: Variant) -> Iterator[tuple[Any, Any]]:
        """The variant's very model and its tokenizer; see `Engine.lent`."""
        with self._answering_as(variant):
            yield self.model, self.tokenizer

    def _answers(
        self,
        variant: Variant,
        encoded: Sequence[Encoded],
        batches: Sequence[Batch],
        *,
        skip: frozenset[int],
        compute: Callable[..., list[R]],
    ) -> Iterator[tuple[list[int], list[R]]]:
        """The replies to each batch still to do; `compute` gets rows, `shared`, and the cache of what they share."""
        self._require_scalable(variant, encoded)
        known: list[int] = []
        prefix = None
        for batch in batches:
            if skip.issuperset(batch.rows):
                continue
            tokens = encoded[batch.rows[0]].tokens[: batch.shared]
            if tokens != known:  # batches that share a prefix follow one another, so it is computed once
                prefix, known = None, tokens
                if tokens:
                    computed = partial(self._prefix, variant, tokens)
                    (prefix,) = self._memory.in_parts(batch.rows[:1], batch.shared, computed)
            replies = self._memory.in_parts(
                batch.rows, batch.longest, partial(compute, shared=batch.shared, prefix=prefix)
            )
            yield list(batch.rows), replies

    def _generations(
        self,
        variant: Variant,
        encoded: Sequence[Encoded],
        batches: Sequence[Batch],
        *,
        skip: frozenset[int],
        room: int,
        ending: Ending,
    ) -> Iterator[tuple[list[int], list[Generation]]]:
        """The replies to each batch still to do, from slots; batches go on together once they have been read."""
        self._require_scalable(variant, encoded)
        tokens = [prompt.tokens for prompt in encoded]
        generator = SlotGenerator(self.model, pad_token=self.tokenizer.pad_token_id, say=self._say)

        def compute(rows: Sequence[int], batches: Sequence[Batch]) -> list[Generation]:
            parts = parts_of(batches, rows, tokens)
            with self._answering_as(variant):
                answers = generator.generate(parts, max_new_tokens=room, finished=ending.reached)
            return [ending.reply(encoded[row], answer) for row, answer in zip(rows, answers, strict=True)]

        read = cut(batches, tokens)
        for together in gather(read, batch_size=self.batch_size_generate, token_budget=self.token_budget):
            rows = [row for batch in together for row in batch.rows]
            if not skip.issuperset(rows):
                longest = max(batch.longest for batch in together)
                yield rows, self._memory.in_parts(rows, longest, partial(compute, batches=together))

    def _require_scalable(self, variant: Variant, encoded: Sequence[Encoded]) -> None:
        """Hold scale 0 against the base, once for an adapter, before it is measured scaled."""
        if variant.adapter is None or variant.scale == 1:
            return
        identity = self._adapters.identity(variant.adapter)
        if identity in self._base_at_zero:
            return
        whole = [prompt.tokens for prompt in encoded if prompt.tokens] or [[self.tokenizer.pad_token_id]]
        shortest = sorted(whole, key=len)[:PROVEN_ON]

        def values(rows: Sequence[int], one: Variant) -> list[Any]:
            with self._answering_as(one):
                prompts = [shortest[row] for row in rows]
                return list(score(self.model, prompts, pad_token=self.tokenizer.pad_token_id))

        def answers(one: Variant) -> list[Any]:
            return self._memory.in_parts(range(len(shortest)), len(shortest[-1]), partial(values, one=one))

        require_base_at_zero(variant, answers)
        self._base_at_zero.add(identity)

    def _prefix(self, variant: Variant, tokens: Sequence[int], _: Sequence[int]) -> list[Any]:
        with self._answering_as(variant):
            return [prefix_cache(self.model, tokens)]

    @contextmanager
    def _answering_as(self, variant: Variant) -> Iterator[None]:
        with self._adapters.using(variant.adapter, variant.scale):
            if variant.adapter is None or not self.in_slots:
                yield
                return
            with lean_lora(self.model):
                yield
