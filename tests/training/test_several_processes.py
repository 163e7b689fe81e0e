"""Two processes learn what one learns, also with a penalty towards the base, a divided base and an interruption."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import torchrun
from safetensors.numpy import load_file
from tiny import save_tiny_mistral

from contrapeso.distributed import together
from contrapeso.models.loading import load_model
from contrapeso.settings import LoraSettings
from contrapeso.training.lora import RunFolders, train_run
from contrapeso.training.trainer import WholeStepTrainer

PREFIX = [1, 40, 41, 42, 43, 44]
ROWS = [
    {"input_ids": [*PREFIX, 50 + n, 60 + n, 2], "labels": [-100] * 7 + [60 + n, 2], "group": n % 2} for n in range(7)
]
ROWS.append({"input_ids": [1, 70, 71, 72, 2], "labels": [-100, 70, 71, 72, 2], "replay": True, "group": 2})
PACKED = {"packing": "shared_prefix", "pack_tokens": 16, "databases_per_step": 1}
RUNS = {
    "ordinary": {},
    "penalty on prompts": {**PACKED, "kl_to_base": 3.0},
    # One process has the replayed example, and the other nothing to compare.
    "penalty on replayed": {**PACKED, "kl_to_base": 3.0, "kl_on": "replay", "replay": {"data": "general"}},
    "penalty, checkpointed": {**PACKED, "kl_to_base": 3.0, "gradient_checkpointing": True},
}


def learn(model: str, out: Path, sharding: str, *, interrupted: bool) -> None:
    """Train every run, each on a base that the one before has left as it was."""
    base = load_model(model, device="cpu", sharding=sharding)
    for name, options in RUNS.items():
        settings = LoraSettings(
            rank=4,
            alpha=8,
            dropout=0.0,
            learning_rate=5e-3,
            batch_size=3,
            epochs=3,
            warmup_share=0.0,
            checkpoint_steps=2,
            **options,
        )
        folders = RunFolders(out / "adapters" / name, out / "checkpoints" / name)
        if interrupted:
            with Interruption(), pytest.raises(KeyboardInterrupt):
                train_run(base, ROWS, settings=settings, seed=0, folders=folders)
        result = train_run(base, ROWS, settings=settings, seed=0, folders=folders)
        if interrupted:
            assert result.resumed_from == 4
        (folders.adapter / "losses.json").write_text(json.dumps([step["loss"] for step in result.history]))


class Interruption(pytest.MonkeyPatch):
    """Within the block training is interrupted in its sixth step."""

    def __enter__(self) -> None:
        whole_step = WholeStepTrainer.training_step

        def stopped(trainer, *arguments, **named):
            if trainer.state.global_step == 5:
                raise KeyboardInterrupt
            return whole_step(trainer, *arguments, **named)

        self.setattr(WholeStepTrainer, "training_step", stopped)

    def __exit__(self, *_: object) -> None:
        self.undo()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    learn(str(model), out, "none", interrupted=False)
    return out


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_learn_what_one_does_though_they_are_interrupted(
    model: Path, alone: Path, tmp_path: Path, sharding: str
) -> None:
    done = torchrun(__file__, model, tmp_path, sharding)
    assert done.returncode == 0, done.stderr
    for name in RUNS:
        here, there = (out / "adapters" / name for out in (alone, tmp_path))
        losses = [json.loads((adapter / "losses.json").read_text()) for adapter in (here, there)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4), name
        weights = [load_file(adapter / "adapter_model.safetensors") for adapter in (here, there)]
        assert weights[0].keys() == weights[1].keys()
        for key, value in weights[0].items():
            # Adam divides by the gradient's own size, noise in a gradient near zero included.
            assert np.abs(value - weights[1][key]).max() < 1e-3 * np.abs(value).max() + 1e-6, (name, key)
    plain, penalised = (load_file(alone / "adapters" / name / "adapter_model.safetensors") for name in list(RUNS)[:2])
    assert max(np.abs(value - penalised[key]).max() for key, value in plain.items()) > 1e-3


if __name__ == "__main__":
    with together():
        learn(sys.argv[1], Path(sys.argv[2]), sys.argv[3], interrupted=True)
