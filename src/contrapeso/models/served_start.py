"""Starting vLLM: what it is told, what memory it may take, and what its failures are called here.

The name of a base model enters; a running `vllm.LLM` leaves, or an error that says what to do instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from contrapeso.errors import ContrapesoError, ModelError, ResourceError
from contrapeso.models.served_adapters import USE_LOCAL, Room, room_for
from contrapeso.models.weights import Quantization

RESERVE_BYTES = 3 * 2**29
"""GPU memory left to the rest of the machine: the process' own context, CUDA's bookkeeping."""
LARGEST_SHARE = 0.92
"""Of the whole GPU memory; what vLLM itself takes unless told otherwise."""
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # a process of its own would import everything again: 20 s of the start
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # where it has one: a forked child could not use CUDA once this has
    "VLLM_LOGGING_LEVEL": "ERROR",  # progress goes through the reporter
    "VLLM_NO_USAGE_STATS": "1",  # nothing is reported to anybody
    "VLLM_USE_FLASHINFER_SAMPLER": "0",  # it samples; here the likeliest token is taken
}
"""Set before vLLM is imported, unless the user has."""
GRAPHS = {
    "mode": 0,
    "cudagraph_mode": "FULL_DECODE_ONLY",
    "cudagraph_capture_sizes": [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
}
"""No compiler: on an H200 it answered a study of a 7B model 15 s sooner and started 60 s later. Single-token steps of
few rows, where the time between kernels counts, are replayed as CUDA graphs."""


def free_share() -> float:
    """The share of the GPU's memory that vLLM may take: what is free now, less a reserve.

    Raises:
        ResourceError: there is no GPU, or nothing is free on it.
    """
    import torch

    if not torch.cuda.is_available():
        raise ResourceError(f'evaluate.engine is "served" but PyTorch sees no GPU: {USE_LOCAL}')
    free, total = torch.cuda.mem_get_info()
    if free <= RESERVE_BYTES:
        raise ResourceError(
            f"only {free / 2**30:.1f} of {total / 2**30:.1f} GiB are free on the GPU: end what else uses it, or "
            f"{USE_LOCAL}"
        )
    return round(min(LARGEST_SHARE, (free - RESERVE_BYTES) / total), 4)


def start_vllm(
    source: str, *, revision: str | None, dtype: str, quantization: Quantization, room: Room, adapters: int
) -> Any:
    """Start vLLM; it takes half a minute.

    Args:
        source: a folder or a hub id.
        revision: commit, tag or branch of a hub id.
        dtype: arithmetic.
        quantization: `nf4` is made as vLLM loads, by bitsandbytes with double quantization, as in `load_model`.
        room: what adapters need; see `served_room`.
        adapters: how many adapters wait in main memory; 0 leaves adapters out.

    Raises:
        ModelError: vLLM cannot serve this model.
        ResourceError: vLLM or the GPU is missing, or the GPU's memory does not suffice.
    """
    options: dict[str, Any] = {}
    if quantization == "nf4":
        options |= {"quantization": "bitsandbytes", "load_format": "bitsandbytes"}
    if adapters:
        # One at a time on the GPU, because variants are asked one after the other.
        options |= {"enable_lora": True, "max_loras": 1, "max_cpu_loras": adapters}
        options |= {"max_lora_rank": room.rank, "lora_target_modules": sorted(room.layers)}
    share = free_share()
    with importing():
        from vllm import LLM
    try:
        return LLM(
            model=source,
            revision=revision,
            tokenizer_revision=revision,
            dtype=dtype,
            gpu_memory_utilization=share,
            max_model_len=-1,  # the model's own, or as much of it as the memory allows
            enable_prefix_caching=True,
            generation_config="vllm",  # a model's own sampling settings are not for a measurement
            compilation_config=dict(GRAPHS),
            use_tqdm_on_load=False,
            seed=0,
            **options,
        )
    except Exception as error:  # vLLM raises whatever broke in it; chained, so nothing is hidden
        raise refusal(f"vLLM could not be started with {source}", error) from error


@contextmanager
def importing() -> Iterator[None]:
    """Within the block vLLM is imported, in its environment; when that fails the error says what to do.

    Raises:
        ResourceError: vLLM, or something it needs, is not installed.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        yield
    except ImportError as error:
        raise ResourceError(
            f'evaluate.engine is "served" but vLLM cannot be imported ({error}): install vllm, or {USE_LOCAL}'
        ) from error


def refusal(what: str, error: Exception) -> ContrapesoError:
    """What to raise for a failure of vLLM.

    Args:
        what: what failed, as the beginning of a sentence.
        error: what vLLM raised.
    """
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    text = f"{what} ({reason}); its own messages stand above: {USE_LOCAL}"
    if isinstance(error, ImportError):
        return ResourceError(f"{text}, or install what vLLM misses")
    memory = isinstance(error, MemoryError) or "memory" in str(error).lower()
    return ResourceError(f"{text}, or free memory on the GPU") if memory else ModelError(text)


def served_room(adapters: Sequence[Path]) -> Room:
    """The room adapters need, its rank raised to the next that vLLM has kernels for.

    Args:
        adapters: folders in PEFT format.

    Raises:
        ModelError: an adapter cannot be served.
        ResourceError: vLLM is not installed.
    """
    room = room_for(adapters)
    if not adapters:
        return room
    with importing():
        from vllm.config.lora import MaxLoRARanks
    ranks = sorted(get_args(MaxLoRARanks))
    if room.rank > ranks[-1]:
        raise ModelError(f"an adapter has rank {room.rank}; vLLM serves up to {ranks[-1]}: {USE_LOCAL}")
    return replace(room, rank=next(rank for rank in ranks if rank >= room.rank))


def without_weights(source: str, revision: str | None) -> tuple[Any, Any]:
    """The model's layers and shapes on the `meta` device and its end-of-sequence tokens: no weights are read.

    Args:
        source: a folder or a hub id.
        revision: commit, tag or branch of a hub id.

    Raises:
        ModelError: its configuration cannot be read.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    options: dict[str, Any] = {"revision": revision, "local_files_only": Path(source).is_dir()}
    try:
        config = AutoConfig.from_pretrained(source, **options)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        try:
            end_tokens = GenerationConfig.from_pretrained(source, **options).eos_token_id
        except OSError:  # it has no generation_config.json; transformers then takes it from the model's configuration
            end_tokens = model.generation_config.eos_token_id
    except Exception as error:  # as in `loading`: transformers raises it in a dozen types
        raise ModelError(f"{source} could not be read ({type(error).__name__}: {error})") from error
    return model, end_tokens
