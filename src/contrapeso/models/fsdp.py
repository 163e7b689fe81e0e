"""A base model too large for one GPU: its weights divided among the processes (fully sharded data parallel, FSDP).

A transformers model enters, and the same model stays, each process holding its part of every weight. A layer's weights
are gathered when the layer computes and let go afterwards (Zhao et al. 2023, https://arxiv.org/abs/2304.11277). Only
the base is divided: it is frozen, so nothing but weights is exchanged for it, and adapters, small as they are, are
whole in every process, where they are trained, saved and switched as on an undivided base.

Whoever computes a layer needs everybody's part. So all processes compute as many forward passes, in step: one that has
nothing left to compute computes a token for nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from contrapeso.distributed import greatest, rank, size

T = TypeVar("T")

EXHAUSTED, BATCH_DONE, COMPUTING = range(3)
"""What a process says before a forward pass, or instead of one."""


def divided(load: Callable[[], Any], device: str) -> Any:
    """A model whose weights are divided among the processes; in turns, so that the host holds one whole copy.

    Args:
        load: gives the whole model, on the CPU.
        device: `cpu` or `cuda`, where the parts shall lie.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (size(),))
    for turn in range(size()):
        if turn == rank():
            model = load().eval().requires_grad_(False)
            layers = set(model._no_split_modules or ())  # transformers' names of what computes in one go
            for module in [module for module in model.modules() if type(module).__name__ in layers]:
                fully_shard(module, mesh=mesh)
            fully_shard(model, mesh=mesh)
        greatest(0)
    return model


def is_divided(model: Any) -> bool:
    """Whether a model's weights are divided among the processes."""
    if size() == 1:
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)


def in_step(engine: Any, batches: Iterator[T]) -> Iterator[T | None]:
    """The batches that an engine computes, in step with the other processes where they need one another's weights.

    Args:
        engine: has the `model` it computes with.
        batches: computes one at a time.

    Yields:
        The batches, and None after the last: not the end, because then come the tokens for nobody, as many as the
        others need.
    """
    model: Any = getattr(engine, "model", None)
    if not is_divided(model):
        yield from batches
        yield None
        return
    steps = _Steps(model)
    hook = model.register_forward_pre_hook(steps, prepend=True)
    try:
        for batch in batches:
            steps.keep(BATCH_DONE)
            yield batch
        yield None
        steps.keep(EXHAUSTED)
    finally:
        hook.remove()


class _Steps:
    """Announces every forward pass of a model to the other processes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._silent = False

    def __call__(self, *_: Any) -> None:
        """Before a forward pass."""
        if not self._silent:
            greatest(COMPUTING)

    def keep(self, state: int) -> None:
        """Compute along until all processes are as far: at the end of a batch, or of all of them."""
        import torch

        token = torch.zeros((1, 1), dtype=torch.long, device=self._model.device)
        self._silent = True
        while (furthest := greatest(state)) != state:
            if furthest == COMPUTING:
                with torch.no_grad():
                    self._model(input_ids=token, use_cache=False)
        self._silent = False
