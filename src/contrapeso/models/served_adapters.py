"""Which adapters vLLM can answer with, found out before it is asked: it leaves out in silence what it does not know.

Folders in PEFT format enter; the room they need leaves, or a refusal that says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.errors import ModelError
from contrapeso.models.adapter_fit import require_fit, stored_shapes
from contrapeso.models.adapters import adapter_identity, read_configuration

USE_LOCAL = 'set evaluate.engine = "local"'
UNSUPPORTED = {
    "use_dora": "weight-decomposed updates (DoRA)",
    "modules_to_save": "whole trained layers (modules_to_save)",
    "rank_pattern": "a rank of its own for some layers (rank_pattern)",
    "alpha_pattern": "an alpha of its own for some layers (alpha_pattern)",
    "lora_bias": "trained biases (lora_bias)",
    "layer_replication": "repeated layers (layer_replication)",
    "target_parameters": "updates of bare parameters (target_parameters)",
    "trainable_token_indices": "trained token embeddings (trainable_token_indices)",
}
"""Fields of an adapter's configuration that vLLM refuses or, worse, does not read."""


@dataclass(frozen=True)
class Room:
    """What vLLM is told of adapters when it starts.

    Attributes:
        rank: the largest rank.
        layers: last names of the layers that adapters change. Each of them costs time with every adapter, whether that
            one changes it or not; an adapter's other layers would be left out in silence.
    """

    rank: int
    layers: frozenset[str]


def room_for(adapters: Sequence[Path]) -> Room:
    """The room that adapters need.

    Args:
        adapters: folders in PEFT format.

    Raises:
        ModelError: a folder holds no adapter, or one that vLLM cannot answer with.
    """
    ranks = [int(_supported_configuration(folder)["r"]) for folder in adapters]
    layers = [_layer(name) for folder in adapters for name in stored_shapes(folder)]
    return Room(max(ranks, default=0), frozenset(layers))


def require_servable(folder: Path, model: Any, *, dtype: str, room: Room) -> None:
    """Refuse an adapter that vLLM cannot answer with, or that is not one of this base.

    Args:
        folder: an adapter in PEFT format.
        model: the base on PyTorch's `meta` device: layers and shapes without weights.
        dtype: arithmetic of the base.
        room: what the engine was started for.

    Raises:
        ModelError: it is not supported, it needs more room, or its layers are not those of the base.
    """
    needed = room_for([folder])
    if dtype == "float32":
        raise ModelError(
            f"the adapter {folder} cannot be served in float32 (vLLM computes adapters in 16 bits): set model.dtype = "
            f'"bfloat16", or {USE_LOCAL}'
        )
    if needed.rank > room.rank or not needed.layers <= room.layers:
        raise ModelError(
            f"the adapter {folder} has rank {needed.rank} and changes {', '.join(sorted(needed.layers))}, but the "
            f"engine was started for rank {room.rank} and {', '.join(sorted(room.layers)) or 'no layers'}: name all "
            "adapters when it is started"
        )
    require_fit(folder, model)


def _supported_configuration(folder: Path) -> Mapping[str, Any]:
    adapter_identity(folder)  # says which file is missing
    configuration = read_configuration(folder)
    if configuration.get("peft_type") != "LORA":
        raise ModelError(f"the adapter {folder} is {configuration.get('peft_type')}; vLLM serves LORA: {USE_LOCAL}")
    found = [words for name, words in UNSUPPORTED.items() if configuration.get(name)]
    if configuration.get("bias", "none") != "none":
        found.append(f"trained biases (bias = {configuration['bias']!r})")
    if found:
        raise ModelError(f"the adapter {folder} has {' and '.join(found)}, which vLLM does not serve: {USE_LOCAL}")
    return configuration


def _layer(name: str) -> str:
    """The last name of the layer that a stored weight belongs to: `...self_attn.q_proj.lora_A.weight` is `q_proj`'s."""
    return name.partition(".lora_")[0].rpartition(".")[2]
