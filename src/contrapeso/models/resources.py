"""How much memory a model takes and how much there is, read from file headers: no weights are loaded."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path

import psutil

from contrapeso.models.loading import local_folder

BYTES_A_WEIGHT = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
NF4_BYTES_A_WEIGHT = 0.52
"""4 bits and, with double quantization, 0.127 bits of scales (Dettmers et al. 2023, section 3)."""


def weights_memory_gib(model_id: str, *, revision: str | None, dtype: str, quantization: str) -> float | None:
    """Memory of a model's weights once loaded, in GiB; None when they are not on this machine.

    Args:
        model_id: `pocket`, a folder or a hub id.
        revision: commit, tag or branch of a hub id.
        dtype: arithmetic the weights are loaded in.
        quantization: `none`, or `nf4`, which leaves embeddings, norms and vectors in `dtype`.
    """
    folder = local_folder(model_id) or _cached_folder(model_id, revision)
    if folder is None:
        return None
    total = 0.0
    # Some repositories hold the weights a second time (`consolidated.safetensors`), for other libraries.
    for file in list(folder.glob("model*.safetensors")) or folder.glob("*.safetensors"):
        for name, shape in _shapes(file).items():
            quantized = quantization == "nf4" and len(shape) == 2 and "embed" not in name and "lm_head" not in name
            total += prod(shape) * (NF4_BYTES_A_WEIGHT if quantized else BYTES_A_WEIGHT[dtype])
    return total / 2**30 if total else None


def free_memory_gib(device: str) -> float:
    """Memory to be had on a device now, in GiB."""
    if device == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0]) / 2**30
    return float(psutil.virtual_memory().available) / 2**30


def _cached_folder(model_id: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model_id, "config.json", revision=revision)
    return Path(config).parent if isinstance(config, str) else None


def _shapes(file: Path) -> dict[str, list[int]]:
    """Shape of every tensor, from the header of a safetensors file: 8 bytes of length, then JSON."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
