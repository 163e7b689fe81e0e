"""LoRA adapters on one base model: put on, switched, taken off.

Folders in PEFT format enter. The base model itself is changed in place while an adapter is on it (PEFT replaces its
linear layers by wrapped ones), so code that holds the base needs no other handle to answer for a variant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contrapeso.data.mistaken import mistaken_for
from contrapeso.errors import ModelError
from contrapeso.models.loading import hash_files

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


def adapter_identity(folder: Path) -> str:
    """SHA-256 over an adapter's configuration and weights, as 64 hex digits: what its results are keyed by.

    Args:
        folder: an adapter in PEFT format.

    Raises:
        ModelError: one of the two files is missing.
    """
    files = [folder / name for name in ADAPTER_FILES]
    for path in files:
        if not path.is_file():
            raise ModelError(f"{folder} is no adapter in PEFT format: it has no {path.name}")
    return hash_files(files)


def read_configuration(folder: Path) -> dict[str, Any]:
    """An adapter's `adapter_config.json`.

    Args:
        folder: an adapter in PEFT format.

    Raises:
        ModelError: it is missing or no JSON object.
    """
    path = folder / ADAPTER_FILES[0]
    if not path.is_file():
        raise ModelError(f"{folder} is no adapter in PEFT format: it has no {path.name}")
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is {mistaken_for(path) or f'not JSON ({error})'}") from error
    if not isinstance(configuration, dict):
        raise ModelError(f"{path} is no JSON object; PEFT writes one")
    return configuration


def _no_constant(name: str) -> None:
    """JSON knows no NaN and no Infinity, but Python does."""
    raise ValueError(f"{name} is no number")


class Adapters:
    """The adapters attached to one base model. Each is loaded once, at its first use."""

    def __init__(self, base: Any) -> None:
        self._base = base
        self._wrapped: Any = None
        self._names: dict[str, str] = {}
        self._scales: dict[str, float] = {}
        self._identities: dict[tuple[object, ...], str] = {}

    @contextmanager
    def using(self, folder: Path | None, scale: float = 1.0) -> Iterator[None]:
        """Within the block the base model answers with this adapter; with None, as the bare base.

        Args:
            folder: an adapter in PEFT format, or None.
            scale: what the adapter's update is multiplied by.

        Raises:
            ModelError: the adapter is missing, does not fit the base, or cannot be scaled.
        """
        if folder is None:
            if self._wrapped is None:
                yield
            else:
                with self._wrapped.disable_adapter():
                    yield
            return
        name = self._load(folder)
        self._set_scale(folder, name, scale)
        self._wrapped.set_adapter(name, inference_mode=True)
        # PEFT puts new layers in training mode when it wraps a base in training mode; dropout must never be on here.
        self._base.eval()
        yield

    def detach(self) -> None:
        """Take all adapters off: the base is again the very modules it was, ready to be trained upon."""
        if self._wrapped is not None:
            self._wrapped.unload()
            vars(self._base).pop("peft_config", None)  # PEFT leaves it and would warn at the next adapter
            self._wrapped = None
            self._names, self._scales = {}, {}

    def _set_scale(self, folder: Path, name: str, scale: float) -> None:
        if scale == self._scales.get(name, 1.0):
            return
        from peft.tuners.lora.layer import LoraLayer

        from contrapeso.models.scaling import require_scalable

        require_scalable(folder)
        for layer in self._wrapped.modules():
            if isinstance(layer, LoraLayer):
                layer.set_scale(name, scale)  # from alpha and r of this very layer: setting it twice is setting it once
        self._scales[name] = scale

    def identity(self, folder: Path) -> str:
        """`adapter_identity`, computed once for as long as the files stay as they are."""
        files = [folder / name for name in ADAPTER_FILES]
        if not all(file.is_file() for file in files):
            return adapter_identity(folder)  # says what is missing
        stamp = (folder, *((file.stat().st_mtime_ns, file.stat().st_size) for file in files))
        if stamp not in self._identities:
            self._identities[stamp] = adapter_identity(folder)
        return self._identities[stamp]

    def _load(self, folder: Path) -> str:
        # Keyed by content: a folder that was trained anew under the same path is another adapter.
        identity = self.identity(folder)
        if identity in self._names:
            return self._names[identity]
        # A prefix, because PEFT keeps adapters in a ModuleDict, where names such as `half` or `train` are refused.
        name = f"variant_{len(self._names)}"
        from peft import PeftConfig, PeftModel

        try:
            if self._wrapped is None:
                config = PeftConfig.from_pretrained(str(folder))
                config.inference_mode = True
                self._wrapped = PeftModel(self._base, config, adapter_name=name)
            self._wrapped.load_adapter(str(folder), adapter_name=name, is_trainable=False)
        except (ValueError, RuntimeError, KeyError, TypeError, OSError) as error:
            self.detach()  # a half-loaded adapter must not stay on the base
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ModelError(f"the adapter {folder} does not fit this base model ({reason})") from error
        self._require_all_weights_used(folder, name)
        self._names[identity] = name
        return name

    def _require_all_weights_used(self, folder: Path, name: str) -> None:
        # PEFT leaves out weights of layers the base lacks, and starts missing ones afresh, with a warning at most.
        from peft import get_peft_model_state_dict
        from safetensors import safe_open

        with safe_open(folder / ADAPTER_FILES[1], framework="pt") as weights:
            given = set(weights.keys())
        used = set(get_peft_model_state_dict(self._wrapped, adapter_name=name, save_embedding_layers=False))
        if given != used:
            self.detach()
            raise ModelError(
                f"the adapter {folder} does not fit this base model (weights of {len(given - used)} layers too many, "
                f"{len(used - given)} missing): was it trained on another one?"
            )
