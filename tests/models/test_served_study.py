"""A whole study with the engine on vLLM: runs are trained first, and it ends where the local engine ends."""

import json
from pathlib import Path
from typing import Any

import fake_vllm
import pytest
from studies import write_tiny_study

from contrapeso import load_study, run
from contrapeso.models import choice, served, served_start


class Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line.partition(":")[0])

    def track(self, label: str, total: int, done: int = 0) -> Any:
        from contrapeso.progress import Silent

        return Silent().track(label, total, done)


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> type[fake_vllm.LLM]:
    monkeypatch.setattr(served_start, "free_share", lambda: 0.5)
    monkeypatch.setattr(choice, "_missing", lambda device, dtype: "")
    return fake_vllm.install(monkeypatch)


def outcomes(folder: Path) -> dict[str, list[Any]]:
    found = {}
    for path in sorted(folder.rglob("outcomes/*/*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found[str(path.relative_to(folder))] = sorted((row["item"], row["answer"], row["correct"]) for row in rows)
    return found


def test_a_served_study_trains_first_and_finds_what_a_local_one_finds(
    llm: type[fake_vllm.LLM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The real vLLM refuses adapters in float32; the fake computes in it, so that answers can be held to the letter.
    require = served.require_servable
    monkeypatch.setattr(served, "require_servable", lambda *a, **k: require(*a, **{**k, "dtype": "bfloat16"}))
    file = write_tiny_study(tmp_path)
    lines = Lines()
    run(load_study(file, ["evaluate.engine=served"]), tmp_path / "served", reporter=lines)
    said = [line.partition(" on ")[0] for line in lines.lines if line.startswith(("train", "start", "measure"))]
    assert list(dict.fromkeys(said)) == [
        "train Fine-Tuned Run 1",
        "train Fine-Tuned Run 2",
        "start vLLM",
        "measure Baseline Model",
        "measure Baseline Model (3-shot)",
        "measure Fine-Tuned Run 1",
        "measure Fine-Tuned Run 2",
    ]
    [engine] = llm.started
    assert engine.options["max_cpu_loras"] == 2
    run(load_study(file), tmp_path / "local")
    assert outcomes(tmp_path / "served") == outcomes(tmp_path / "local")
    keys = [
        json.loads((tmp_path / e / "outcomes/Baseline_Model/mmlu.key.json").read_text()) for e in ("served", "local")
    ]
    assert keys[0].pop("engine") == "served" and keys[0] == keys[1]


def test_without_vllm_a_served_study_is_measured_locally_and_says_so(tmp_path: Path) -> None:
    lines = Lines()
    run(
        load_study(write_tiny_study(tmp_path), ["evaluate.engine=auto", "runs.1.epochs=1"]),
        tmp_path / "out",
        reporter=lines,
    )
    assert "engine local, because vLLM needs a GPU" in lines.lines
