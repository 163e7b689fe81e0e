"""Killed at any moment, a study ends in the same bytes: `kill -9` in measuring, training and reporting, and Ctrl-C."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from studies import changed, files, results, write_tiny_study

PATIENCE_SECONDS = 120
MARK = "CONTRAPESO_KILL_TEST"
# A study passes these points in this order; each is waited for, then a random moment more.
MOMENTS = (
    ("measuring", "outcomes/Baseline_Model/spider.jsonl", signal.SIGKILL),
    ("measuring", "outcomes/Baseline_Model__3-shot_/spider.jsonl", signal.SIGKILL),
    ("training", "checkpoints/Fine-Tuned_Run_1/checkpoint-*/optimizer.pt", signal.SIGKILL),
    ("training", "checkpoints/Fine-Tuned_Run_1/checkpoint-[5-8]", signal.SIGINT),
    ("training", "checkpoints/Fine-Tuned_Run_2/checkpoint-[2-8]/complete", signal.SIGKILL),
    ("measuring", "outcomes/Fine-Tuned_Run_2/spider.key.json", signal.SIGKILL),
    ("reporting", "csv/*.csv", signal.SIGKILL),
    ("reporting", "figures/*.png", signal.SIGKILL),
)


@dataclass
class Interruption:
    phase: str
    sent: signal.Signals
    code: int
    stderr: str
    left_running: list[str]


@dataclass
class Story:
    whole: Path
    interrupted: Path
    interruptions: list[Interruption]
    last_code: int
    last_output: str


def start(study, out):
    command = [sys.executable, "-m", "contrapeso", "run", str(study), "--out", str(out), "--set", "training.epochs=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", MARK: str(out)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def until(condition):
    """Wait for a condition; returns whether it came true in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return met


def processes_of(out):
    """Every process, workers too, that carries the mark of this study in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(out) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
        except psutil.Error:
            continue
    return found


def interrupt(study, out, moment, *, delay, group):
    """Start the study, wait for the moment and a little longer, send the signal, wait for the end."""
    phase, pattern, sent = moment
    process = start(study, out)
    assert until(lambda: any(out.glob(pattern)) or process.poll() is not None)
    time.sleep(delay)
    if process.poll() is None:
        os.killpg(process.pid, sent) if group else os.kill(process.pid, sent)
    stderr = process.communicate(timeout=PATIENCE_SECONDS)[1]
    until(lambda: not processes_of(out))
    return Interruption(phase, sent, process.returncode, stderr, processes_of(out))


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """One study run through, and the same one interrupted again and again."""
    root = tmp_path_factory.mktemp("kill")
    study, whole, out = write_tiny_study(root), root / "whole", root / "interrupted"
    reference = start(study, whole)
    chance = random.Random(2024)
    interruptions = []
    for number, moment in enumerate(MOMENTS):
        delay = chance.uniform(0, 0.04)
        if not any(out.glob(moment[1])):
            # Every other time the group, as a terminal or a scheduler does; otherwise the process alone, whose
            # workers must then end by themselves.
            interruptions.append(interrupt(study, out, moment, delay=delay, group=number % 2 == 0))
    last = start(study, out)
    last_output, last_error = last.communicate(timeout=PATIENCE_SECONDS)
    assert reference.wait(PATIENCE_SECONDS) == 0, reference.stderr.read()
    return Story(whole, out, interruptions, last.returncode, last_output + last_error)


def test_the_study_was_killed_in_every_phase(story):
    killed = [entry.phase for entry in story.interruptions if entry.code == -signal.SIGKILL]
    assert len(killed) >= 6, [(entry.phase, entry.code) for entry in story.interruptions]
    assert set(killed) == {"measuring", "training", "reporting"}


def test_after_all_kills_the_same_command_completes(story):
    assert story.last_code == 0, story.last_output


def test_an_interrupted_study_ends_in_the_same_bytes_as_one_run_through(story):
    whole, interrupted = results(story.whole), results(story.interrupted)
    assert len(whole) > 20 and sum(name.endswith(".safetensors") for name in whole) == 2
    assert changed(whole, interrupted) == set()


def test_nothing_half_written_and_no_checkpoint_stays(story):
    left = files(story.interrupted)
    assert set(left) == set(files(story.whole))
    assert not [name for name in left if ".tmp" in name or ".part" in name or name.startswith("checkpoints")]


def test_no_worker_process_outlives_a_kill(story):
    assert [entry.left_running for entry in story.interruptions] == [[]] * len(story.interruptions)
    assert processes_of(story.interrupted) == []


def test_ctrl_c_exits_130_with_one_line(story):
    stopped = [entry for entry in story.interruptions if entry.sent == signal.SIGINT]
    assert [(entry.code, entry.stderr) for entry in stopped] == [
        (130, "contrapeso: interrupted; the same command resumes\n")
    ]
