"""Adapters kept from the middle of a run: what they hold, and that a run is the same with and without them."""

from pathlib import Path
from typing import Any

import pytest
from tiny import save_tiny_mistral
from training.test_lora import SETTINGS, KilledError, killed_at, training_rows

from contrapeso.models.adapters import adapter_identity
from contrapeso.models.loading import LoadedModel, load_model
from contrapeso.settings import LoraSettings
from contrapeso.store import read_json
from contrapeso.training.checkpoints import Kept
from contrapeso.training.lora import RunFolders, TrainingResult, train_run
from contrapeso.training.order import optimizer_steps


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")), device="cpu")


def train(
    base: LoadedModel, root: Path, *steps: int, settings: LoraSettings = SETTINGS, only: bool = False, **options: Any
) -> TrainingResult:
    kept = tuple(Kept(step, root / f"at-{step}", {"step": str(step)}) for step in steps)
    folders = RunFolders(root / "adapter", root / "checkpoints", kept, only)
    return train_run(base, training_rows(), settings=settings, seed=7, folders=folders, **options)


def test_a_kept_step_is_what_the_trainer_had_in_its_checkpoint_and_the_run_ends_as_without(
    base: LoadedModel, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):  # leaves the checkpoint of step 4, as TRL's trainer wrote it
        train(base, tmp_path / "killed", 4, progress=killed_at(5))
    whole = train(base, tmp_path / "whole", 3, 4)
    assert whole.steps == 6
    plain = train(base, tmp_path / "plain")
    assert adapter_identity(tmp_path / "whole" / "adapter") == adapter_identity(tmp_path / "plain" / "adapter")
    assert [entry["loss"] for entry in whole.history] == [entry["loss"] for entry in plain.history]
    weights = "adapter_model.safetensors"
    four = (tmp_path / "whole" / "at-4" / weights).read_bytes()
    assert four == (tmp_path / "killed" / "checkpoints" / "checkpoint-4" / weights).read_bytes()
    assert four != (tmp_path / "whole" / "at-3" / weights).read_bytes()
    assert four != (tmp_path / "whole" / "adapter" / weights).read_bytes()
    assert read_json(tmp_path / "whole" / "at-4" / "key.json") == {"step": "4"}


def test_steps_missing_later_are_trained_up_to_the_last_of_them_and_no_further(
    base: LoadedModel, tmp_path: Path
) -> None:
    train(base, tmp_path, 4)
    before = adapter_identity(tmp_path / "at-4")
    finished = (tmp_path / "adapter" / "adapter_config.json").stat()
    (tmp_path / "at-4" / "adapter_config.json").unlink()
    for folder in (tmp_path / "checkpoints").glob("*"):
        folder.rename(folder.with_name("gone-" + folder.name))
    seen: list[int] = []
    train(base, tmp_path, 2, 4, only=True, progress=lambda step, total, loss: seen.append(step))
    assert seen == [1, 2, 3, 4] and adapter_identity(tmp_path / "at-4") == before
    assert (tmp_path / "adapter" / "adapter_config.json").stat().st_mtime_ns == finished.st_mtime_ns


@pytest.mark.parametrize(("epochs", "batch", "accumulation"), [(2, 4, 1), (1, 5, 1), (0.1, 4, 2), (1.5, 3, 3)])
def test_the_number_of_steps_told_beforehand_is_what_the_trainer_does(
    base: LoadedModel, tmp_path: Path, epochs: float, batch: int, accumulation: int
) -> None:
    changes = {"epochs": epochs, "batch_size": batch, "gradient_accumulation": accumulation}
    settings = SETTINGS.model_copy(update=changes)
    assert train(base, tmp_path, settings=settings).steps == optimizer_steps(len(training_rows()), settings)
