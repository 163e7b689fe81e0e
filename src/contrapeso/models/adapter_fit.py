"""Whether an adapter is one of a base model, told from names and shapes alone: no weights are read.

A folder in PEFT format and a model on PyTorch's `meta` device enter; a refusal leaves when they do not fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contrapeso.errors import ModelError
from contrapeso.models.adapters import ADAPTER_FILES

EMBEDDINGS = tuple(f".{layer}{kind}.weight" for layer in ("embed_tokens", "lm_head") for kind in (".base_layer", ""))
"""How the weights end that PEFT saves beside an update (its `EMBEDDING_LAYER_NAMES`)."""
Shapes = dict[str, tuple[int, ...]]


def stored_shapes(folder: Path) -> Shapes:
    """Name -> shape of every weight an adapter holds.

    Raises:
        ModelError: its file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / ADAPTER_FILES[1]
    try:
        with safe_open(path, framework="pt") as weights:
            return {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118  # no dict
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read ({error}): fetch the adapter again") from error


def _require_no_embeddings(folder: Path, extra: set[str]) -> None:
    """Refuse whole embeddings beside the update: PEFT would put them over the base's own."""
    ends = tuple(end for end in EMBEDDINGS if any(name.endswith(end) for name in extra))
    if extra and all(name.endswith(ends) for name in extra):
        file = ADAPTER_FILES[1]
        raise ModelError(
            f"the adapter {folder} also holds weights of the base itself ({', '.join(ends)}), which loading would put "
            "over the base's own. Where they are the base's unchanged, as PEFT saves them unless told "
            'save_embedding_layers=False, leave them out: python -c "import safetensors.torch as s; '
            f"w = s.load_file('{file}'); s.save_file({{k: v for k, v in w.items() if not k.endswith({ends})}}, "
            f"'{file}', metadata={{'format': 'pt'}})\" in its folder, then import that"
        )


def require_fit(folder: Path, model: Any) -> None:
    """Refuse an adapter that is not one of this base.

    Args:
        folder: an adapter in PEFT format.
        model: the base on the `meta` device: layers and shapes without weights.

    Raises:
        ModelError: PEFT cannot put it on this base, or its weights are not those it would have there.
    """
    given, expected = stored_shapes(folder), _expected_shapes(folder, model)
    if given != expected:
        if expected.items() <= given.items():
            _require_no_embeddings(folder, given.keys() - expected.keys())
        differ = sum(given[name] != expected[name] for name in given.keys() & expected.keys())
        raise ModelError(
            f"the adapter {folder} does not fit this base model (weights of {len(given.keys() - expected.keys())} "
            f"layers too many, {len(expected.keys() - given.keys())} missing, {differ} of another shape): was it "
            "trained on another one?"
        )


def _expected_shapes(folder: Path, model: Any) -> Shapes:
    """What PEFT would store for this configuration on this base."""
    import torch
    from peft import PeftConfig, PeftModel, get_peft_model_state_dict

    try:
        with torch.device("meta"):
            wrapped = PeftModel(model, PeftConfig.from_pretrained(str(folder)))
    except Exception as error:  # whatever a stranger's configuration breaks in PEFT; chained, so nothing is hidden
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ModelError(f"the adapter {folder} does not fit this base model ({reason})") from error
    try:
        state = get_peft_model_state_dict(wrapped, save_embedding_layers=False)
        return {name: tuple(weight.shape) for name, weight in state.items()}
    finally:
        wrapped.unload()
        vars(model).pop("peft_config", None)
