"""Two processes do what one does: the same outcomes, the same adapters to float noise; and they end together."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from processes import torchrun
from safetensors.numpy import load_file
from studies import contrapeso, write_tiny_study
from transformers import GPT2Config, GPT2LMHeadModel

from contrapeso import load_study, run
from contrapeso.distributed import is_main, rank, size, together
from contrapeso.errors import ResourceError, StudyError
from contrapeso.models.sharded import Share
from contrapeso.training.shared_batches import BatchCollator

SETTINGS = (
    'general.subjects=["astronomy"]',  # five questions in three batches: one process has one more than the other
    "evaluate.score_batch=2",
    "training.dropout=0",  # the only thing that differs between processes
    "runs.0.gradient_accumulation=2",  # the last of two steps has seven examples
    "runs.0.gradient_checkpointing=true",
    "runs.1.epochs=2",
    "runs.1.packing=shared_prefix",
    "runs.1.pack_tokens=300",  # more packs than processes, not equally many for both
)
RUNS = ("Fine-Tuned_Run_1", "Fine-Tuned_Run_2")

BROKEN = """
import os, signal, sys
from contrapeso.cli import main
from contrapeso.errors import ModelError, ResourceError
from contrapeso.models.local import LocalEngine
from contrapeso.training.trainer import WholeStepTrainer

where, whole_step = sys.argv.pop(1), WholeStepTrainer.training_step

def no_answer(*_, **__):
    raise ModelError("made to fail while answering")
    yield

def broken_step(self, *arguments, **named):
    if self.state.global_step:
        if where == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ResourceError("made to fail while training")
    return whole_step(self, *arguments, **named)

if os.environ["RANK"] == "1":
    if where == "answering":
        LocalEngine.score_options = no_answer
    else:
        WholeStepTrainer.training_step = broken_step
main()
"""

DIVIDED = """
import sys
import torch
from contrapeso.distributed import greatest, is_main, together
from contrapeso.models.fsdp import divided
from transformers import AutoModelForCausalLM

with together():
    for folder in sys.argv[1:]:
        whole = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        parts = divided(lambda: AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), "cpu")
        held = sum(parameter.to_local().numel() for parameter in parts.parameters())
        ids = torch.arange(40).view(2, 20)
        with torch.no_grad():
            difference = (whole(input_ids=ids).logits - parts(input_ids=ids).logits).abs().max()
        share = held / sum(parameter.numel() for parameter in whole.parameters())
        if is_main():
            print(f"SHARE {share:.3f} DIFFERENCE {difference:.1e}")
"""


def settings_options() -> list[str]:
    return [part for setting in SETTINGS for part in ("--set", setting)]


def run_on_two(study: Path, out: Path, *options: str) -> str:
    done = torchrun("-m", "contrapeso", "run", study, "--out", out, *settings_options(), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def alone(study: Path) -> Path:
    out = study.parent / "alone"
    run(load_study(study, SETTINGS), out)
    return out


def outcomes(root: Path) -> dict[str, list[dict[str, object]]]:
    """All outcomes but for the log-probabilities, which are rounded numbers."""
    found = {}
    for path in sorted((root / "outcomes").rglob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found[path.relative_to(root).as_posix()] = [
            {name: value for name, value in row.items() if name != "log_probabilities"} for row in rows
        ]
    return found


def log_probabilities(root: Path) -> np.ndarray:
    paths = sorted((root / "outcomes").rglob("mmlu.jsonl"))
    rows = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return np.array([row["log_probabilities"] for row in rows])


def require_equal_to_float_noise(one: Path, other: Path) -> None:
    assert outcomes(one) == outcomes(other)
    np.testing.assert_allclose(log_probabilities(one), log_probabilities(other), atol=1e-4)
    for name in RUNS:
        here, there = (load_file(root / "adapters" / name / "adapter_model.safetensors") for root in (one, other))
        assert here.keys() == there.keys()
        for key, value in here.items():
            assert np.abs(value - there[key]).max() < 1e-4 * np.abs(value).max() + 1e-6, key
        losses = [
            [step["loss"] for step in json.loads((root / "adapters" / name / "training.json").read_text())["history"]]
            for root in (one, other)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_two_processes_end_in_the_same_study_and_speak_with_one_voice(study: Path, alone: Path) -> None:
    out = study.parent / "two"
    said = run_on_two(study, out)
    require_equal_to_float_noise(alone, out)
    assert said.count("Report:") == said.count("train Fine-Tuned Run 1") == 1
    assert json.loads((out / "manifest.json").read_text())["hardware"]["processes"] == 2
    assert (out / "report.html").is_file()
    # And what two have finished, one finds finished.
    lines = []
    reporter = type("Listens", (), {"say": lambda self, line: lines.append(line)})()
    run(load_study(study, SETTINGS), out, reporter=reporter)
    assert len(lines) == 1 and "nothing to do" in lines[0]


def test_two_processes_finish_what_one_began(study: Path, alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = study.parent / "resumed"
    shutil.copytree(alone, out)
    shutil.rmtree(out / "adapters" / RUNS[1])
    for path in (out / "outcomes" / RUNS[1]).iterdir():
        path.unlink()
    from contrapeso.training.trainer import SharedPrefixTrainer

    before = SharedPrefixTrainer.training_step

    def stopped(self, *arguments, **named):
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return before(self, *arguments, **named)

    monkeypatch.setattr(SharedPrefixTrainer, "training_step", stopped)
    options = [*settings_options(), "--set", "runs.1.checkpoint_steps=1"]  # moves no weight
    assert contrapeso(monkeypatch, "run", study, "--out", out, *options) == 130
    said = run_on_two(study, out, "--set", "runs.1.checkpoint_steps=1")
    assert "train Fine-Tuned Run 1" not in said and "measure Baseline" not in said
    assert json.loads((out / "adapters" / RUNS[1] / "training.json").read_text())["resumed_from"] == 3
    require_equal_to_float_noise(alone, out)


def test_a_base_divided_among_two_processes_gives_the_same_study(study: Path, alone: Path) -> None:
    out = study.parent / "divided"
    run_on_two(study, out, "--set", "model.sharding=fsdp")
    require_equal_to_float_noise(alone, out)


def test_each_of_two_processes_holds_half_of_a_divided_base(study: Path, tmp_path: Path) -> None:
    script, tied = tmp_path / "divided.py", tmp_path / "gpt2"
    script.write_text(DIVIDED)
    GPT2LMHeadModel(GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=2, n_positions=64)).save_pretrained(tied)
    done = torchrun(script, study.parent / "model", tied)
    # The second model's output layer is its embedding.
    assert done.stdout.count("SHARE 0.500 DIFFERENCE 0.0e+00") == 2, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("answering", "made to fail while answering"),
        ("training", "made to fail while training"),
    ],
)
def test_one_process_that_fails_ends_both_with_one_line(study: Path, tmp_path: Path, where: str, said: str) -> None:
    ours, stderr = broken(where, study, tmp_path)
    assert len(ours) == 1 and said in ours[0], stderr


def test_one_process_that_is_killed_ends_both(study: Path, tmp_path: Path) -> None:
    ours, stderr = broken("killed", study, tmp_path)
    # torchrun may end the other before it has noticed; then torchrun's own account stands alone.
    assert "SIGKILL" in stderr and all("has ended without a word" in line for line in ours)


def broken(where: str, study: Path, tmp_path: Path) -> tuple[list[str], str]:
    """Run a study whose second process fails; our lines on stderr, and all of it."""
    script = tmp_path / "broken.py"
    script.write_text(BROKEN)
    done = torchrun(script, where, "run", study, "--out", tmp_path / "out", *settings_options())
    assert done.returncode != 0
    assert "[rank" not in done.stderr  # no traceback of ours
    return [line for line in done.stderr.splitlines() if line.startswith("contrapeso: ")], done.stderr


def test_a_mistake_in_the_study_is_said_once(study: Path, tmp_path: Path) -> None:
    done = torchrun("-m", "contrapeso", "run", study, "--out", tmp_path / "out", "--set", "training.rank=0")
    assert done.returncode != 0 and not (tmp_path / "out").exists()
    assert sum("rank = 0: Input should be" in line for line in done.stderr.splitlines()) == 1


def test_batches_go_round_and_what_is_answered_takes_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [(0, 1), (2, 3), (4, 5), (6, 7), (8,)]
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = []
    for number in range(2):
        monkeypatch.setenv("RANK", str(number))
        share = Share({2, 3, 4})
        done.append([batch for batch in batches if not share.issuperset(batch)])
    assert done == [[(0, 1), (6, 7)], [(4, 5), (8,)]]


@pytest.mark.parametrize("processes", [1, 2, 3, 20])
def test_processes_share_a_step_of_ordinary_batches_without_loss_or_overlap(processes: int) -> None:
    rows = [{"input_ids": list(range(3 + n)), "labels": [-100, 100 + n, *[-100] * (n + 1)]} for n in range(13)]
    parts = [BatchCollator(4, rank=number, processes=processes)(rows) for number in range(processes)]
    labels = [label for part in parts for batch in part["packs"] for label in batch["labels"].flatten().tolist()]
    assert sorted(label for label in labels if label != -100) == list(range(100, 113))
    assert {part["labels_in_step"] for part in parts} == {13}
    assert all(1 <= len(batch["input_ids"]) <= 4 for part in parts for batch in part["packs"])


def test_one_process_needs_no_companions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with together():
        assert (rank(), size(), is_main()) == (0, 1, True)


def test_a_stray_number_of_processes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ResourceError, match="start them with torchrun, or unset WORLD_SIZE"), together():
        pass


def test_dividing_a_4_bit_base_is_refused(study: Path) -> None:
    with pytest.raises(StudyError, match=r'set model\.quantization = "none"'):
        load_study(study, ["model.sharding=fsdp", "model.quantization=nf4"])
