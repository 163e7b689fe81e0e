"""Reading the weights of a model onto a device.

A folder or a hub id enters; a transformers model leaves, or an error that says what to do.
"""

from __future__ import annotations

from typing import Any, Literal

from contrapeso.errors import ModelError, ResourceError

Quantization = Literal["none", "nf4"]


def weight_options(dtype: str, quantization: Quantization, device: str) -> dict[str, Any]:
    """What `from_pretrained` is told of the weights.

    Args:
        dtype: arithmetic: `float32`, `bfloat16` or `float16`.
        quantization: `none` or `nf4`.
        device: `cpu` or `cuda`.
    """
    import torch

    options: dict[str, Any] = {"dtype": getattr(torch, dtype)}
    if quantization == "nf4":
        from transformers import BitsAndBytesConfig

        options["device_map"] = {"": device}
        options["quantization_config"] = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, dtype),
        )
    return options


def load_weights(source: str, options: dict[str, Any], device: str) -> Any:
    """A model on its device.

    Args:
        source: a folder or a hub id.
        options: see `weight_options`, and where to look for it.
        device: `cpu` or `cuda`.

    Raises:
        ModelError: it is no loadable model.
        ResourceError: it does not fit in memory.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(source, **options)
        return model if "device_map" in options else model.to(device)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ResourceError(
            f'{source} does not fit in the memory of {device}: set model.quantization = "nf4", a smaller '
            "model.dtype, or take a smaller model"
        ) from error
    except Exception as error:  # whatever is wrong with the files, transformers raises it in a dozen types
        raise ModelError(
            f"{source} could not be loaded ({type(error).__name__}: {first_line(error)}): fetch it again if its files "
            "are damaged, or set model.id to a causal language model that transformers knows"
        ) from error


def keep_nf4_trainable(model: Any) -> None:
    """See to it that a 4-bit model on a CPU has right gradients after it has answered."""
    # On AVX512-BF16 processors bitsandbytes repacks 4-bit weights at the first no-grad forward in eval mode, after
    # which gradients are silently wrong (relative error about 1, measured with 0.50.2).
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its type."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
