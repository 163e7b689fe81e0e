"""The penalty towards the base: its value and its gradient are what the formula says, for every row, packed or not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from pydantic import ValidationError
from tiny import save_tiny_mistral
from transformers import AutoModelForCausalLM

from contrapeso.models.adapters import adapter_identity
from contrapeso.models.loading import load_model
from contrapeso.settings import LoraSettings, ReplaySettings
from contrapeso.training.examples import IGNORED, Row
from contrapeso.training.kl import divergence, mark_kl, penalised_loss
from contrapeso.training.lora import RunFolders, train_run
from contrapeso.training.shared_prefix import SharedPrefixCollator

PREFIX = [1, 40, 41, 42, 43, 44]
ROWS: list[Row] = [
    {"input_ids": [*PREFIX, 50, 60, 61, 2], "labels": [IGNORED] * 7 + [60, 61, 2]},
    {"input_ids": [*PREFIX, 51, 52, 62, 2], "labels": [IGNORED] * 8 + [62, 2]},
    {"input_ids": [1, 70, 71, 72, 2], "labels": [IGNORED, 70, 71, 72, 2], "replay": True},
]
PENALISED = LoraSettings(
    rank=4,
    alpha=8,
    dropout=0.0,
    learning_rate=5e-3,
    batch_size=3,
    epochs=8,
    packing="shared_prefix",
    pack_tokens=64,
    databases_per_step=1,
    warmup_share=0.0,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_pretrained(folder)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(plain, config).train()


def test_the_gradient_of_the_divergence_is_tuned_minus_base_probabilities() -> None:
    torch.manual_seed(1)
    tuned, base = torch.randn(5, 11, requires_grad=True), torch.randn(5, 11)
    value = divergence(tuned, base)
    p, q = base.softmax(-1), tuned.softmax(-1)
    assert torch.allclose(value, (p * (p.log() - q.log())).sum(-1), atol=1e-6)
    (gradient,) = torch.autograd.grad(value.sum(), tuned)
    assert torch.allclose(gradient, (q - p).detach(), atol=1e-6)


def test_prompts_are_compared_where_nothing_is_learnt_and_replayed_rows_everywhere() -> None:
    assert [row["kl"] for row in mark_kl(ROWS, "prompt")] == [
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    assert [sum(row["kl"]) for row in mark_kl(ROWS, "replay")] == [0, 0, 4]


@pytest.mark.parametrize("where", ["prompt", "replay"])
def test_loss_and_penalty_of_a_pack_and_their_gradients_are_those_of_its_rows_one_by_one(
    model: Any, where: Any
) -> None:
    rows = mark_kl(ROWS, where)
    collated = SharedPrefixCollator(64)(rows)
    (pack,) = collated["packs"]
    assert int(pack["kl_in_step"]) == sum(sum(row["kl"]) for row in rows)
    nll, penalty = penalised_loss(model, model, pack)
    parameters = [p for p in model.parameters() if p.requires_grad]
    packed = torch.autograd.grad(nll + 0.7 * penalty, parameters)

    expected_nll, expected_penalty = torch.zeros(()), torch.zeros(())
    for row in rows:
        ids = torch.tensor([row["input_ids"]])
        logits = model(ids).logits[0]
        with torch.no_grad(), model.disable_adapter():
            base = model(ids).logits[0].softmax(-1)
        logs = logits.log_softmax(-1)
        for place, compared in enumerate(row["kl"]):
            if compared:
                expected_penalty = expected_penalty + (base[place] * (base[place].log() - logs[place])).sum()
            if place + 1 < len(row["labels"]) and row["labels"][place + 1] != IGNORED:
                expected_nll = expected_nll - logs[place, row["labels"][place + 1]]
    apart = torch.autograd.grad(expected_nll + 0.7 * expected_penalty, parameters)
    assert nll.item() == pytest.approx(expected_nll.item(), rel=1e-5)
    assert penalty.item() == pytest.approx(expected_penalty.item(), rel=1e-4)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(packed, apart, strict=True))


def test_the_adapter_itself_has_no_divergence_while_it_changes_nothing(folder: Path) -> None:
    plain = AutoModelForCausalLM.from_pretrained(folder)
    fresh = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear")).train()
    (pack,) = SharedPrefixCollator(64)(mark_kl(ROWS, "prompt"))["packs"]
    assert penalised_loss(fresh, fresh, pack)[1].item() == pytest.approx(0, abs=1e-5)
    assert fresh.training


def trained(folder: Path, root: Path, settings: LoraSettings) -> tuple[Path, float]:
    """An adapter and how far it is from the base on the prompts it learnt, in nats a token."""
    base = load_model(str(folder), device="cpu")
    adapter = root / "adapter"
    train_run(base, ROWS * 4, settings=settings, seed=3, folders=RunFolders(adapter, root / "checkpoints"))
    from peft import PeftModel

    tuned = PeftModel.from_pretrained(base.model, str(adapter)).eval()
    rows = mark_kl(ROWS, "prompt")
    (pack,) = SharedPrefixCollator(64)(rows)["packs"]
    with torch.no_grad():
        far = penalised_loss(tuned, tuned, pack)[1].item() / sum(sum(row["kl"]) for row in rows)
    return adapter, far


def test_a_run_with_the_penalty_ends_nearer_to_its_base_and_repeats_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    penalised = PENALISED.model_copy(update={"kl_to_base": 5.0})
    _, free = trained(folder, tmp_path / "free", PENALISED)
    first, held = trained(folder, tmp_path / "held", penalised)
    again, _ = trained(folder, tmp_path / "again", penalised)
    assert held < free / 3
    assert adapter_identity(first) == adapter_identity(again)


def test_a_step_without_a_replayed_example_has_no_penalty_and_trains_on(folder: Path, tmp_path: Path) -> None:
    settings = PENALISED.model_copy(
        update={"kl_to_base": 1.0, "kl_on": "replay", "replay": ReplaySettings(), "batch_size": 1, "epochs": 1}
    )
    adapter, far = trained(folder, tmp_path, settings)
    assert far > 0 and (adapter / "adapter_config.json").is_file()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"packing": "none", "kl_to_base": 0.1}, "packing"), ({"kl_to_base": 0.1, "kl_on": "replay"}, "replay")],
)
def test_a_penalty_that_cannot_be_computed_is_refused_with_the_setting_to_change(changes: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        LoraSettings(**{**PENALISED.model_dump(), **changes})
