"""The engine in this process: transformers and PEFT, on a CPU or one GPU.

A loaded base model enters; for any variant of it, generations and option scores leave batch by batch. It meets the
`Engine` protocol: the same prompts give the same bits, also when part of them was answered before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from contrapeso.errors import ModelError, ResourceError
from contrapeso.models.adapters import Adapters
from contrapeso.models.batches import Batch, plan_batches
from contrapeso.models.decoding import generate_greedy, has_sliding_window, new_cache, prefix_cache, score
from contrapeso.models.engine import Variant
from contrapeso.models.prompts import encode, render
from contrapeso.tasks.base import Generation, OptionScores, Prompt


@dataclass(frozen=True)
class _Encoded:
    """One prompt as the model gets it."""

    tokens: list[int]
    length: int
    sha: str
    truncated: bool


class LocalEngine:
    """Answers prompts for variants of one base model.

    Args:
        model: a transformers causal language model in eval mode.
        tokenizer: its tokenizer.
        batch_size_generate: most prompts generated together.
        batch_size_score: most prompts scored together.
        token_budget: most tokens in a batch, padding and tokens to be generated included. It bounds the key-value
            cache: 32,768 tokens of Mistral-7B in 16 bits take 4 GiB.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        batch_size_generate: int = 64,
        batch_size_score: int = 64,
        token_budget: int = 32_768,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.batch_size_generate = batch_size_generate
        self.batch_size_score = batch_size_score
        self.token_budget = token_budget
        self._adapters = Adapters(model)

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

        Args:
            variant: which adapter answers, if any.
            prompts: what is asked.
            max_new_tokens: most tokens of an answer.
            stop: strings that end an answer; the text is cut before the first of them.
            skip: prompts already answered; a batch wholly inside it is left out.

        Yields:
            Places in `prompts` and the replies to them, one batch at a time.

        Raises:
            ModelError: the adapter does not fit, or `max_new_tokens` leaves no room for a prompt.
            ResourceError: a batch does not fit in memory.
        """
        encoded = self._encode(prompts, room=max_new_tokens)
        ending = _Ending(self.model, self.tokenizer, stop)
        cache = new_cache(self.model)
        batches = plan_batches(
            [prompt.tokens for prompt in encoded],
            _sharing(prompts, encoded, allowed=cache is not None and not has_sliding_window(cache)),
            room=max_new_tokens,
            # Every token costs a pass over the weights, so a few prompts had better join a larger batch.
            smallest_group=self.batch_size_generate // 4,
            batch_size=self.batch_size_generate,
            token_budget=self.token_budget,
        )
        for batch, prefix in self._with_prefixes(variant, encoded, batches, skip):
            with self._answering(variant, batch, "evaluate.generate_batch"):
                answers = generate_greedy(
                    self.model,
                    [encoded[row].tokens[batch.shared :] for row in batch.rows],
                    max_new_tokens=max_new_tokens,
                    finished=ending.reached,
                    pad_token=self.tokenizer.pad_token_id,
                    prefix=prefix,
                )
            yield list(batch.rows), [ending.reply(encoded[row], a) for row, a in zip(batch.rows, answers, strict=True)]

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token; see `Engine.score_options`.

        Prompts with equal `prefix` (and `turns`) take it from one key-value cache: exact up to the order of
        floating-point sums (5e-7 in float32), and 5 to 6 times faster for 5-shot MMLU.

        Args:
            variant: which adapter answers, if any.
            prompts: what is asked.
            letters: the options, e.g. `("A", "B", "C", "D")`.
            skip: prompts already answered; a batch wholly inside it is left out.

        Yields:
            Places in `prompts` and the replies to them, one batch at a time.

        Raises:
            ModelError: the adapter does not fit, or a letter is not a single token after the prompt.
            ResourceError: a batch does not fit in memory.
        """
        encoded = self._encode(prompts, room=0)
        options = self._letter_tokens(prompts, encoded, letters)
        batches = plan_batches(
            [prompt.tokens for prompt in encoded],
            _sharing(prompts, encoded, allowed=new_cache(self.model) is not None),
            room=0,
            smallest_group=2,
            batch_size=self.batch_size_score,
            token_budget=self.token_budget,
        )
        for batch, prefix in self._with_prefixes(variant, encoded, batches, skip):
            with self._answering(variant, batch, "evaluate.score_batch"):
                replies = self._score_batch(batch, encoded, options, prefix)
            yield list(batch.rows), replies

    def _with_prefixes(
        self, variant: Variant, encoded: Sequence[_Encoded], batches: Sequence[Batch], skip: frozenset[int]
    ) -> Iterator[tuple[Batch, Any]]:
        """The batches still to do, each with the cache of its shared prefix; a prefix is computed once."""
        known: tuple[list[int], Any] = ([], None)
        for batch in batches:
            if skip.issuperset(batch.rows):
                continue
            prefix = encoded[batch.rows[0]].tokens[: batch.shared]
            if prefix != known[0]:
                with self._answering(variant, batch, "the batch sizes in [evaluate]"):
                    known = (prefix, prefix_cache(self.model, prefix) if prefix else None)
            yield batch, known[1]

    @contextmanager
    def _answering(self, variant: Variant, batch: Batch, setting: str) -> Iterator[None]:
        """Within the block the model is the variant; running out of memory names the setting to lower."""
        try:
            with self._adapters.using(variant.adapter):
                yield
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise ResourceError(
                f"out of memory with {len(batch.rows)} prompts at a time: lower {setting} and run the same command "
                "again; finished batches are kept"
            ) from error

    def _score_batch(
        self, batch: Batch, encoded: Sequence[_Encoded], options: Sequence[list[int]], prefix: Any
    ) -> list[OptionScores]:
        rows = [encoded[row].tokens[batch.shared :] for row in batch.rows]
        log_probabilities = score(self.model, rows, pad_token=self.tokenizer.pad_token_id, prefix=prefix)
        best = log_probabilities.argmax(dim=-1).tolist()
        replies = []
        for place, row in enumerate(batch.rows):
            prompt = encoded[row]
            replies.append(
                OptionScores(
                    tuple(log_probabilities[place, options[row]].tolist()),
                    best[place] in options[row],
                    prompt.length,
                    prompt.sha,
                    prompt.truncated,
                )
            )
        return replies

    def _encode(self, prompts: Sequence[Prompt], *, room: int) -> list[_Encoded]:
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and limit <= room:
            raise ModelError(
                f"max_new_tokens is {room}, but the model holds {limit} tokens: lower target.max_new_tokens"
            )
        encoded = []
        for prompt in prompts:
            tokens = encode(self.tokenizer, prompt)
            sha = hashlib.sha256(np.asarray(tokens, dtype="<u4").tobytes()).hexdigest()[:16]
            truncated = limit is not None and len(tokens) + room > limit
            # The question stands at the end of a prompt, so the end is what is kept.
            kept = tokens[len(tokens) + room - limit :] if limit is not None and truncated else tokens
            encoded.append(_Encoded(kept, len(tokens), sha, truncated))
        return encoded

    def _letter_tokens(
        self, prompts: Sequence[Prompt], encoded: Sequence[_Encoded], letters: Sequence[str]
    ) -> list[list[int]]:
        # A letter's token depends on what stands before it, in practice on the last token of the prompt alone.
        known: dict[int, list[int]] = {}
        for prompt, tokens in zip(prompts, encoded, strict=True):
            if tokens.tokens[-1] not in known:
                known[tokens.tokens[-1]] = [self._letter_token(prompt, letter) for letter in letters]
        return [known[prompt.tokens[-1]] for prompt in encoded]

    def _letter_token(self, prompt: Prompt, letter: str) -> int:
        text = render(self.tokenizer, prompt)
        answer = letter if text[-1:].isspace() else " " + letter
        before: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        after: list[int] = self.tokenizer(text + answer, add_special_tokens=False)["input_ids"]
        if after[:-1] != before:
            raise ModelError(
                f"with this tokenizer the option {answer!r} is not a single token after a prompt that ends in "
                f"{text[-20:]!r}, so options cannot be compared by one next-token probability"
            )
        return after[-1]


class _Ending:
    """When a generation ends, and the text that is left of it."""

    def __init__(self, model: Any, tokenizer: Any, stop: Sequence[str]) -> None:
        ends = model.generation_config.eos_token_id
        self._end_tokens = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        self._tokenizer = tokenizer
        self._stop = [text for text in stop if text]
        self._closes: dict[int, bool] = {}

    def reached(self, generated: list[int]) -> bool:
        """Whether the newest token ends the generation."""
        newest = generated[-1]
        if newest in self._end_tokens:
            return True
        return self._may_close(newest) and any(stop in self._decode(generated) for stop in self._stop)

    def reply(self, prompt: _Encoded, generated: list[int]) -> Generation:
        """The generation as a reply, its text cut before the first stop string."""
        text = self._decode(generated)
        cut = min((text.index(stop) for stop in self._stop if stop in text), default=len(text))
        stopped = cut < len(text) or generated[-1] in self._end_tokens
        return Generation(text[:cut], stopped, len(generated), prompt.length, prompt.sha, prompt.truncated)

    def _may_close(self, token: int) -> bool:
        # Decoding every row after every token would take longer than the model: only a token that holds the last
        # character of a stop string (or a piece of a character) can complete one.
        if token not in self._closes:
            text = self._tokenizer.decode([token])
            self._closes[token] = any(stop[-1] in text for stop in self._stop) or "\ufffd" in text
        return self._closes[token]

    def _decode(self, generated: list[int]) -> str:
        text: str = self._tokenizer.decode(generated, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def _sharing(prompts: Sequence[Prompt], encoded: Sequence[_Encoded], *, allowed: bool) -> list[Hashable]:
    """What a prompt has in common with others: equal keys share; None shares with nobody."""
    # A cut prompt has lost its beginning.
    return [
        (prompt.prefix, prompt.turns, prompt.chat) if allowed and not tokens.truncated else None
        for prompt, tokens in zip(prompts, encoded, strict=True)
    ]
