"""A fresh adapter on a base model, and its folder in PEFT format.

A loaded base and a run's settings enter; the adapted model leaves for as long as training takes, and afterwards the
base is bit for bit what it was.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contrapeso.errors import ModelError
from contrapeso.models.loading import LoadedModel
from contrapeso.settings import LoraSettings
from contrapeso.training.shared_prefix import attention_for


@contextmanager
def adapted(base: LoadedModel, settings: LoraSettings, seed: int) -> Iterator[Any]:
    """The base with a fresh adapter on it; afterwards the base as it was.

    Args:
        base: the model to adapt, without adapters on it.
        settings: rank, alpha, dropout and layers; packing, which decides the attention.
        seed: of the initial A.

    Raises:
        ModelError: `target_modules` name no layer of this model.
    """
    import torch
    from peft import LoraConfig
    from peft.helpers import disable_input_dtype_casting

    model = base.model
    kept = [(holder, copy.deepcopy(vars(holder))) for holder in (model.config, model.generation_config)]
    forward, training = vars(model).get("forward"), model.training
    target = settings.target_modules
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # a fraction is fine: it is only divided by r
        lora_dropout=settings.dropout,
        target_modules=target if isinstance(target, str) else list(target),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        adapted = _with_adapter(model, config, target)
        try:
            packed = settings.packing == "shared_prefix"
            if packed:
                model.set_attn_implementation(attention_for(model, base.device))
            # PEFT turns every input into float32 for its float32 matrices, only for autocast to turn it back: 8 % of a
            # step of a 7B model. Off for packs alone, so that ordinary runs stay what they were.
            lean = packed and base.device == "cuda" and base.dtype != "float32"
            if base.dtype == "float16":
                # TRL casts the matrices on a 4-bit base to bfloat16, as goes with bfloat16 arithmetic. In float16 they
                # stay float32: the loss is scaled then, updates would be lost in 8 bits, and cards that compute in
                # float16 have no bfloat16. TRL asks this wrapper, which goes; the base stays what it says it is.
                vars(adapted)["is_loaded_in_4bit"] = False
            # Not peft.prepare_model_for_kbit_training for 4-bit bases: it casts the norms and the output layer to
            # float32 and leaves them so, and the base measured after training would be another model than before.
            with disable_input_dtype_casting(adapted, active=lean):
                yield adapted
        finally:
            adapted.unload()
            vars(model).pop("peft_config", None)
            if settings.gradient_checkpointing:
                model.gradient_checkpointing_disable()
                model.disable_input_require_grads()
            # TRL puts its fused output layer in place of `forward`, and writes token ids into the configurations.
            vars(model).pop("forward", None)
            if forward is not None:
                model.forward = forward
            for holder, values in kept:  # the attention too
                vars(holder).clear()
                vars(holder).update(values)
            model.requires_grad_(False).train(training)


def _with_adapter(model: Any, config: Any, target: str | tuple[str, ...]) -> Any:
    from peft import get_peft_model

    try:
        return get_peft_model(model, config)
    except ValueError as error:
        named = target if isinstance(target, str) else list(target)
        raise ModelError(
            f"training.target_modules = {named!r} does not fit this model ({error}); "
            '"all-linear" takes every linear layer'
        ) from error


def save_adapter(model: Any, folder: Path) -> None:
    """Write an adapter so that the same training writes the same bytes on every machine.

    Args:
        model: what `adapted` gave.
        folder: an empty folder.
    """
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a placeholder; the report writes the adapter's own card
    # PEFT writes sets in whatever order this process hashes them; sorted, the same training gives the same file.
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if Path(config["base_model_name_or_path"]).is_dir():  # somebody else's machine has no such folder
        config["base_model_name_or_path"] = Path(config["base_model_name_or_path"]).name
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            config[key] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
