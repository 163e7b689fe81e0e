"""A model with the shape of Mistral-7B and random weights, and what the machine below it can do at best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from contrapeso.models.loading import LoadedModel

TINY_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def random_mistral(tokenizer: Any, shape: Mapping[str, int]) -> LoadedModel:
    """A model with the shape of Mistral-7B-Instruct-v0.2 and later, made where it will compute."""
    import torch
    from transformers import AutoModelForCausalLM, MistralConfig

    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = MistralConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=32_768,
        sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        **shape,
    )
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.eval().requires_grad_(False)
    model.name_or_path = "random"  # an adapter names its base
    return LoadedModel(model, tokenizer, device, str(dtype).removeprefix("torch."), "none")


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


def ceiling() -> float:
    """TFLOP/s of a large product of random bfloat16 matrices: what the GPU can do at best."""
    import torch

    if not torch.cuda.is_available():
        return float("nan")
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
