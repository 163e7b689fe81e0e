"""An adapter whose update acts more or less strongly: W x + scale (alpha / r) B A x.

Interpolation between base and tuned weights (WiSE-FT, https://arxiv.org/abs/2109.01903), which for LoRA is one number:
0 is the base, 1 the adapter. A folder in PEFT format and a scale enter; the refusal of what cannot be scaled exactly
leaves, or an ordinary adapter with the scale folded in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contrapeso.errors import ModelError
from contrapeso.models.adapters import ADAPTER_FILES, adapter_identity, read_configuration
from contrapeso.models.engine import Variant
from contrapeso.store import write_atomically

UNSCALABLE = {
    "use_dora": "weight-decomposed updates (DoRA): its norm of W + B A is no multiple of the update",
    "modules_to_save": "whole trained layers (modules_to_save), which are no update of the base",
    "trainable_token_indices": "trained token embeddings (trainable_token_indices), which are no update of the base",
    "target_parameters": "updates of bare parameters (target_parameters)",
    "use_qalora": "updates of pooled inputs (QA-LoRA)",
    "use_bdlora": "block-diagonal updates (BD-LoRA)",
    "alora_invocation_tokens": "updates that act on some tokens only (aLoRA)",
    "kasa_config": "updates with singular values of their own (KaSA)",
    "monteclora_config": "sampled updates (MonteCLoRA)",
}
"""Fields of an adapter's configuration with which scaling B A is not scaling what was trained."""


def require_scalable(folder: Path) -> None:
    """Refuse an adapter that scaling B would not scale as a whole.

    Args:
        folder: an adapter in PEFT format.

    Raises:
        ModelError: it is not plain LoRA; the message says why.
    """
    configuration = read_configuration(folder)
    if configuration.get("peft_type") != "LORA":
        raise ModelError(f"the adapter {folder} is {configuration.get('peft_type')}; only LoRA updates can be scaled")
    found = [words for name, words in UNSCALABLE.items() if configuration.get(name)]
    if configuration.get("bias", "none") != "none":
        found.append(f"trained biases (bias = {configuration['bias']!r}), which are no update of the base")
    if found:
        raise ModelError(
            f"the adapter {folder} cannot be scaled, because it has {' and '.join(found)}: measure it as it is, with "
            "evaluate.scales = [1.0]"
        )


def require_base_at_zero(variant: Variant, answers: Callable[[Variant], Sequence[Any]]) -> None:
    """Refuse to scale what leaves something behind at scale 0: it would be no way from the base to the adapter.

    Args:
        variant: the adapter and the scale that is asked for.
        answers: tensors by which a variant is held against another, bit for bit.

    Raises:
        ModelError: the adapter at scale 0 does not answer as the base does.
    """
    bare, zero = answers(Variant("base")), answers(Variant("scale 0", variant.adapter, 0.0))
    if not all(bool((one == other).all()) for one, other in zip(bare, zero, strict=True)):
        raise ModelError(
            f"{variant.name} cannot be measured: with its update scaled by 0 the adapter {variant.adapter} does not "
            "answer bit for bit as the base does, so that its scales are no way between the two; measure it as it is, "
            "with evaluate.scales = [1.0]"
        )


def fold_scale(folder: Path, scale: float, out: Path) -> None:
    """Write an adapter that gives at scale 1 what another gives at `scale`; the same bytes every time.

    B is multiplied and nothing else changed. 16-bit matrices stay so when no bit is lost; otherwise B becomes float32,
    in which PEFT computes adapters anyway.

    Args:
        folder: an adapter in PEFT format.
        scale: what its update is multiplied by.
        out: an empty folder, or one that does not exist yet.

    Raises:
        ModelError: the adapter cannot be scaled.
        ResourceError: a file cannot be written.
    """
    configuration, weights = (folder / name for name in ADAPTER_FILES)
    write_atomically(out / configuration.name, configuration.read_bytes())
    if scale == 1:
        write_atomically(out / weights.name, weights.read_bytes())
        return
    require_scalable(folder)
    from safetensors.torch import load_file, save

    tensors = {
        name: _multiplied(tensor, scale) if ".lora_B." in name or ".lora_embedding_B" in name else tensor
        for name, tensor in load_file(weights).items()
    }
    write_atomically(out / weights.name, save(tensors, metadata={"format": "pt"}))


class FoldedAdapters:
    """Adapters with a scale folded in, for an engine that knows no scale; they are gone when this object is."""

    def __init__(self) -> None:
        self._scratch: TemporaryDirectory[str] | None = None

    def folder(self, adapter: Path, scale: float) -> Path:
        """The folder to load for an adapter at a scale; the adapter's own when the scale is 1.

        Args:
            adapter: its folder in PEFT format.
            scale: what its update is multiplied by.

        Raises:
            ModelError: the adapter cannot be scaled.
            ResourceError: a file cannot be written.
        """
        if scale == 1:
            return adapter
        if self._scratch is None:
            self._scratch = TemporaryDirectory(prefix="contrapeso-")
        folded = Path(self._scratch.name) / f"{adapter_identity(adapter)}-{scale!r}"
        if not folded.exists():
            fold_scale(adapter, scale, folded)
        return folded


def _multiplied(tensor: Any, scale: float) -> Any:
    exact = tensor.float() * scale
    rounded = exact.to(tensor.dtype)
    return rounded if bool((rounded.float() == exact).all()) else exact
