"""Adapters trained elsewhere: found in what a trainer left, looked at before they are believed, copied clean.

A folder as LLaMA-Factory, axolotl, unsloth or TRL write it enters: an adapter in PEFT format, perhaps beside its
checkpoints, optimizer states, tokenizer files. The two files that make an adapter leave, or a refusal that says why.
Nothing else in the folder is read: some of those files are pickles, which run code when they are loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.data.mistaken import mistaken_for
from contrapeso.errors import ModelError
from contrapeso.models.adapter_fit import require_fit
from contrapeso.models.adapters import ADAPTER_FILES, adapter_identity, read_configuration
from contrapeso.names import model_name
from contrapeso.store import Key, key_file, write_atomically, write_json

PICKLE = "adapter_model.bin"
CHECKPOINT = re.compile(r"checkpoint-(\d+)")
STARTED_FROM_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga", "mica")
"""Ways to start B A from the base's weights, which then lose that part: with `init_lora_weights` set so, loading the
adapter changes the base itself."""
UNSUPPORTED = {
    "layer_replication": "repeats layers of the base (layer_replication)",
    "alora_invocation_tokens": "acts from some tokens on only (aLoRA)",
    "arrow_config": "routes between other adapters (Arrow)",
    "megatron_config": "is of a Megatron model (megatron_config)",
}
"""Fields of a configuration with which the base would not stay itself, or which ask for more than one adapter."""


@dataclass(frozen=True)
class Imported:
    """An adapter trained elsewhere.

    Attributes:
        name: display name.
        folder: where it lies, in PEFT format.
        identity: of its clean copy; see `adapter_identity`.
        trained_on: the base model that its configuration names; "" when it names none.
    """

    name: str
    folder: Path
    identity: str
    trained_on: str


def find_adapter(folder: Path) -> Path:
    """Where below a folder the adapter lies: as high up as possible, and of several checkpoints the last.

    Raises:
        ModelError: there is none, several, or only one that is a pickle.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder: name one in PEFT format, or an archive of one")
    found = sorted(path.parent for path in folder.rglob(ADAPTER_FILES[0]) if path.is_file())
    if not found:
        model = next(iter(sorted(folder.rglob("*.safetensors")) or sorted(folder.rglob("*.bin"))), None)
        seen = f"; {model.name} looks like a whole model: set it as model.id" if model else ""
        raise ModelError(f"{folder} holds no adapter in PEFT format: no {ADAPTER_FILES[0]} is in it{seen}")
    # axolotl writes the configuration before it trains: of an interrupted run only the checkpoints have weights.
    whole = [path for path in found if any((path / name).is_file() for name in (ADAPTER_FILES[1], PICKLE))] or found
    highest = min(len(path.parts) for path in whole)
    candidates = [path for path in whole if len(path.parts) == highest]
    steps = [CHECKPOINT.fullmatch(path.name) for path in candidates]
    chosen = candidates[0]
    if len(candidates) > 1:
        if not all(steps):
            names = ", ".join(str(path.relative_to(folder)) for path in candidates)
            raise ModelError(f"{folder} holds several adapters ({names}): name one of these folders")
        chosen = max(candidates, key=lambda path: int(path.name.rpartition("-")[2]))
    if not (chosen / ADAPTER_FILES[1]).is_file() and (chosen / PICKLE).is_file():
        raise ModelError(
            f"{chosen / PICKLE} is a pickle, which can run any code when it is loaded, and is not read. Where you "
            'trust it, write it as safetensors: python -c "import torch, safetensors.torch as s; '
            f"s.save_file(torch.load('{PICKLE}', map_location='cpu', weights_only=True), '{ADAPTER_FILES[1]}')\" "
            "in its folder, then import that"
        )
    return chosen


def inspect_adapter(name: str, folder: Path, base: Any) -> Imported:
    """Look at an adapter before anything is measured.

    Args:
        name: display name.
        folder: in PEFT format.
        base: the base model on the `meta` device; None leaves the fit out.

    Raises:
        ModelError: a file is missing or damaged, it is not LoRA, it would change the base, a weight is no number, or
            it does not fit.
    """
    adapter_identity(folder)  # says which file is missing
    configuration = read_configuration(folder)
    if configuration.get("peft_type") != "LORA":
        raise ModelError(f"the adapter {folder} is {configuration.get('peft_type')!r}; only LORA can be measured")
    start = str(configuration.get("init_lora_weights", "")).lower()
    if start.startswith(STARTED_FROM_BASE):
        raise ModelError(
            f"the adapter {folder} was started from the base's own weights (init_lora_weights = {start!r}), so that "
            "loading it changes the base: convert it to plain LoRA where it was trained (PEFT's save_pretrained with "
            "path_initial_model_for_weight_conversion), then import that"
        )
    for field, words in UNSUPPORTED.items():
        if configuration.get(field):
            raise ModelError(f"the adapter {folder} {words}, which cannot be measured beside its base")
    _require_numbers(folder / ADAPTER_FILES[1])
    if base is not None:
        require_fit(folder, base)
    return Imported(name, folder, _clean_identity(folder, configuration), _trained_on(configuration))


def copy_adapter(source: Path, out: Path, *, key: Key) -> None:
    """Write the two files of an adapter into a folder, its configuration cleaned: see `clean_configuration`.

    Args:
        source: in PEFT format.
        out: an empty folder.
        key: filed with it.

    Raises:
        ResourceError: a file cannot be written.
    """
    weights = source / ADAPTER_FILES[1]
    write_atomically(out / ADAPTER_FILES[0], clean_configuration(read_configuration(source)))
    write_atomically(out / weights.name, weights.read_bytes())
    write_json(key_file(out), dict(key))


def clean_configuration(configuration: dict[str, Any]) -> str:
    """An adapter's configuration as text, without what belongs to another machine; cleaning it again changes nothing.

    Folders of the trainer's machine are shortened to their last name. How B A was started says nothing once the
    weights are there.
    """
    cleaned = configuration | {"inference_mode": True, "init_lora_weights": True}
    if configuration.get("base_model_name_or_path"):
        cleaned["base_model_name_or_path"] = _trained_on(configuration)
    return json.dumps(cleaned, indent=2, sort_keys=True) + "\n"


def _trained_on(configuration: dict[str, Any]) -> str:
    named = "".join(filter(str.isprintable, str(configuration.get("base_model_name_or_path") or "")))
    return model_name(named.replace("\\", "/").rstrip("/"))  # a folder of another system is one too


def _clean_identity(folder: Path, configuration: dict[str, Any]) -> str:
    """`adapter_identity` of the copy that `copy_adapter` would make."""
    with (folder / ADAPTER_FILES[1]).open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").digest()
    digests = (hashlib.sha256(clean_configuration(configuration).encode()).digest(), weights)
    whole = b"".join(name.encode() + b"\0" + digest for name, digest in zip(ADAPTER_FILES, digests, strict=True))
    return hashlib.sha256(whole).hexdigest()


def _require_numbers(weights: Path) -> None:
    """Read every weight; refuse what is no finite float of a size that adapters have."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # no dict
                tensor = tensors.get_tensor(name)
                kind = str(tensor.dtype).removeprefix("torch.")
                if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
                    raise ModelError(f"{weights}: {name} is {kind}: adapters are of 16 or 32 bit floats")
                if not bool(tensor.isfinite().all()):
                    raise ModelError(f"{weights}: {name} holds values that are no numbers; the training went wrong")
    except (OSError, SafetensorError) as error:
        what = mistaken_for(weights) or f"damaged and cannot be read ({error}): fetch the adapter again"
        raise ModelError(f"{weights} is {what}") from error
