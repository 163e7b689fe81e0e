"""Loading a base model with its tokenizer, and naming the exact weights.

A model id enters: `pocket` (shipped with contrapeso), a folder in Hugging Face format, or a hub id. A `LoadedModel`
leaves, frozen and in eval mode; `weights_identity` names the exact weights, by which results are keyed. Folders are
read without any network call.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from contrapeso.distributed import size
from contrapeso.errors import ModelError, ResourceError
from contrapeso.models.fsdp import divided
from contrapeso.models.weights import Quantization, first_line, keep_nf4_trainable, load_weights, weight_options

POCKET = "pocket"
MODEL_FILES = {".json", ".safetensors", ".model", ".jinja"}
POCKET_FOLDER = Path(__file__).parent / "pocket"

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "cuda"]
Sharding = Literal["none", "fsdp"]


@dataclass(frozen=True)
class LoadedModel:
    """A base model ready to answer and to be trained upon.

    Attributes:
        model: a transformers causal language model in eval mode, its weights frozen.
        tokenizer: its tokenizer, padding on the left, with a pad token.
        device: `cpu` or `cuda`.
        dtype: arithmetic of the weights: `float32`, `bfloat16` or `float16`.
        quantization: `none` or `nf4`.
    """

    model: Any
    tokenizer: Any
    device: str
    dtype: str
    quantization: Quantization


def load_model(
    model_id: str,
    *,
    revision: str | None = None,
    dtype: Dtype = "auto",
    quantization: Quantization = "none",
    device: Device = "auto",
    sharding: Sharding = "none",
) -> LoadedModel:
    """Load a base model and its tokenizer.

    Args:
        model_id: `pocket`, a folder, or a hub id such as `mistralai/Mistral-7B-Instruct-v0.2`.
        revision: commit, tag or branch of a hub id; ignored for folders.
        dtype: `auto` is float32 on a CPU, bfloat16 on a GPU that has it, otherwise float16.
        quantization: `nf4` loads the linear layers in 4 bits with bitsandbytes (Dettmers et al. 2023,
            https://arxiv.org/abs/2305.14314).
        device: `auto` takes a GPU when there is one.
        sharding: `fsdp` divides the weights among the processes there are; see `models.fsdp`.

    Returns:
        The model in eval mode with `requires_grad` off everywhere, and its tokenizer.

    Raises:
        ModelError: the folder or hub id holds no loadable model.
        ResourceError: the device, bitsandbytes or the memory is missing.
    """
    folder = local_folder(model_id)
    source = str(folder) if folder else model_id
    chosen_device = resolve_device(device)
    chosen_dtype = resolve_dtype(dtype, chosen_device)
    require_quantization(quantization, chosen_device, asked=device)
    if folder:
        _require_model_files(folder, model_id)
    else:  # the cheapest call that tells "unreachable" from "broken"
        weights_identity(model_id, revision)
    options = {
        "revision": None if folder else revision,
        "local_files_only": folder is not None,
        **weight_options(chosen_dtype, quantization, chosen_device),
    }
    if sharding == "fsdp" and size() > 1:
        model = divided(lambda: load_weights(source, options, "cpu"), chosen_device)
    else:
        model = load_weights(source, options, chosen_device)
    tokenizer = load_tokenizer(model_id, revision)
    keep_nf4_trainable(model)
    model.eval().requires_grad_(False)
    return LoadedModel(model, tokenizer, chosen_device, chosen_dtype, quantization)


def load_tokenizer(model_id: str, revision: str | None = None) -> Any:
    """Load the tokenizer of a model: padding on the left, with a pad token.

    Args:
        model_id: `pocket`, a folder or a hub id.
        revision: commit, tag or branch of a hub id; ignored for folders.

    Raises:
        ModelError: there is none, or it has no token to pad with.
    """
    from transformers import AutoTokenizer

    folder = local_folder(model_id)
    if folder:
        _require_model_files(folder, model_id)
    source = str(folder) if folder else model_id
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source, revision=None if folder else revision, local_files_only=folder is not None
        )
    except Exception as error:  # as in `load_weights`
        raise ModelError(
            f"the tokenizer of {source} could not be loaded ({type(error).__name__}: {first_line(error)}): "
            "a model needs its tokenizer's files, tokenizer.json or tokenizer.model; fetch them again"
        ) from error
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        # Never a new token: that would grow the embedding and change the model under study.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token is None:
        raise ModelError(f"the tokenizer of {source} has neither a pad, an end-of-sequence nor an unknown token")
    return tokenizer


def resolve_device(asked: Device) -> str:
    """`cpu` or `cuda`; `auto` takes a GPU when there is one.

    Raises:
        ResourceError: `cuda` was asked for and there is none.
    """
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise ResourceError('model.device is "cuda" but PyTorch sees no GPU: set model.device = "cpu" or "auto"')
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return asked


def resolve_dtype(asked: Dtype, device: str) -> str:
    """`float32`, `bfloat16` or `float16`; `auto` is what the device does well.

    Args:
        asked: the setting.
        device: `cpu` or `cuda`.
    """
    import torch

    if asked != "auto":
        return asked
    if device == "cpu":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def local_folder(model_id: str) -> Path | None:
    """The folder a model id stands for; None for a hub id.

    An id that names an existing folder, or that could only be a path (`./x`, `/x`, `~/x`, `a/b/c`), is a folder.
    """
    if model_id == POCKET:
        return POCKET_FOLDER
    path = Path(model_id).expanduser()
    looks_like_path = model_id.startswith((".", "/", "~")) or model_id.count("/") > 1
    return path if looks_like_path or path.is_dir() else None


def weights_identity(model_id: str, revision: str | None = None) -> str:
    """Name the exact weights, so that results are never mixed between two versions of a model.

    Args:
        model_id: `pocket`, a folder or a hub id.
        revision: commit, tag or branch of a hub id.

    Returns:
        The commit hash of a hub id, or `sha256:` and the hash over the folder's configuration, weights and tokenizer.

    Raises:
        ModelError: there is no such model.
    """
    folder = local_folder(model_id)
    if folder:
        _require_model_files(folder, model_id)
        files = sorted(path for path in folder.iterdir() if path.suffix in MODEL_FILES)
        return "sha256:" + hash_files(files)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        config = hf_hub_download(model_id, "config.json", revision=revision)
    # RuntimeError: without a network huggingface_hub 1.16 tries again on a connection pool that it has closed.
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, RuntimeError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise ModelError(
            f"model.id {model_id!r}{at} is no local folder and could not be had from the hub ({first_line(error)}): "
            "check the name and the connection, or download it and give the folder"
        ) from error
    return Path(config).parent.name  # .../snapshots/<commit>/config.json


def hash_files(files: list[Path]) -> str:
    """SHA-256 over the names and contents of files, as 64 hex digits.

    Args:
        files: in the order they are hashed; names count without their folder.
    """

    def digest(path: Path) -> bytes:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()

    whole = hashlib.sha256()
    with ThreadPoolExecutor() as threads:  # one core hashes 0.7 GB/s, and 7 billion weights are 14.5 GB
        for path, of_file in zip(files, threads.map(digest, files), strict=True):
            whole.update(path.name.encode() + b"\0" + of_file)
    return whole.hexdigest()


def _require_model_files(folder: Path, model_id: str) -> None:
    if not folder.is_dir():
        raise ModelError(f"model.id {model_id!r}: there is no folder {folder}")
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"model.id {model_id!r}: {folder} has no config.json, so it is no model in Hugging Face format"
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"model.id {model_id!r}: {folder} has no *.safetensors weights; is the download complete?")


def require_quantization(quantization: Quantization, device: str, *, asked: Device) -> None:
    """Refuse a quantization that this machine cannot do.

    Args:
        quantization: `none` or `nf4`.
        device: where it would run.
        asked: the setting `device` was resolved from. On a CPU NF4 works but is slow; it is allowed when the CPU was
            asked for by name, never as a surprise.

    Raises:
        ResourceError: there is no GPU, or bitsandbytes is not installed.
    """
    if quantization == "none":
        return
    if device == "cpu" and asked != "cpu":
        raise ResourceError(
            'model.quantization is "nf4" but PyTorch sees no GPU: set model.quantization = "none" (or, to wait for it, '
            'model.device = "cpu")'
        )
    if find_spec("bitsandbytes") is None:
        raise ResourceError(
            'model.quantization is "nf4" but bitsandbytes is not installed: install the extra `gpu`, or set '
            'model.quantization = "none"'
        )
