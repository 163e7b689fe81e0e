"""Is the gradient of packs that of their rows, on this machine and at this size?

A model and token rows enter; relative differences leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contrapeso.models.loading import LoadedModel
from contrapeso.settings import LoraSettings
from contrapeso.training.adapter import adapted
from contrapeso.training.shared_prefix import BLOCK, LEAST_SHARED, SharedPrefixCollator, pack_loss


def agreement(base: LoadedModel, rows: Sequence[dict[str, Any]], adapter: Mapping[str, Any]) -> dict[str, float]:
    """How far loss and LoRA gradients of packed rows are from those of the rows one by one, relatively.

    Args:
        base: a model.
        rows: of one step.
        adapter: settings; their dropout is left out.

    Returns:
        `loss` and `gradient`: packed, against one by one with the same attention. `rounding`: what the gradient differs
        by when the rows are taken one by one both times, with FlexAttention and with PyTorch's own.
    """
    import torch

    packs = SharedPrefixCollator(16384, multiple=BLOCK, least_shared=LEAST_SHARED)(rows)["packs"]
    alone = [SharedPrefixCollator(16384, multiple=BLOCK)([row])["packs"][0] for row in rows]
    flexible = LoraSettings(**{**adapter, "dropout": 0.0, "packing": "shared_prefix"})
    usual = flexible.model_copy(update={"packing": "none"})
    (loss, packed), (expected, reference), (_, other) = (
        _gradient(base, settings, chosen) for settings, chosen in ((flexible, packs), (flexible, alone), (usual, alone))
    )
    return {
        "loss": abs(loss - expected) / abs(expected),
        "gradient": (torch.linalg.norm(packed - reference) / torch.linalg.norm(reference)).item(),
        "rounding": (torch.linalg.norm(other - reference) / torch.linalg.norm(reference)).item(),
    }


def _gradient(base: LoadedModel, settings: LoraSettings, packs: Sequence[Mapping[str, Any]]) -> tuple[float, Any]:
    """Summed loss of packs and its gradient, at a random adapter that is the same each time."""
    import torch

    with adapted(base, settings, seed=1) as model:
        torch.manual_seed(2)
        learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in learnt:
            parameter.data.normal_(std=0.02)
        total = 0.0
        for pack in packs:
            inputs = {name: tensor.to(base.model.device) for name, tensor in pack.items()}
            with torch.autocast(base.device, torch.bfloat16, enabled=base.dtype == "bfloat16"):
                loss = pack_loss(model, model.get_base_model(), inputs)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total, torch.cat([parameter.grad.flatten() for parameter in learnt if parameter.grad is not None])
