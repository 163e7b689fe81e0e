"""A `vllm` that answers with transformers, one prompt after the other: the calls it takes are those of vLLM 0.23.

It knows the parameters that the real one has and no others, gives answers in the real one's shapes, ends where the real
one ends (the token that ends an answer is part of it) and refuses what the real one refuses. It computes in float32
whatever it is told, so that answers can be compared with another engine's to rounding.
"""

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM, AutoTokenizer

from contrapeso.models.served_start import ENVIRONMENT

RANKS = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]


@dataclass
class SamplingParams:
    temperature: float = 1.0
    max_tokens: int | None = 16
    stop: list[str] = field(default_factory=list)
    stop_token_ids: list[int] = field(default_factory=list)
    logprob_token_ids: list[int] | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True

    def __post_init__(self) -> None:
        assert not (self.stop and not self.detokenize)
        assert all(self.stop)


@dataclass(frozen=True)
class LoRARequest:
    lora_name: str
    lora_int_id: int
    lora_path: str = ""


class LLM:
    """Records what it was started with and asked for."""

    started: "list[LLM]" = []  # noqa: RUF012

    def __init__(
        self,
        *,
        model: str,
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        dtype: str = "auto",
        quantization: str | None = None,
        load_format: str = "auto",
        gpu_memory_utilization: float = 0.92,
        max_model_len: int | None = None,
        enable_prefix_caching: bool | None = None,
        generation_config: str = "auto",
        compilation_config: dict[str, Any] | None = None,
        use_tqdm_on_load: bool = True,
        seed: int = 0,
        enable_lora: bool = False,
        max_lora_rank: int = 16,
        max_loras: int = 1,
        max_cpu_loras: int | None = None,
        lora_target_modules: list[str] | None = None,
    ) -> None:
        self.options = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        assert not enable_lora or max_lora_rank in RANKS.__args__  # type: ignore[attr-defined]
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model_config = SimpleNamespace(max_model_len=self.model.config.max_position_embeddings)
        self.asked: list[tuple[int, LoRARequest | None]] = []
        self.aborted: list[str] = []
        self.ended = False
        self.llm_engine = SimpleNamespace(
            engine_core=SimpleNamespace(shutdown=self._end), step=self._step, abort_request=self._abort
        )
        self._queue: list[Any] = []
        self._numbers = itertools.count()
        LLM.started.append(self)

    def _end(self) -> None:
        self.ended = True

    def _step(self) -> list[Any]:
        """Finishes a few of the requests there are, the youngest first: answers need not come in order."""
        done, self._queue = self._queue[-3:][::-1], self._queue[:-3]
        return done

    def _abort(self, names: Sequence[str]) -> None:
        self.aborted += names
        self._queue = [output for output in self._queue if output.request_id not in names]

    def enqueue(
        self,
        prompts: Sequence[dict[str, list[int]]],
        sampling_params: Sequence[SamplingParams],
        *,
        use_tqdm: bool = True,
        lora_request: LoRARequest | None = None,
    ) -> list[str]:
        """As the real one: an answer is named by the first part of what this gives back."""
        outputs = self.answers(prompts, sampling_params, lora_request, use_tqdm=use_tqdm)
        for output in outputs:
            output.request_id = str(next(self._numbers))
        self._queue += outputs
        return [f"{output.request_id}-0f3a" for output in outputs]

    def answers(
        self,
        prompts: Sequence[dict[str, list[int]]],
        sampling_params: Sequence[SamplingParams],
        lora_request: LoRARequest | None = None,
        *,
        use_tqdm: bool = False,
    ) -> list[Any]:
        assert len(prompts) == len(sampling_params)
        assert not use_tqdm
        self.asked.append((len(prompts), lora_request))
        if lora_request is None:
            return [self._answer(p["prompt_token_ids"], s) for p, s in zip(prompts, sampling_params, strict=True)]
        assert self.options["enable_lora"]
        assert lora_request.lora_int_id > 0
        wrapped = PeftModel.from_pretrained(self.model, lora_request.lora_path).eval()
        assert wrapped.peft_config["default"].r <= self.options["max_lora_rank"]
        self._leave_out(wrapped)
        try:
            return [self._answer(p["prompt_token_ids"], s) for p, s in zip(prompts, sampling_params, strict=True)]
        finally:
            wrapped.unload()
            vars(self.model).pop("peft_config", None)

    def _leave_out(self, wrapped: PeftModel) -> None:
        """As the real one: layers it was not started for answer as the base does, and nobody is told."""
        for name, module in wrapped.named_modules():
            if isinstance(module, LoraLayer) and name.rpartition(".")[2] not in self.options["lora_target_modules"]:
                module.set_scale("default", 0.0)

    @torch.no_grad()
    def _answer(self, prompt: list[int], asked: SamplingParams) -> Any:
        assert asked.temperature == 0.0
        assert asked.max_tokens is not None
        assert len(prompt) < self.model_config.max_model_len
        tokens: list[int] = []
        logprobs: list[dict[int, Any]] = []
        while len(tokens) < asked.max_tokens:
            values = self.model(torch.tensor([prompt + tokens])).logits[0, -1].log_softmax(-1)
            tokens.append(int(values.argmax()))
            if asked.logprob_token_ids:
                places = [tokens[-1], *asked.logprob_token_ids]
                logprobs.append({place: SimpleNamespace(logprob=float(values[place])) for place in places})
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            ends = {self.tokenizer.eos_token_id, *asked.stop_token_ids}
            if tokens[-1] in ends or any(stop in text for stop in asked.stop):
                break
        return SimpleNamespace(
            outputs=[SimpleNamespace(token_ids=tuple(tokens), logprobs=logprobs or None)],
            prompt_logprobs=None if asked.prompt_logprobs is None else self._of_prompt(prompt, asked.prompt_logprobs),
        )

    def _of_prompt(self, prompt: list[int], likeliest: int) -> list[Any]:
        """Every token of the prompt with its log-probability; the first has none."""
        assert likeliest == 0
        values = self.model(torch.tensor([prompt])).logits[0].log_softmax(-1)
        return [
            None,
            *({token: SimpleNamespace(logprob=float(values[place, token]))} for place, token in enumerate(prompt[1:])),
        ]


def install(monkeypatch: pytest.MonkeyPatch) -> type[LLM]:
    """Make `import vllm` give this one, with a GPU half free."""
    names = {
        "vllm": {"LLM": LLM, "SamplingParams": SamplingParams, "__path__": []},
        "vllm.lora": {"__path__": []},
        "vllm.lora.request": {"LoRARequest": LoRARequest},
        "vllm.config": {"__path__": []},
        "vllm.config.lora": {"MaxLoRARanks": RANKS},
    }
    for name, content in names.items():
        module = ModuleType(name)
        vars(module).update(content)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(LLM, "started", [])
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")  # whatever the engine sets is taken back
        monkeypatch.delenv(name)
    return LLM
