"""An adapter's update scaled: held against formulas, PEFT's own merging, and adapters written out."""

import json
import shutil
from pathlib import Path
from typing import Any

import fake_vllm
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from contrapeso.errors import ModelError
from contrapeso.models import local, served_start
from contrapeso.models.adapters import Adapters
from contrapeso.models.engine import Point, Variant
from contrapeso.models.loading import LoadedModel, load_model
from contrapeso.models.local import LocalEngine
from contrapeso.models.scaling import UNSCALABLE, fold_scale, require_scalable
from contrapeso.models.served import ServedEngine
from contrapeso.tasks.base import Prompt

TOKENS = torch.tensor([[1, 40, 41, 42, 43], [1, 50, 51, 52, 53]])
BIASED = "with biases of B"
PLAIN = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
KINDS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "rank-stabilized": PLAIN | {"use_rslora": True},
    "patterned": PLAIN | {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    BIASED: PLAIN | {"lora_bias": True},
    "on the embedding": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "embed_tokens"]},
}


def save_adapter(folder: Path, base: Path, **config: Any) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base), LoraConfig(init_lora_weights=False, **config)
        )
        for name, weight in model.named_parameters():
            if "lora_B" in name and name.endswith("bias"):
                torch.nn.init.normal_(weight)
        model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != BIASED])  # which PEFT cannot merge
@pytest.mark.parametrize("scale", [0.25, 0.7, 1.5])
def test_a_scaled_adapter_is_base_weights_plus_scale_times_the_merged_update(
    kind: str, scale: float, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = save_adapter(tmp_path / "adapter", tiny_folder, **KINDS[kind])
    model = load_model(str(tiny_folder), device="cpu").model
    with Adapters(model).using(folder, scale):
        found = logits(model)
    # Independent of `scaling`: PEFT merges the whole update, and plain tensors are interpolated.
    base = AutoModelForCausalLM.from_pretrained(tiny_folder)
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), folder).merge_and_unload()
    expected = AutoModelForCausalLM.from_pretrained(tiny_folder)
    with torch.no_grad():
        for weight, start, end in zip(expected.parameters(), base.parameters(), merged.parameters(), strict=True):
            weight.copy_(start + scale * (end - start))
    torch.testing.assert_close(found, logits(expected.eval()), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_scale_zero_is_the_base_and_scale_one_the_adapter_bit_for_bit(
    kind: str, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = save_adapter(tmp_path / "adapter", tiny_folder, **KINDS[kind])
    model = load_model(str(tiny_folder), device="cpu").model
    base = logits(model)
    adapters = Adapters(model)
    with adapters.using(folder):
        whole = logits(model)
    assert not torch.equal(whole, base)
    with adapters.using(folder, 0.0):
        assert torch.equal(logits(model), base)
    with adapters.using(folder, 0.3):
        assert not torch.equal(logits(model), whole)
    with adapters.using(folder):
        assert torch.equal(logits(model), whole)


@pytest.mark.parametrize(
    ("kind", "dtype"), [*((kind, torch.float32) for kind in KINDS), ("plain", torch.bfloat16), ("plain", torch.float16)]
)
def test_an_exported_scale_gives_in_plain_peft_what_was_measured(
    kind: str, dtype: torch.dtype, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = save_adapter(tmp_path / "adapter", tiny_folder, **KINDS[kind])
    weights = load_file(folder / "adapter_model.safetensors")
    weights = {name: weight.to(dtype) for name, weight in weights.items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    model = load_model(str(tiny_folder), device="cpu").model
    with Adapters(model).using(folder, 0.7):
        measured = logits(model)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        fold_scale(folder, 0.7, tmp_path / name)
    assert (tmp_path / "first" / "adapter_model.safetensors").read_bytes() == (
        tmp_path / "second" / "adapter_model.safetensors"
    ).read_bytes()
    alone = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), tmp_path / "first").eval()
    torch.testing.assert_close(logits(alone), measured, atol=2e-5, rtol=1e-4)


def test_a_power_of_two_keeps_sixteen_bits_and_changes_b_alone(tiny_folder: Path, tmp_path: Path) -> None:
    folder = save_adapter(tmp_path / "adapter", tiny_folder, **PLAIN)
    before = {name: weight.bfloat16() for name, weight in load_file(folder / "adapter_model.safetensors").items()}
    save_file(before, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    (tmp_path / "half").mkdir()
    fold_scale(folder, 0.5, tmp_path / "half")
    for name, weight in load_file(tmp_path / "half" / "adapter_model.safetensors").items():
        assert weight.dtype is torch.bfloat16
        assert torch.equal(weight, before[name] * (0.5 if "lora_B" in name else 1))


@pytest.mark.parametrize("field", UNSCALABLE)
def test_what_scaling_would_falsify_is_refused_with_the_reason(
    field: str, adapter_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(adapter_folder, tmp_path / "adapter"))
    configuration = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(configuration | {field: ["lm_head"]}))
    with pytest.raises(ModelError, match="cannot be scaled, because it has"):
        require_scalable(folder)


def test_dora_answers_as_it_is_and_is_refused_scaled(tiny_folder: Path, tmp_path: Path) -> None:
    folder = save_adapter(tmp_path / "dora", tiny_folder, use_dora=True, **PLAIN)
    base = load_model(str(tiny_folder), device="cpu")
    engine = LocalEngine(base.model, base.tokenizer)
    prompts = [Prompt("", "the cat sat")]
    assert list(engine.score_options(Variant("d", folder), prompts, letters=("A", "B"), skip=frozenset()))
    with pytest.raises(ModelError, match="DoRA"):
        list(engine.score_options(Variant("d x0.5", folder, 0.5), prompts, letters=("A", "B"), skip=frozenset()))


def test_the_engine_refuses_scales_of_an_adapter_that_leaves_something_behind_at_zero(
    tiny: LoadedModel, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LocalEngine(tiny.model, tiny.tokenizer)
    prompts = [Prompt("", "the cat sat"), Prompt("", "a b c")]

    def scores(variant: Variant) -> list[Any]:
        return list(engine.score_options(variant, prompts, letters=("A", "B"), skip=frozenset()))

    half, whole = scores(Variant("r x0.5", adapter_folder, 0.5)), scores(Variant("r", adapter_folder))
    assert half != whole != scores(Variant("base"))
    calls = iter(range(100))
    monkeypatch.setattr(local, "score", lambda model, rows, **_: torch.zeros(len(rows), 4) + next(calls))
    engine = LocalEngine(tiny.model, tiny.tokenizer)
    with pytest.raises(ModelError, match="scaled by 0"):
        scores(Variant("r x0.5", adapter_folder, 0.5))


def test_a_scaled_adapter_finds_a_text_likely_before_which_nothing_stands(
    tiny_folder: Path, adapter_folder: Path
) -> None:
    base = load_model(str(tiny_folder), device="cpu")
    base.tokenizer.backend_tokenizer.post_processor = None  # no beginning-of-sequence token
    engine = LocalEngine(base.model, base.tokenizer)
    ((_, (reply,)),) = engine.score_texts(
        Variant("r x0.5", adapter_folder, 0.5), [Prompt("", "")], texts=[["the cat sat"]], skip=frozenset()
    )
    assert reply.log_likelihoods[0] < 0


def test_names_of_points_say_step_and_scale() -> None:
    assert Point("Run").name == "Run" and not Point("Run").intermediate
    assert Point("Run", step=400).name == "Run @400" == Point("Run", step=400).adapter
    assert Point("Run", scale=0.5).name == "Run x0.5" and Point("Run", scale=0.5).adapter == "Run"
    assert Point("Run", step=400, scale=0.25).name == "Run @400 x0.25"


def test_vllm_answers_for_a_scaled_adapter_what_the_local_engine_answers(
    tiny: LoadedModel, tiny_folder: Path, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_start, "free_share", lambda: 0.5)
    fake_vllm.install(monkeypatch)
    engines = LocalEngine(tiny.model, tiny.tokenizer), ServedEngine(str(tiny_folder), adapters=[adapter_folder])
    prompts = [Prompt("", "the cat sat"), Prompt("", "a b c")]
    for variant in (Variant("r x0.25", adapter_folder, 0.25), Variant("r", adapter_folder), Variant("b")):
        local, served = (
            dict(
                pair
                for rows, replies in engine.score_options(variant, prompts, letters=("A", "B"), skip=frozenset())
                for pair in zip(rows, replies, strict=True)
            )
            for engine in engines
        )
        for row in range(len(prompts)):
            assert local[row].log_probabilities == pytest.approx(served[row].log_probabilities, abs=1e-4)
