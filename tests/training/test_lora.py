"""Training adapters on a tiny random Mistral: repeatable, resumable, and leaving the base as it was."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tiny import save_tiny_mistral, tiny_tokenizer
from transformers import AutoModelForCausalLM

from contrapeso.errors import DataError, ModelError, ResourceError
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.loading import LoadedModel, load_model
from contrapeso.settings import LoraSettings
from contrapeso.training.checkpoints import newest_complete
from contrapeso.training.lora import Row, RunFolders, TrainingResult, train_run
from contrapeso.training.order import example_order

SETTINGS = LoraSettings(
    rank=4, alpha=8, dropout=0.1, learning_rate=1e-2, batch_size=4, epochs=2, checkpoint_steps=2, warmup_share=0.1
)


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def base(base_folder: Path) -> LoadedModel:
    return load_model(str(base_folder), device="cpu")


def training_rows(count: int = 12) -> list[Row]:
    tokenizer = tiny_tokenizer()
    rows = []
    for number in range(count):
        prompt = tokenizer("Show " + "the " * (number % 5) + f"name {number}.")["input_ids"]
        completion = tokenizer(f" SELECT name FROM t{number};", add_special_tokens=False)["input_ids"]
        completion.append(tokenizer.eos_token_id)
        rows.append({"input_ids": prompt + completion, "labels": [-100] * len(prompt) + completion})
    return rows


def train(base: LoadedModel, root: Path, settings: LoraSettings = SETTINGS, **options: Any) -> TrainingResult:
    return train_run(
        base,
        options.pop("rows", training_rows()),
        settings=settings,
        seed=options.pop("seed", 7),
        folders=RunFolders(root / "adapter", root / "checkpoints"),
        **options,
    )


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[1, 40, 41, 42, 43]])).logits


class KilledError(Exception):
    """Stands for a kill: nothing in the code catches it."""


def killed_at(step: int) -> Any:
    def progress(now: int, total: int, loss: float) -> None:
        if now == step:
            raise KilledError

    return progress


def test_same_seed_gives_the_same_adapter_and_another_seed_another(base: LoadedModel, tmp_path: Path) -> None:
    train(base, tmp_path / "a")
    train(base, tmp_path / "b")
    train(base, tmp_path / "c", seed=8)
    identities = [adapter_identity(tmp_path / name / "adapter") for name in "abc"]
    assert identities[0] == identities[1]
    assert identities[0] != identities[2]


@pytest.mark.parametrize("step", [1, 3, 5])
def test_an_interrupted_and_resumed_run_ends_in_the_same_bits(base: LoadedModel, tmp_path: Path, step: int) -> None:
    whole = train(base, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(base, tmp_path / "parts", progress=killed_at(step))
    assert not (tmp_path / "parts" / "adapter").exists()
    resumed = train(base, tmp_path / "parts")
    assert resumed.resumed_from == (step - 1) // 2 * 2
    assert adapter_identity(tmp_path / "parts" / "adapter") == adapter_identity(tmp_path / "whole" / "adapter")
    assert [entry["loss"] for entry in resumed.history] == [entry["loss"] for entry in whole.history]


def test_a_run_killed_before_its_adapter_was_written_only_writes_it(base: LoadedModel, tmp_path: Path) -> None:
    train(base, tmp_path)
    identity = adapter_identity(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_config.json").unlink()
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    result = train(base, tmp_path)
    assert result.resumed_from == result.steps == 6
    assert adapter_identity(tmp_path / "adapter") == identity


def test_a_real_kill_in_the_middle_of_a_checkpoint_does_not_break_resuming(
    base: LoadedModel, base_folder: Path, tmp_path: Path
) -> None:
    train(base, tmp_path / "whole")
    # A process that dies by SIGKILL after the adapter of its second checkpoint is written, before the optimizer is.
    script = f"""
import os, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from pathlib import Path
from contrapeso.models.loading import load_model
from contrapeso.training.trainer import AdapterTrainer
from test_lora import train
save = AdapterTrainer._save_optimizer_and_scheduler
def die(self, folder):
    if folder.endswith("-4"):
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, folder)
AdapterTrainer._save_optimizer_and_scheduler = die
train(load_model({str(base_folder)!r}, device="cpu"), Path({str(tmp_path / "parts")!r}))
"""
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert process.returncode == -9, process.stderr
    assert (tmp_path / "parts" / "checkpoints" / "checkpoint-4" / "adapter_model.safetensors").is_file()
    resumed = train(base, tmp_path / "parts")
    assert resumed.resumed_from == 2
    assert adapter_identity(tmp_path / "parts" / "adapter") == adapter_identity(tmp_path / "whole" / "adapter")


def test_the_base_is_bit_for_bit_what_it_was(base: LoadedModel, tmp_path: Path) -> None:
    before, names = logits(base.model), [name for name, _ in base.model.named_modules()]
    config, generation = base.model.config.to_dict(), base.model.generation_config.to_dict()
    train(base, tmp_path)
    with pytest.raises(KilledError):
        train(base, tmp_path / "killed", progress=killed_at(2))
    assert torch.equal(logits(base.model), before)
    assert [name for name, _ in base.model.named_modules()] == names
    assert base.model.config.to_dict() == config
    assert base.model.generation_config.to_dict() == generation
    assert not any(module.training for module in base.model.modules())
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    assert "forward" not in vars(base.model)


def test_training_leaves_the_callers_random_numbers_alone(base: LoadedModel, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train(base, tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_losses_equal_a_plain_loop_over_the_same_examples(base: LoadedModel, base_folder: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"dropout": 0.0, "scheduler": "constant", "warmup_share": 0.0})
    rows = training_rows()
    seen: list[tuple[int, int]] = []
    result = train(base, tmp_path, settings, progress=lambda step, total, loss: seen.append((step, total)))
    assert seen == [(step, 6) for step in range(1, 7)]
    assert (result.steps, result.examples, len(result.history)) == (6, 24, 6)

    torch.manual_seed(7)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base_folder), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    )
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2, weight_decay=0.0)
    order = example_order([len(row["input_ids"]) for row in rows], settings, seed=7)
    for step, entry in enumerate(result.history):
        total, tokens = torch.tensor(0.0), 0
        for index in order[step * 4 : step * 4 + 4]:
            ids, labels = torch.tensor(rows[index]["input_ids"]), torch.tensor(rows[index]["labels"])
            output = model(ids[None]).logits[0, :-1]
            total = total + torch.nn.functional.cross_entropy(output, labels[1:], ignore_index=-100, reduction="sum")
            tokens += int((labels[1:] != -100).sum())
        (total / tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        assert entry["loss"] == pytest.approx((total / tokens).item(), rel=2e-4, abs=2e-4)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_the_shorter_loss_of_a_cpu_equals_trls(
    base: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.trainer.sft_trainer import SFTTrainer

    from contrapeso.training.trainer import AdapterTrainer

    ours = train(base, tmp_path / "ours")
    monkeypatch.setattr(AdapterTrainer, "compute_loss", SFTTrainer.compute_loss)
    theirs = train(base, tmp_path / "theirs")
    assert "mean_token_accuracy" in theirs.history[0] and "mean_token_accuracy" not in ours.history[0]
    assert [e["loss"] for e in ours.history] == pytest.approx([e["loss"] for e in theirs.history], rel=1e-4)


def test_the_adapter_loads_with_plain_peft_and_changes_the_base(
    base: LoadedModel, base_folder: Path, tmp_path: Path
) -> None:
    train(base, tmp_path)
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_folder), tmp_path / "adapter").eval()
    assert not torch.allclose(logits(tuned), logits(base.model), atol=1e-3)


def test_gradient_accumulation_gives_the_same_losses_as_one_large_batch(base: LoadedModel, tmp_path: Path) -> None:
    plain = SETTINGS.model_copy(update={"dropout": 0.0})
    accumulated = plain.model_copy(update={"batch_size": 2, "gradient_accumulation": 2})
    losses = [
        [entry["loss"] for entry in train(base, tmp_path / name, settings).history]
        for name, settings in (("plain", plain), ("accumulated", accumulated))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_gradient_checkpointing_changes_no_loss_and_is_switched_off_again(base: LoadedModel, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"dropout": 0.0})
    plain = train(base, tmp_path / "plain", settings)
    checkpointed = train(base, tmp_path / "c", settings.model_copy(update={"gradient_checkpointing": True}))
    assert [e["loss"] for e in checkpointed.history] == pytest.approx([e["loss"] for e in plain.history], rel=1e-4)
    assert not base.model.is_gradient_checkpointing


def test_a_full_disk_says_so_and_leaves_nothing_half_written(
    base: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contrapeso.training.trainer import AdapterTrainer

    def full(self: Any, folder: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AdapterTrainer, "_save_rng_state", full)
    with pytest.raises(ResourceError, match=r"checkpoint-2 \(\[Errno 28\] No space left on device\): free some disk"):
        train(base, tmp_path)
    assert not list(tmp_path.rglob("checkpoint-*"))
    monkeypatch.undo()

    monkeypatch.setattr(PeftModel, "save_pretrained", lambda self, folder, **_: full(self, folder))
    with pytest.raises(ResourceError, match="free some disk"):
        train(base, tmp_path, SETTINGS.model_copy(update={"checkpoint_steps": 100}))
    assert not (tmp_path / "adapter").exists()
    assert not (tmp_path / "adapter.part").exists()


def test_an_example_longer_than_max_length_is_refused_and_not_cut(base: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"training example \d+ has \d+ tokens, more than training.max_length = 16"):
        train(base, tmp_path, SETTINGS.model_copy(update={"max_length": 16}))
    with pytest.raises(DataError, match="no training example"):
        train(base, tmp_path, rows=[])


def test_unknown_target_modules_are_refused_by_name(base: LoadedModel, tmp_path: Path) -> None:
    before = logits(base.model)
    with pytest.raises(ModelError, match="no_such_layer"):
        train(base, tmp_path, SETTINGS.model_copy(update={"target_modules": ("no_such_layer",)}))
    assert torch.equal(logits(base.model), before)


def test_paged_8_bit_adamw_is_refused_without_a_gpu(base: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"training\.optimizer"):
        train(base, tmp_path, SETTINGS.model_copy(update={"optimizer": "paged_adamw_8bit"}))


@pytest.mark.parametrize("epochs", [0.5, 1, 2, 2.5])
def test_every_epoch_sees_every_example_once_in_batches_of_like_length(epochs: float) -> None:
    lengths = [10 + (37 * index) % 101 for index in range(103)]
    order = example_order(lengths, LoraSettings(epochs=epochs, batch_size=4), seed=1)
    counts = [order.count(index) for index in range(len(lengths))]
    assert len(order) == round(epochs * 103)
    assert max(counts) - min(counts) <= 1
    assert order != example_order(lengths, LoraSettings(epochs=epochs, batch_size=4), seed=2)

    def padding(order: list[int]) -> int:
        batches = [[lengths[index] for index in order[at : at + 4]] for at in range(0, len(order), 4)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in batches)

    assert padding(order) < 0.4 * padding([index % 103 for index in range(len(order))])


def test_a_checkpoint_without_its_marker_is_deleted(tmp_path: Path) -> None:
    for step in (2, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}" / "complete").touch()
    assert newest_complete(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-12").exists()
    assert newest_complete(tmp_path / "missing") is None


def test_a_diverged_run_is_refused_and_leaves_no_adapter(base: LoadedModel, tmp_path: Path) -> None:
    with torch.no_grad():
        base.model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"training diverged: the loss is nan at step 1 with learning_rate"):
        train(base, tmp_path)
    assert not (tmp_path / "adapter").exists()
