"""Adapters from elsewhere: what is taken, what is refused with which words, what the clean copy holds."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from tiny import save_tiny_mistral
from transformers import AutoModelForCausalLM

from contrapeso.errors import ModelError
from contrapeso.models.adapter_import import (
    STARTED_FROM_BASE,
    UNSUPPORTED,
    clean_configuration,
    copy_adapter,
    find_adapter,
    inspect_adapter,
)
from contrapeso.models.adapters import adapter_identity, read_configuration
from contrapeso.models.served_start import without_weights


@pytest.fixture
def adapter(adapter_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter_folder, tmp_path / "adapter"))


def configure(folder: Path, **fields: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return folder


def test_the_adapter_is_found_in_what_a_trainer_left(adapter: Path, tmp_path: Path) -> None:
    left = tmp_path / "left" / "out"
    shutil.copytree(adapter, left)
    shutil.copytree(adapter, left / "checkpoint-90")
    assert find_adapter(tmp_path / "left") == left  # the end, not one of its checkpoints
    (left / "adapter_config.json").unlink()
    (left / "adapter_model.safetensors").unlink()
    shutil.copytree(adapter, left / "checkpoint-100")
    assert find_adapter(tmp_path / "left") == left / "checkpoint-100"  # by number, not by letter
    assert find_adapter(left / "checkpoint-90") == left / "checkpoint-90"


def test_a_configuration_without_weights_does_not_hide_the_checkpoints_below_it(adapter: Path) -> None:
    # axolotl writes the configuration before it trains; of a run that was interrupted only checkpoints have weights.
    for step in (20, 100):
        shutil.copytree(adapter, adapter.parent / f"checkpoint-{step}")
        (adapter.parent / f"checkpoint-{step}").rename(adapter / f"checkpoint-{step}")
    (adapter / "adapter_model.safetensors").unlink()
    assert find_adapter(adapter) == adapter / "checkpoint-100"


def test_several_adapters_are_refused_with_their_names(adapter: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(adapter, tmp_path / "both" / name)
    with pytest.raises(ModelError, match=r"several adapters \(a, b\)"):
        find_adapter(tmp_path / "both")


def test_a_whole_model_or_nothing_is_no_adapter(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"looks like a whole model: set it as model\.id"):
        find_adapter(tiny_folder)
    with pytest.raises(ModelError, match="no adapter in PEFT format"):
        find_adapter(tmp_path)


def test_a_pickle_is_never_read_and_the_way_to_convert_it_works(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(weights, adapter / "adapter_model.bin")
    with pytest.raises(ModelError, match="is a pickle, which can run any code") as refused:
        find_adapter(adapter)
    command = str(refused.value).split('python -c "')[1].split('" in its folder')[0]
    monkeypatch.chdir(adapter)
    exec(command)
    assert find_adapter(adapter) == adapter
    assert load_file(adapter / "adapter_model.safetensors").keys() == weights.keys()


def test_extra_files_are_left_behind_and_the_copy_is_named_by_its_content(adapter: Path, tmp_path: Path) -> None:
    configure(adapter, base_model_name_or_path="C:\\Users\\them\\mistral-7b", init_lora_weights="gaussian")
    (adapter / "training_args.bin").write_bytes(b"pickle")
    found = inspect_adapter("x", adapter, None)
    out = tmp_path / "out"
    out.mkdir()
    copy_adapter(adapter, out, key={"imported": found.identity})
    assert sorted(path.name for path in out.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "key.json",
    ]
    assert found.trained_on == "mistral-7b" and "them" not in (out / "adapter_config.json").read_text()
    assert adapter_identity(out) == found.identity == inspect_adapter("x", out, None).identity
    assert clean_configuration(read_configuration(out)) == (out / "adapter_config.json").read_text()


@pytest.mark.parametrize("hub_id", ["mistralai/Mistral-7B-Instruct-v0.2", "unsloth/mistral-7b-bnb-4bit"])
def test_a_hub_id_is_kept_whole(hub_id: str, adapter: Path) -> None:
    assert inspect_adapter("x", configure(adapter, base_model_name_or_path=hub_id), None).trained_on == hub_id


@pytest.mark.parametrize("target", ["all-linear", ["q_proj"], r"(?:.*?(?:self_attn).*?(?:q_proj|v_proj).*?)"])
def test_layers_named_in_any_of_the_ways_trainers_do_fit(target: Any, tiny_folder: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    config = LoraConfig(r=2, target_modules=target, init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(tmp_path / "a", save_embedding_layers=False)
    shapes, _ = without_weights(str(tiny_folder), None)
    inspect_adapter("x", tmp_path / "a", shapes)
    out = tmp_path / "out"
    out.mkdir()
    copy_adapter(tmp_path / "a", out, key={})
    ids = torch.tensor([[1, 40, 41]])
    with torch.no_grad():
        theirs, ours = (
            PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), folder).eval()(ids).logits
            for folder in (tmp_path / "a", out)
        )
    assert torch.equal(theirs, ours)


def test_dora_and_whole_trained_layers_fit_too(tiny_folder: Path, tmp_path: Path) -> None:
    shapes, _ = without_weights(str(tiny_folder), None)
    for name, more in (("dora", {"use_dora": True}), ("whole", {"modules_to_save": ["lm_head"]})):
        model = AutoModelForCausalLM.from_pretrained(tiny_folder)
        config = LoraConfig(r=2, target_modules=["q_proj"], **more)
        get_peft_model(model, config).save_pretrained(tmp_path / name, save_embedding_layers=False)
        inspect_adapter(name, tmp_path / name, shapes)


@pytest.mark.parametrize("layer", ["lm_head", "embed_tokens"])
def test_copies_of_the_bases_embeddings_are_named_and_the_way_to_leave_them_out_works(
    layer: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PEFT saves them by itself where LoRA is on the embeddings, and at loading puts them over the base's own.
    model = AutoModelForCausalLM.from_pretrained(tiny_folder)
    config = LoraConfig(r=2, target_modules=["q_proj", layer], init_lora_weights=False)
    get_peft_model(model, config).save_pretrained(tmp_path / "a")
    shapes, _ = without_weights(str(tiny_folder), None)
    with pytest.raises(ModelError, match=rf"also holds weights of the base itself \(.*{layer}.*weight\)") as refused:
        inspect_adapter("x", tmp_path / "a", shapes)
    command = str(refused.value).split('python -c "')[1].split('" in its folder')[0]
    monkeypatch.chdir(tmp_path / "a")
    ids = torch.tensor([[1, 40, 41]])

    def logits() -> torch.Tensor:
        base = AutoModelForCausalLM.from_pretrained(tiny_folder)
        with torch.no_grad():
            return PeftModel.from_pretrained(base, tmp_path / "a").eval()(ids).logits

    before = logits()
    exec(command)
    inspect_adapter("x", tmp_path / "a", shapes)
    assert torch.equal(logits(), before)


def test_an_adapter_of_another_shape_is_refused(adapter: Path, tmp_path: Path) -> None:
    for number, change in enumerate(({"hidden_size": 96}, {"num_hidden_layers": 1})):
        other = save_tiny_mistral(tmp_path / str(number), **change)
        shapes, _ = without_weights(str(other), None)
        with pytest.raises(ModelError, match="was it trained on another one"):
            inspect_adapter("x", adapter, shapes)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "only LORA"),
        ({"peft_type": None}, "only LORA"),
        *(({"init_lora_weights": way}, "started from the base's own weights") for way in STARTED_FROM_BASE),
        ({"init_lora_weights": "pissa_niter_4"}, "started from the base's own weights"),
        *(({field: {"x": [1]}}, "cannot be measured beside its base") for field in UNSUPPORTED),
    ],
)
def test_what_would_change_the_base_or_is_no_lora_is_refused(fields: Any, words: str, adapter: Path) -> None:
    with pytest.raises(ModelError, match=words):
        inspect_adapter("x", configure(adapter, **fields), None)


@pytest.mark.parametrize(
    "fields",
    [{"r": "many"}, {"r": -1}, {"target_modules": "("}, {"target_modules": 7}, {"rank_pattern": {"q_proj": 0}}],
)
def test_a_configuration_made_to_confuse_is_an_error_and_no_traceback(
    fields: Any, adapter: Path, tiny_folder: Path
) -> None:
    shapes, _ = without_weights(str(tiny_folder), None)
    with pytest.raises(ModelError, match="does not fit this base model"):
        inspect_adapter("x", configure(adapter, **fields), shapes)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_a_configuration_that_is_no_object_is_refused(text: str, adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(ModelError, match=r"JSON|is empty"):
        inspect_adapter("x", adapter, None)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_weights_that_are_no_numbers_are_refused_before_anything_is_done(value: str, adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    weights[next(iter(weights))][0, 0] = float(value)
    save_file(weights, path)
    with pytest.raises(ModelError, match="no numbers"):
        inspect_adapter("x", adapter, None)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.int8])
def test_weights_of_another_kind_than_peft_writes_are_refused(dtype: torch.dtype, adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({name: weight.to(dtype) for name, weight in load_file(path).items()}, path)
    with pytest.raises(ModelError, match=f"is {str(dtype).removeprefix('torch.')}: adapters are of 16 or 32 bit"):
        inspect_adapter("x", adapter, None)


def test_damaged_weights_are_refused(adapter: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        inspect_adapter("x", adapter, None)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_what_git_leaves_without_lfs_is_called_by_its_name(name: str, adapter: Path) -> None:
    (adapter / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1f\nsize 3\n")
    with pytest.raises(ModelError, match=f"{name} is Git LFS's note of a file"):
        inspect_adapter("x", adapter, None)


def test_the_name_of_a_base_cannot_move_a_terminals_cursor(adapter: Path) -> None:
    configure(adapter, base_model_name_or_path="evil/\x1b[31mred\nline")
    assert inspect_adapter("x", adapter, None).trained_on == "evil/[31mredline"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_configuration_with_values_that_json_does_not_know_is_refused(value: float, adapter: Path) -> None:
    with pytest.raises(ModelError, match="is not JSON"):
        inspect_adapter("x", configure(adapter, lora_alpha=value), None)
