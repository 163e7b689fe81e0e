"""The engine in a process of its own: vLLM, the base and all adapters together on one GPU.

The name of a base model and adapter folders enter; for any variant, generations and option scores leave in chunks. It
meets the `Engine` protocol but for one promise: vLLM puts requests together as they come, so a second run agrees with
the first to the rounding of 16-bit sums and not to the bit. `tests/models/test_served.py` holds it against `local`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contrapeso.errors import ResourceError
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.encoding import Encoded, Ending, encode_prompts, letter_tokens
from contrapeso.models.engine import Variant
from contrapeso.models.loading import Quantization, load_tokenizer, local_folder
from contrapeso.models.served_adapters import USE_LOCAL, require_servable
from contrapeso.models.served_start import refusal, served_room, start_vllm, without_weights
from contrapeso.tasks.base import Generation, OptionScores, Prompt

GENERATE_CHUNK, SCORE_CHUNK = 2048, 4096
"""Prompts handed over at a time: what an interruption loses at most. At a chunk's end the GPU waits for a moment."""


class ServedEngine:
    """Answers prompts for variants of one base model; starting it takes a minute for 7 billion weights.

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
        self._encodings: dict[tuple[int, tuple[Prompt, ...]], list[Encoded]] = {}
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

    @property
    def limit(self) -> int | None:
        """Most tokens the model holds."""
        limit: int | None = getattr(self._shapes.config.get_text_config(), "max_position_embeddings", None)
        return limit

    def close(self) -> None:
        """End vLLM's process, so that others can have the GPU."""
        self._llm.llm_engine.engine_core.shutdown()

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

        Args:
            variant: which adapter answers, if any.
            prompts: what is asked.
            max_new_tokens: most tokens of an answer.
            stop: strings that end an answer; the text is cut before the first of them.
            skip: prompts already answered; a chunk wholly inside it is left out.

        Yields:
            Places in `prompts` and the replies to them, one chunk at a time.

        Raises:
            ModelError: the adapter cannot be served, or `max_new_tokens` leaves no room for a prompt.
            ResourceError: a prompt does not fit in the GPU's memory.
        """
        from vllm import SamplingParams

        encoded = self._encode(prompts, room=max_new_tokens)
        ending = Ending(self.tokenizer, self._end_tokens, stop)
        asked = SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, stop=ending.stop, stop_token_ids=sorted(ending.tokens)
        )
        for rows in _chunks(len(prompts), GENERATE_CHUNK, skip):
            outputs = self._answers(variant, [encoded[row] for row in rows], [asked] * len(rows))
            answers = [list(output.outputs[0].token_ids) for output in outputs]
            yield rows, [ending.reply(encoded[row], answer) for row, answer in zip(rows, answers, strict=True)]

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token; see `Engine.score_options`.

        vLLM writes one token to every prompt, so a prompt may have one token less than `local` lets it have.

        Args:
            variant: which adapter answers, if any.
            prompts: what is asked.
            letters: the options, e.g. `("A", "B", "C", "D")`.
            skip: prompts already answered; a chunk wholly inside it is left out.

        Yields:
            Places in `prompts` and the replies to them, one chunk at a time.

        Raises:
            ModelError: the adapter cannot be served, or a letter is not a single token after the prompt.
            ResourceError: a prompt does not fit in the GPU's memory.
        """
        from vllm import SamplingParams

        encoded = self._encode(prompts, room=1)
        options = letter_tokens(self.tokenizer, prompts, encoded, letters)
        # Exactly these tokens, wherever they rank; a list of the likeliest could miss a letter.
        asked = {
            tokens: SamplingParams(temperature=0.0, max_tokens=1, logprob_token_ids=list(tokens), detokenize=False)
            for tokens in set(map(tuple, options))
        }
        for rows in _chunks(len(prompts), SCORE_CHUNK, skip):
            parameters = [asked[tuple(options[row])] for row in rows]
            outputs = self._answers(variant, [encoded[row] for row in rows], parameters)
            yield (
                rows,
                [_scores(encoded[row], options[row], output) for row, output in zip(rows, outputs, strict=True)],
            )

    def _answers(self, variant: Variant, prompts: Sequence[Encoded], parameters: Sequence[Any]) -> list[Any]:
        longest = max(len(prompt.tokens) for prompt in prompts) + parameters[0].max_tokens
        held = self._llm.model_config.max_model_len
        if longest > held:
            raise ResourceError(
                f"a prompt and its answer take {longest} tokens, but vLLM holds {held} with the GPU memory that was "
                f"free: free some, set model.quantization, or {USE_LOCAL}"
            )
        request = self._request(variant.adapter)
        try:
            outputs: list[Any] = self._llm.generate(
                [{"prompt_token_ids": prompt.tokens} for prompt in prompts],
                list(parameters),
                lora_request=request,
                use_tqdm=False,
            )
        except Exception as error:  # vLLM raises whatever broke in its process; chained, so nothing is hidden
            raise refusal("vLLM failed while it answered", error) from error
        return outputs

    def _request(self, adapter: Path | None) -> Any:
        """What names an adapter to vLLM; by content, so that one trained anew under the same path is another."""
        if adapter is None:
            return None
        identity = adapter_identity(adapter)
        if identity not in self._requests:
            from vllm.lora.request import LoRARequest

            require_servable(adapter, self._shapes, dtype=self.dtype, room=self._room)
            self._requests[identity] = LoRARequest(identity, len(self._requests) + 1, str(adapter.resolve()))
        return self._requests[identity]

    def _encode(self, prompts: Sequence[Prompt], *, room: int) -> list[Encoded]:
        # Every variant gets the same prompts; tokenizing all of MMLU takes seconds in which the GPU would wait.
        key = (room, tuple(prompts))
        if key not in self._encodings:
            self._encodings[key] = encode_prompts(self.tokenizer, prompts, limit=self.limit, room=room)
        return self._encodings[key]


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
    return OptionScores(values, answer.token_ids[0] in options, prompt.length, prompt.sha, prompt.truncated)
