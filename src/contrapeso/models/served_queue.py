"""Keeping vLLM at work: while some chunks of prompts are answered and judged, the next ones wait in its queue.

Chunks of requests enter; their answers leave chunk by chunk, in order. `LLM.generate` would empty the GPU at the end of
every chunk: nothing new is asked before the last answer has been judged and filed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

AHEAD = 4
"""Chunks in vLLM's queue, the one waited for included."""


@dataclass(frozen=True)
class Request:
    """One prompt as vLLM gets it.

    Attributes:
        tokens: token ids of the prompt.
        asked: vLLM's `SamplingParams`.
    """

    tokens: Sequence[int]
    asked: Any


def answers_in_chunks(llm: Any, chunks: Iterator[Sequence[Request]], *, lora: Any) -> Iterator[list[Any]]:
    """The answers to each chunk of requests, in order.

    Args:
        llm: a running `vllm.LLM` that nobody else asks meanwhile.
        chunks: read `AHEAD` of what has been answered.
        lora: vLLM's `LoRARequest`; None asks the base.

    Yields:
        vLLM's finished outputs, one a request, in the order of the chunk.
    """
    engine = llm.llm_engine
    waiting: deque[list[str]] = deque()
    answered: dict[str, Any] = {}

    def refill() -> None:
        for chunk in islice(chunks, AHEAD - len(waiting)):
            prompts = [{"prompt_token_ids": request.tokens} for request in chunk]
            names = llm.enqueue(prompts, [request.asked for request in chunk], lora_request=lora, use_tqdm=False)
            waiting.append([name.partition("-")[0] for name in names])  # answers are named without the random end

    try:
        refill()
        while waiting:
            missing = set(waiting[0]) - answered.keys()
            while missing:
                for output in engine.step():
                    answered[output.request_id] = output
                    missing.discard(output.request_id)
            done = [answered.pop(name) for name in waiting.popleft()]
            refill()
            yield done
    except GeneratorExit:  # nobody wants the rest: it must not be computed before what is asked next
        engine.abort_request([name for chunk in waiting for name in chunk])
        raise
