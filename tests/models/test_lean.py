"""LoRA layers with fewer passes against PEFT's own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from contrapeso.models.lean import lean_lora

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"]
IDS = torch.tensor([[1, 7, 30, 12, 9, 44]])


def tuned(folder: Path, dtype: torch.dtype = torch.float32, **options: Any) -> Any:
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    config = LoraConfig(r=4, lora_alpha=24, target_modules=TARGETS, init_lora_weights=False, **options)
    return get_peft_model(base, config).eval()


def logits(model: Any, *, lean: bool) -> torch.Tensor:
    with torch.no_grad():
        if not lean:
            return model(IDS).logits
        with lean_lora(model.get_base_model()):
            return model(IDS).logits


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"use_rslora": True, "lora_dropout": 0.5}])
def test_the_sum_is_that_of_pefts_layers(tiny_folder: Path, options: dict[str, Any]) -> None:
    model = tuned(tiny_folder, **options)
    before = logits(model, lean=False)
    assert torch.allclose(logits(model, lean=True), before, atol=1e-4)
    assert torch.equal(logits(model, lean=False), before), "afterwards the layers are PEFT's again"
    with model.disable_adapter():
        assert not torch.allclose(logits(model, lean=False), before, atol=1e-2), "the adapter should matter"


def test_in_16_bits_every_layer_rounds_as_pefts_does(tiny_folder: Path) -> None:
    model = tuned(tiny_folder, torch.bfloat16)
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    states = torch.randn(50, layer.in_features).bfloat16()
    with torch.no_grad():
        expected = layer(states)
        with lean_lora(model.get_base_model()):
            found = layer(states)
    assert found.dtype == torch.bfloat16
    same = found == expected
    assert same.float().mean() > 0.99, "but for a sum that lies half-way between two numbers"
    assert torch.allclose(found.float(), expected.float(), rtol=2**-7)


def test_several_adapters_add_up_and_none_gives_the_base(tiny_folder: Path) -> None:
    model = tuned(tiny_folder)
    model.add_adapter("second", LoraConfig(r=2, lora_alpha=7, target_modules=["q_proj"], init_lora_weights=False))
    model.base_model.set_adapter(["default", "second"])
    assert torch.allclose(logits(model, lean=True), logits(model, lean=False), atol=1e-4)
    with model.disable_adapter():
        bare = AutoModelForCausalLM.from_pretrained(tiny_folder)
        with torch.no_grad():
            assert torch.equal(logits(model, lean=True), bare(IDS).logits)


def test_a_layer_called_twice_with_the_same_place_in_memory_sees_the_new_numbers(tiny_folder: Path) -> None:
    model = tuned(tiny_folder)
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    with torch.no_grad(), lean_lora(model.get_base_model()):
        for seed in range(3):
            torch.manual_seed(seed)
            states = torch.randn(1, 3, layer.in_features)
            expected = type(layer).forward(layer, states)
            assert torch.allclose(layer(states), expected, atol=1e-5)
            del states
