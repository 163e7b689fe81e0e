"""A model with the shape of Mistral-7B and random weights, and what the machine below it can do at best."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from contrapeso.models.loading import LoadedModel

TINY_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def random_mistral(tokenizer: Any, shape: Mapping[str, int]) -> LoadedModel:
    """A model with the shape of Mistral-7B-Instruct-v0.2 and later, made where it will compute.

    Args:
        tokenizer: its size is the vocabulary's.
        shape: what differs from Mistral-7B, as fields of `MistralConfig`.
    """
    import torch

    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    model = _random_weights(tokenizer, shape, dtype)
    model.eval().requires_grad_(False)
    model.name_or_path = "random"  # an adapter names its base
    return LoadedModel(model, tokenizer, model.device.type, str(dtype).removeprefix("torch."), "none")


def save_random_mistral(folder: Path, tokenizer: Path, shape: Mapping[str, int]) -> dict[str, float]:
    """Save such a model in bfloat16, with the given tokenizer; whole or not at all.

    Args:
        folder: where to.
        tokenizer: a folder with a tokenizer in Hugging Face format.
        shape: what differs from Mistral-7B.

    Returns:
        Number of parameters, and seconds to make and to write them.
    """
    import torch
    from transformers import AutoTokenizer

    started = time.perf_counter()
    model = _random_weights(AutoTokenizer.from_pretrained(tokenizer), shape, torch.bfloat16)
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    made = time.perf_counter()
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, max_shard_size="2GB")
    for file in (*tokenizer.glob("*.json"), *tokenizer.glob("*.jinja")):
        shutil.copyfile(file, partial / file.name)
    partial.rename(folder)
    written = time.perf_counter()
    return {"parameters": model.num_parameters(), "make_seconds": made - started, "write_seconds": written - made}


def save_in_own_process(folder: Path, tokenizer: Path, shape: Mapping[str, int]) -> dict[str, float]:
    """`save_random_mistral`, so that its memory is not the caller's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(save_random_mistral, folder, tokenizer, shape).result()


def save_random_adapter(folder: Path, base: str, *, seed: int, rank: int = 8, size: float = 0.02) -> Path:
    """An adapter on the attention's layers that changes answers, with random A and B."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
        wrapped = PeftModel(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(ATTENTION)))
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(weight.shape, generator=generator) * size
        for name, weight in get_peft_model_state_dict(wrapped, save_embedding_layers=False).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    wrapped.peft_config["default"].save_pretrained(folder)
    return folder


def forget_cached(folder: Path) -> None:
    """Have the operating system forget the contents of a folder's files, so that they are read from the disk again."""
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not written yet cannot be forgotten
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _random_weights(tokenizer: Any, shape: Mapping[str, int], dtype: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, MistralConfig

    # The defaults of `MistralConfig` are v0.1's: a sliding window and another base of the rotary embedding.
    config = MistralConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=32_768,
        sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **shape,
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


@contextmanager
def compiled_layers(model: Any, wanted: bool) -> Iterator[None]:
    """A model whose layers `torch.compile` fuses, for a while."""
    layers = list(model.model.layers) if wanted else []
    for layer in layers:
        layer.compile()
    try:
        yield
    finally:
        for layer in layers:
            layer._compiled_call_impl = None


def ceiling() -> float | None:
    """TFLOP/s of a large product of random bfloat16 matrices: what the GPU can do at best; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    size = 8192
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        left @ right
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(20):
        left @ right
    end.record()
    torch.cuda.synchronize()
    return 20 * 2 * size**3 / (start.elapsed_time(end) / 1000) / 1e12
