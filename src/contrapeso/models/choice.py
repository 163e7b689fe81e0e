"""Which engine answers: the one asked for, the one that can run here, or the one that ends soonest.

What a study asks of its models enters; an engine's name and the reason in words leave. No weights are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from contrapeso.distributed import size
from contrapeso.models.loading import resolve_device
from contrapeso.models.resources import weights_memory_gib

if TYPE_CHECKING:
    from contrapeso.settings import ModelSettings
    from contrapeso.tasks.base import Task

Name = Literal["local", "served"]
Asked = Literal["local", "served", "auto"]

REFERENCE_WEIGHTS = 7.25e9
"""Weights of the model the rates below were measured with, on one H200 in bfloat16: `local` in `benchmarks/slots.py`,
`served` in `benchmarks/whole_study.py`."""


@dataclass(frozen=True)
class Rates:
    """How fast an engine is.

    Attributes:
        start: seconds until it answers.
        generations: text-to-SQL answers a second.
        choices: multiple-choice questions a second.
    """

    start: float
    generations: float
    choices: float


RATES: dict[Name, Rates] = {
    "local": Rates(start=0.0, generations=139.0, choices=213.0),
    "served": Rates(start=23.0, generations=214.0, choices=327.0),
}
"""Of Spider dev with 40 new tokens and of 5-shot MMLU, the mean over a base and two adapters. The base is on the GPU
after training, so `local` starts at once. Answering takes time in proportion to the weights; starting vLLM takes about
as long for a small model as for this one, and 20 s longer the first time on a machine, when kernels are compiled."""


@dataclass(frozen=True)
class Choice:
    """Which engine, and why.

    Attributes:
        engine: `local` or `served`.
        reason: a sentence for whoever watches.
    """

    engine: Name
    reason: str


LOCAL = Choice("local", "engine local, as asked")


def choose_for_study(
    asked: Asked, model: ModelSettings, *, commit: str | None, dtype: str, tasks: Sequence[Task]
) -> Choice:
    """Decide what answers the prompts of a study; see `choose_engine`.

    Args:
        asked: the setting `evaluate.engine`.
        model: the base model.
        commit: of a hub model; None for a folder.
        dtype: arithmetic of the weights.
        tasks: what is measured; a task as often as there are variants.

    Returns:
        The engine, and why.
    """
    if asked == "local":
        return LOCAL
    lent = next((task.name for task in tasks if task.kind == "model"), "")
    if lent:
        return Choice("local", f"engine local, because lm-evaluation-harness is lent the model for the axis {lent}")
    gib = weights_memory_gib(model.id, revision=commit, dtype="bfloat16", quantization="none")
    asks = {kind: sum(len(task.items) for task in tasks if task.kind == kind) for kind in ("generation", "options")}
    return choose_engine(
        asked,
        device=resolve_device(model.device),
        dtype=dtype,
        weights=REFERENCE_WEIGHTS if gib is None else gib * 2**29,  # two bytes a weight
        generations=asks["generation"],
        choices=asks["options"],
    )


def choose_engine(
    asked: Asked,
    *,
    device: str,
    dtype: str,
    weights: float,
    generations: int,
    choices: int,
) -> Choice:
    """Decide what answers a study's prompts.

    `auto` takes the engine with the smaller start + (weights / 7.25e9) (generations / rate + choices / rate). It
    counts the whole study and not what is left of it, so that a resumed study goes on with the engine it began with.

    Args:
        asked: the setting `evaluate.engine`.
        device: `cpu` or `cuda`.
        dtype: arithmetic of the weights.
        weights: how many the base model has.
        generations: text-to-SQL prompts of the whole study, all variants together.
        choices: multiple-choice prompts, likewise.

    Returns:
        The engine, and why.
    """
    if asked == "local":
        return LOCAL
    missing = _missing(device, dtype)
    if missing:
        return Choice("local", f"engine local, because {missing}")
    if asked == "served":
        return Choice("served", "engine served, as asked")
    heavier = weights / REFERENCE_WEIGHTS
    seconds = {
        name: rates.start + heavier * (generations / rates.generations + choices / rates.choices)
        for name, rates in RATES.items()
    }
    soonest: Name = min(seconds, key=lambda name: seconds[name])
    other: Name = "served" if soonest == "local" else "local"
    return Choice(
        soonest,
        f"engine {soonest}: about {seconds[soonest]:.0f} s on an H200 for {generations} queries and {choices} choices, "
        f"where {other} would take {seconds[other]:.0f} s",
    )


def _missing(device: str, dtype: str) -> str:
    """Why vLLM cannot be had here; empty when it can."""
    if device != "cuda":
        return "vLLM needs a GPU"
    if size() > 1:
        return "several processes share the work"
    if find_spec("vllm") is None:
        return "vLLM is not installed"
    if dtype == "float32":
        return "vLLM computes adapters in 16 bits and model.dtype is float32"
    return ""
