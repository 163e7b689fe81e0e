"""The engine on vLLM: the base and all adapters together on one GPU.

The name of a base model and adapter folders enter; for any variant, generations and option scores leave in chunks. It
meets the `Engine` protocol but for one promise: vLLM puts requests together as they come, so a second run agrees with
the first to the rounding of 16-bit sums and not to the bit. `tests/models/test_served.py` holds it against `local`.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from contrapeso.errors import ModelError, ResourceError
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.encoding import Encoded, Encodings, Ending, letter_tokens, text_tokens
from contrapeso.models.engine import Variant
from contrapeso.models.loading import load_tokenizer, local_folder
from contrapeso.models.scaling import FoldedAdapters
from contrapeso.models.served_adapters import USE_LOCAL, require_servable
from contrapeso.models.served_queue import Request, answers_in_chunks
from contrapeso.models.served_start import refusal, served_room, start_vllm, without_weights
from contrapeso.models.weights import Quantization
from contrapeso.tasks.base import Generation, OptionScores, Prompt, TextScores

CHUNK = 512
"""Prompts that leave together. An interruption loses those in vLLM's queue, a few times as many."""


class ServedEngine:
    """Answers prompts for variants of one base model; starting it takes half a minute.

    Args:
        model_id: `pocket`, a folder or a hub id.
        revision: commit, tag or branch of a hub id.
        dtype: arithmetic: `bfloat16`, `float16` or `float32` (the last without adapters).
        quantization: `nf4` answers on the same 4-bit base that `load_model` makes.
        adapters: every adapter that will be asked for; they decide what room vLLM keeps.

    Raises:
        ModelError: vLLM cannot serve this model or one of the adapters.
        ResourceError: vLLM or the GPU is missing, or the GPU's memory does not suffice.
    """

    def __init__(
        self,
        model_id: str,
        *,
        revision: str | None = None,
        dtype: str = "bfloat16",
        quantization: Quantization = "none",
        adapters: Sequence[Path] = (),
    ) -> None:
        folder = local_folder(model_id)
        self.model_id, self.dtype = model_id, dtype
        self.tokenizer = load_tokenizer(model_id, revision)
        source, revision = str(folder or model_id), None if folder else revision
        self._shapes, self._end_tokens = without_weights(source, revision)
        self._room = served_room(adapters)
        self._requests: dict[str, Any] = {}
        self._folded = FoldedAdapters()
        limit = getattr(self._shapes.config.get_text_config(), "max_position_embeddings", None)
        self._encodings = Encodings(self.tokenizer, limit)
        for adapter in adapters:
            require_servable(adapter, self._shapes, dtype=dtype, room=self._room)
        self._llm = start_vllm(
            source,
            revision=revision,
            dtype=dtype,
            quantization=quantization,
            room=self._room,
            adapters=len(adapters),
        )
        # At the latest when Python exits: PyTorch complains of process groups that nobody ended.
        self._end = weakref.finalize(self, self._llm.llm_engine.engine_core.shutdown)

    def close(self) -> None:
        """End vLLM, so that others can have the GPU; this engine answers no more."""
        import torch

        self._end()
        del self._llm
        gc.collect()
        torch.cuda.empty_cache()  # does nothing where CUDA was never used

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

        Raises:
            ModelError: the adapter cannot be served, or `max_new_tokens` leaves no room for a prompt.
            ResourceError: a prompt does not fit in the GPU's memory.
        """
        from vllm import SamplingParams

        encoded = self._encodings.of(prompts, room=max_new_tokens)
        ending = Ending(self.tokenizer, self._end_tokens, stop)
        asked = SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, stop=ending.stop, stop_token_ids=sorted(ending.tokens)
        )
        requests = [[Request(prompt.tokens, asked)] for prompt in encoded]
        for rows, outputs in self._answers(variant, requests, skip=skip):
            answers = [list(output.outputs[0].token_ids) for (output,) in outputs]
            yield rows, [ending.reply(encoded[row], answer) for row, answer in zip(rows, answers, strict=True)]

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token; see `Engine.score_options`.

        vLLM writes one token to every prompt, so a prompt may have one token less than `local` lets it have.

        Raises:
            ModelError: the adapter cannot be served, or a letter is not a single token after the prompt.
            ResourceError: a prompt does not fit in the GPU's memory.
        """
        from vllm import SamplingParams

        encoded = self._encodings.of(prompts, room=1)
        options = letter_tokens(self.tokenizer, prompts, encoded, letters)
        # Exactly these tokens, wherever they rank; a list of the likeliest could miss a letter.
        asked = {
            tokens: SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=list(tokens), detokenize=False)
            for tokens in set(map(tuple, options))
        }
        requests = [
            [Request(prompt.tokens, asked[tuple(tokens)])] for prompt, tokens in zip(encoded, options, strict=True)
        ]
        for rows, outputs in self._answers(variant, requests, skip=skip):
            yield (
                rows,
                [_scores(encoded[row], options[row], output) for row, (output,) in zip(rows, outputs, strict=True)],
            )

    def score_texts(
        self, variant: Variant, prompts: Sequence[Prompt], *, texts: Sequence[Sequence[str]], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[TextScores]]]:
        """Log-likelihood of each of a prompt's texts after it; see `Engine.score_texts`.

        A text is a request of its own, and vLLM computes its prompt anew: it does not read its cache for prompts whose
        log-probabilities it shall tell.

        Raises:
            ModelError: the adapter cannot be served, or a text leaves no room for its prompt.
            ResourceError: a prompt with its text does not fit in the GPU's memory.
        """
        from vllm import SamplingParams

        endings = [[text_tokens(self.tokenizer, text) for text in of_prompt] for of_prompt in texts]
        longest = max((len(tokens) for of_prompt in endings for tokens in of_prompt), default=0)
        encoded = self._encodings.of(prompts, room=longest + 1)  # vLLM writes one token to every prompt
        asked = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        requests = [
            [Request([*prompt.tokens, *tokens], asked) for tokens in of_prompt]
            for prompt, of_prompt in zip(encoded, endings, strict=True)
        ]
        for rows, outputs in self._answers(variant, requests, skip=skip):
            yield (
                rows,
                [_likelihoods(encoded[row], endings[row], found) for row, found in zip(rows, outputs, strict=True)],
            )

    def lent(self, variant: Variant) -> NoReturn:
        """Refused: vLLM keeps its model to itself. `models.choice` takes the engine `local` where one is to be lent."""
        raise ModelError(f"vLLM lends the model of {variant.name} to no other harness; {USE_LOCAL}")

    def _answers(
        self, variant: Variant, requests: Sequence[Sequence[Request]], *, skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[list[Any]]]]:
        """What vLLM gives for the requests of every prompt not in `skip`, chunk by chunk."""
        chunks = list(_chunks(len(requests), CHUNK, skip))
        asked = [request for rows in chunks for row in rows for request in requests[row]]
        longest = max((len(request.tokens) + request.asked.max_tokens for request in asked), default=0)
        held = self._llm.model_config.max_model_len
        if longest > held:
            raise ResourceError(
                f"a prompt and its answer take {longest} tokens, but vLLM holds {held} with the GPU memory that was "
                f"free: free some, set model.quantization, or {USE_LOCAL}"
            )
        together = ([request for row in rows for request in requests[row]] for rows in chunks)
        outputs = answers_in_chunks(self._llm, together, lora=self._request(variant))
        for rows in chunks:
            try:
                answered = iter(next(outputs))
            except Exception as error:  # vLLM raises whatever broke in it; chained, so nothing is hidden
                raise refusal("vLLM failed while it answered", error) from error
            yield rows, [list(islice(answered, len(requests[row]))) for row in rows]

    def _request(self, variant: Variant) -> Any:
        """What names an adapter to vLLM; by content, so that one trained anew under the same path is another."""
        if variant.adapter is None:
            return None
        adapter = self._folded.folder(variant.adapter, variant.scale)  # vLLM knows no scale
        identity = adapter_identity(adapter)
        if identity not in self._requests:
            from vllm.lora.request import LoRARequest

            require_servable(adapter, self._shapes, dtype=self.dtype, room=self._room)
            self._requests[identity] = LoRARequest(identity, len(self._requests) + 1, str(adapter.resolve()))
        return self._requests[identity]


def _chunks(count: int, size: int, skip: frozenset[int]) -> Iterator[list[int]]:
    """Places in the order of the prompts; a chunk wholly answered before is left out."""
    for start in range(0, count, size):
        rows = list(range(start, min(start + size, count)))
        if not skip.issuperset(rows):
            yield rows


def _scores(prompt: Encoded, options: Sequence[int], output: Any) -> OptionScores:
    answer = output.outputs[0]
    found = answer.logprobs[0]
    values = tuple(float(found[token].logprob) for token in options)
    return prompt.option_scores(values, likeliest=answer.token_ids[0] in options)


def _likelihoods(prompt: Encoded, texts: Sequence[Sequence[int]], outputs: Sequence[Any]) -> TextScores:
    def of_text(tokens: Sequence[int], output: Any) -> float:
        found = output.prompt_logprobs[len(prompt.tokens) :]  # nothing foretells the very first token
        return sum(float(at[token].logprob) for token, at in zip(tokens, found, strict=True) if at is not None)

    values = [of_text(tokens, output) for tokens, output in zip(texts, outputs, strict=True)]
    return prompt.text_scores(values, texts)
