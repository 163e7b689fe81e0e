"""The script that measures two GPUs, whole, on a CPU: its ways agree, and its table holds them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tiny import tiny_tokenizer

from contrapeso.data import mmlu_folder, spider_folder

ROOT = Path(__file__).parents[2]


def test_the_ways_agree_to_float_noise_and_are_in_the_table(tmp_path: Path) -> None:
    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    ways = ["one GPU", "two GPUs, base divided"]
    arguments = {"--spider": spider_folder("pocket"), "--mmlu": mmlu_folder("pocket"), "--out": tmp_path / "out"}
    command = [sys.executable, "-m", "benchmarks.two_gpus", "--tokenizer", tmp_path / "tokenizer", "--tiny"]
    command += [part for option in arguments.items() for part in option]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*map(str, command), "--ways", *ways], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [(way, result[way]["processes"]) for way in result] == [(ways[0], 1), (ways[1], 2)]
    differences = result[ways[1]]["differences"]
    assert len(differences) == 8 and max(differences.values()) < 1e-4
    assert all(result[way][rate] > 0 for way in ways for rate in ("training", "generations", "choices"))
    table = (tmp_path / "out" / "table.md").read_text()
    assert all(f"| {way} |" in table for way in ways)
