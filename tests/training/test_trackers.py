"""Trackers are told what training does, and change nothing of it."""

import os
import shutil
from pathlib import Path

import pytest
from test_lora import SETTINGS, KilledError, killed_at, train
from tiny import save_tiny_mistral

from contrapeso.errors import StudyError
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.loading import LoadedModel, load_model
from contrapeso.training import arguments

TRACKED = SETTINGS.model_copy(update={"report_to": ("tensorboard",)})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")), device="cpu")


def scalars(folder: Path, name: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {event.step: event.value for event in events.Scalars(name)}


def test_tensorboard_reads_back_every_step(base: LoadedModel, tmp_path: Path) -> None:
    environment = dict(os.environ)
    result = train(base, tmp_path / "adapters", TRACKED)
    logs = tmp_path / "logs" / "adapter"
    for name in ("loss", "learning_rate", "grad_norm"):
        expected = {int(entry["step"]): entry[name] for entry in result.history}
        assert len(expected) == 6
        assert scalars(logs, f"train/{name}") == pytest.approx(expected, rel=1e-5)
    assert dict(os.environ) == environment


def test_tracking_changes_no_bit_of_the_adapter(base: LoadedModel, tmp_path: Path) -> None:
    train(base, tmp_path / "a" / "adapters", TRACKED)
    train(base, tmp_path / "b" / "adapters")
    identities = [adapter_identity(tmp_path / name / "adapters" / "adapter") for name in "ab"]
    assert identities[0] == identities[1]
    assert not (tmp_path / "b" / "logs").exists()


def test_a_resumed_run_goes_on_in_its_log_and_a_fresh_one_begins_anew(base: LoadedModel, tmp_path: Path) -> None:
    logs = tmp_path / "logs" / "adapter"
    with pytest.raises(KilledError):
        train(base, tmp_path / "adapters", TRACKED, progress=killed_at(4))
    assert max(scalars(logs, "train/loss")) == 4
    train(base, tmp_path / "adapters", TRACKED)
    assert sorted(scalars(logs, "train/loss")) == [1, 2, 3, 4, 5, 6]
    shutil.rmtree(tmp_path / "adapters" / "checkpoints")
    (logs / "of-an-earlier-attempt").touch()
    train(base, tmp_path / "adapters", TRACKED)
    assert not (logs / "of-an-earlier-attempt").exists()
    assert len(list(logs.iterdir())) == 1


def test_a_tracker_that_is_not_installed_is_named_before_training(
    base: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(arguments.LIBRARIES, "wandb", "no_such_library")
    with pytest.raises(StudyError, match=r"training.report_to names 'wandb', which is not installed: `pip install no"):
        train(base, tmp_path, SETTINGS.model_copy(update={"report_to": ("wandb",)}))
    assert not list(tmp_path.iterdir())
