"""Loading models from folders, and naming their weights."""

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import save_tiny_mistral

from contrapeso.errors import ModelError, ResourceError
from contrapeso.models import loading
from contrapeso.models.loading import load_model, load_tokenizer, local_folder, resolve_dtype, weights_identity


def test_a_folder_is_loaded_frozen_in_eval_mode_and_in_float32_on_a_cpu(tiny_folder: Path) -> None:
    loaded = load_model(str(tiny_folder), device="cpu")
    assert (loaded.device, loaded.dtype, loaded.quantization) == ("cpu", "float32", "none")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_dtype_is_what_the_setting_says(tiny_folder: Path) -> None:
    loaded = load_model(str(tiny_folder), dtype="bfloat16", device="cpu")
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.bfloat16}
    assert [resolve_dtype(asked, "cpu") for asked in ("auto", "float16")] == ["float32", "float16"]


def test_a_folder_is_loaded_without_any_network_call(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a network call")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_model(str(tiny_folder), device="cpu")


def test_a_missing_pad_token_becomes_the_end_of_sequence_and_the_embedding_keeps_its_size(tiny_folder: Path) -> None:
    loaded = load_model(str(tiny_folder), device="cpu")
    assert loaded.tokenizer.pad_token == "</s>"
    assert loaded.tokenizer.padding_side == "left"
    assert loaded.model.get_input_embeddings().num_embeddings == loaded.model.config.vocab_size == len(loaded.tokenizer)
    assert load_tokenizer(str(tiny_folder)).pad_token_id == loaded.tokenizer.pad_token_id


def test_identity_changes_with_weights_configuration_and_tokenizer_and_not_with_the_place(tmp_path: Path) -> None:
    folder = save_tiny_mistral(tmp_path / "one")
    identity = weights_identity(str(folder))
    assert identity == weights_identity(str(shutil.copytree(folder, tmp_path / "copy")))
    seen = {identity, weights_identity(str(save_tiny_mistral(tmp_path / "other", seed=1)))}
    for name in ("config.json", "tokenizer.json"):
        path = folder / name
        path.write_text(path.read_text() + " ")
        seen.add(weights_identity(str(folder)))
    assert len(seen) == 4
    (folder / "README.txt").write_text("notes")
    assert weights_identity(str(folder)) in seen


@pytest.mark.parametrize("model_id", ["./x", "/models/x", "~/x", "a/b/c"])
def test_ids_that_can_only_be_paths_are_folders(model_id: str) -> None:
    assert local_folder(model_id) == Path(model_id).expanduser()


def test_a_hub_id_is_no_folder_and_pocket_lies_in_the_package() -> None:
    assert local_folder("mistralai/Mistral-7B-Instruct-v0.2") is None
    assert local_folder("pocket") == Path(loading.__file__).parent / "pocket"


@pytest.mark.parametrize(
    ("missing", "message"), [("config.json", "no config.json"), ("model.safetensors", r"no \*.safetensors weights")]
)
def test_a_folder_without_a_model_is_refused_by_what_it_lacks(tmp_path: Path, missing: str, message: str) -> None:
    folder = save_tiny_mistral(tmp_path / "m")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=message):
        load_model(str(folder))


def test_a_folder_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ModelError, match="there is no folder"):
        load_model("./no/such/folder")


def test_damaged_weights_are_a_model_error_and_one_line(tmp_path: Path) -> None:
    folder = save_tiny_mistral(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="could not be loaded") as caught:
        load_model(str(folder))
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_id_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"no-such-owner/no-such-model.*check the name and the connection"):
        load_model("no-such-owner/no-such-model")


def test_nf4_without_a_gpu_names_the_setting(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match=r"model\.quantization is \"nf4\" but PyTorch sees no GPU"):
        load_model(str(tiny_folder), quantization="nf4")


def test_nf4_without_bitsandbytes_says_what_to_install(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match=r"bitsandbytes is not installed: install the extra `gpu`"):
        load_model(str(tiny_folder), quantization="nf4", device="cpu")


def test_cuda_without_a_gpu_is_refused(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match=r"model\.device"):
        load_model(str(tiny_folder), device="cuda")


def test_a_hub_that_cannot_be_reached_is_one_line_whatever_its_client_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("Cannot send a request, as the client has been closed.")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", closed)
    with pytest.raises(ModelError, match=r"nobody/nothing.*check the name and the connection"):
        weights_identity("nobody/nothing")
