"""What an adapter's matrices are kept in while it is trained, on a base in 4 bits."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from tiny import save_tiny_mistral

from contrapeso.models.loading import load_model
from contrapeso.settings import LoraSettings
from contrapeso.training.adapter import adapted
from contrapeso.training.arguments import training_arguments


@pytest.mark.parametrize(("dtype", "kept_in"), [("float16", torch.float32), ("bfloat16", torch.bfloat16)])
def test_on_4_bits_the_matrices_are_float32_for_float16_and_bfloat16_for_bfloat16(
    tmp_path: Path, dtype: str, kept_in: torch.dtype
) -> None:
    from contrapeso.training.trainer import AdapterTrainer

    # CUDA's gradient scaler, which float16 needs, refuses bfloat16 gradients. On a CPU, the mark of a 4-bit base is
    # enough to see what the trainer makes of it.
    base = replace(load_model(str(save_tiny_mistral(tmp_path / "model")), device="cpu"), dtype=dtype)
    base.model.is_loaded_in_4bit = True
    settings = LoraSettings()
    row = {"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}
    with adapted(base, settings, 1) as model:
        fresh = {name: matrix.detach().clone() for name, matrix in model.named_parameters() if matrix.requires_grad}
        AdapterTrainer(
            model=model,
            args=training_arguments(base, settings, seed=1, checkpoints=tmp_path / "checkpoints", name="run"),
            train_dataset=Dataset.from_list([row]),
            processing_class=base.tokenizer,
        )
        trained = {name: matrix for name, matrix in model.named_parameters() if matrix.requires_grad}
        assert trained.keys() == fresh.keys() != set()
        assert {matrix.dtype for matrix in trained.values()} == {kept_in}
        assert all(torch.equal(matrix, fresh[name].to(kept_in)) for name, matrix in trained.items())
    assert base.model.is_loaded_in_4bit
