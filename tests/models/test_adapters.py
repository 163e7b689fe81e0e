"""Adapters on one base: switched, set aside, taken off."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from tiny import save_random_adapter, save_tiny_mistral
from transformers import AutoModelForCausalLM

from contrapeso.errors import ModelError
from contrapeso.models.adapters import Adapters, adapter_identity
from contrapeso.models.loading import LoadedModel


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[1, 40, 41, 42, 43]])).logits


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> list[Path]:
    root = tmp_path_factory.mktemp("adapters")
    # Names that PEFT itself would refuse, were they used as adapter names.
    return [save_random_adapter(root / name, tiny_folder, seed=seed) for seed, name in enumerate(("half", "train"))]


def test_each_adapter_answers_as_if_it_were_alone_and_the_base_exactly_as_before(
    tiny: LoadedModel, tiny_folder: Path, folders: list[Path]
) -> None:
    base = logits(tiny.model)
    adapters = Adapters(tiny.model)
    for folder in [*folders, folders[0]]:
        with adapters.using(folder):
            alone = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), folder).eval()
            assert torch.equal(logits(tiny.model), logits(alone))
            assert not torch.allclose(logits(tiny.model), base, atol=1e-2)
        with adapters.using(None):
            assert torch.equal(logits(tiny.model), base)


def test_detaching_gives_back_the_bare_base(tiny: LoadedModel, folders: list[Path]) -> None:
    base, names = logits(tiny.model), [name for name, _ in tiny.model.named_modules()]
    adapters = Adapters(tiny.model)
    with adapters.using(folders[0]):
        pass
    adapters.detach()
    assert [name for name, _ in tiny.model.named_modules()] == names
    assert torch.equal(logits(tiny.model), base)
    with adapters.using(folders[1]):
        assert not torch.equal(logits(tiny.model), base)


def test_an_adapter_trained_anew_under_the_same_path_is_loaded_anew(
    tiny: LoadedModel, folders: list[Path], tmp_path: Path
) -> None:
    adapters = Adapters(tiny.model)
    shutil.copytree(folders[0], tmp_path / "run")
    with adapters.using(tmp_path / "run"):
        first = logits(tiny.model)
    shutil.copytree(folders[1], tmp_path / "run", dirs_exist_ok=True)
    with adapters.using(tmp_path / "run"):
        assert not torch.equal(logits(tiny.model), first)


def test_identity_is_of_the_content(folders: list[Path], tmp_path: Path) -> None:
    copy = shutil.copytree(folders[0], tmp_path / "copy")
    assert adapter_identity(copy) == adapter_identity(folders[0]) != adapter_identity(folders[1])
    (copy / "README.md").write_text("a model card is no part of what answers")
    assert adapter_identity(copy) == adapter_identity(folders[0])


def test_a_folder_without_adapter_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no adapter_config\.json"):
        adapter_identity(tmp_path)


@pytest.mark.parametrize("changes", [{"hidden_size": 32}, {"num_hidden_layers": 3}], ids=["other sizes", "more layers"])
def test_an_adapter_of_another_base_is_refused_and_the_base_stays_usable(
    tiny: LoadedModel, folders: list[Path], tmp_path: Path, changes: dict[str, int]
) -> None:
    base = logits(tiny.model)
    other = save_random_adapter(tmp_path / "other", save_tiny_mistral(tmp_path / "base", **changes))
    adapters = Adapters(tiny.model)
    for _ in range(2):
        with pytest.raises(ModelError, match="does not fit this base model"), adapters.using(other):
            pass
        assert torch.equal(logits(tiny.model), base)
        with adapters.using(folders[0]):
            assert not torch.equal(logits(tiny.model), base)


def test_an_adapter_with_a_missing_weight_is_refused(tiny: LoadedModel, folders: list[Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(folders[0], tmp_path / "copy")
    weights = load_file(copy / "adapter_model.safetensors")
    weights.pop(next(iter(weights)))
    save_file(weights, copy / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="1 missing"), Adapters(tiny.model).using(copy):
        pass
