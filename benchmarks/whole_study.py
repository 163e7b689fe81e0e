"""How long does a whole study of a 7B model take on one GPU, from a cold start to the written report?

In: the real Spider, MMLU and Mistral tokenizer. Out, below `--work`: a model with the shape of Mistral-7B and random
weights in bfloat16, `study.toml`, the study folder, what the command said with the second it said it at (`said.txt`),
and `result.json`. The study is the base and two runs of one epoch each over all of Spider train (the original's rank 8
on the attention, examples packed behind one copy of their schema), measured on all of Spider dev and 5-shot MMLU. It is
one `contrapeso run` in a fresh process, and the weights are on the disk and not in memory when it begins.

A step costs what it costs with real weights. Random ones never end an answer by themselves, so answers stop after 40
tokens; the audit finds what they are and withholds the numbers, as it should.

    python -m benchmarks.whole_study --spider DIR --mmlu DIR --tokenizer DIR --work DIR [--engine served] [--tiny]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.mistral_7b_shape import slice_mmlu, slice_spider
from benchmarks.random_mistral import TINY_SHAPE, forget_cached, save_in_own_process
from benchmarks.side_by_side import environment, write

STUDY = """\
name = "whole-study"
seed = 42

[model]
id = "model"

[target]
data = {spider}
baseline_shots = 0
max_new_tokens = 40

[general]
data = {mmlu}
shots = 5

[training]
rank = 8
alpha = 16
dropout = 0.05
target_modules = ["q_proj", "k_proj", "v_proj", "o_proj"]
batch_size = 64
packing = "shared_prefix"
pack_tokens = 8192

[[runs]]
learning_rate = 2e-4

[[runs]]
learning_rate = 5e-5

[evaluate]
engine = "{engine}"
generate_batch = 256
score_batch = 64
sql_workers = 8
"""


def study_text(spider: Path, mmlu: Path, engine: str) -> str:
    """The study file."""
    return STUDY.format(spider=json.dumps(str(spider)), mmlu=json.dumps(str(mmlu)), engine=engine)


def run_cold(study: Path, out: Path, said: Path) -> float:
    """Run a study with the command, in a fresh process.

    Args:
        study: the study file.
        out: the study folder; must not be there yet.
        said: what the command prints goes there, each line with the seconds since the start.

    Returns:
        Seconds from the start of the process to its end.

    Raises:
        SystemExit: the command failed.
    """
    started = time.perf_counter()
    command = [sys.executable, "-u", "-m", "contrapeso", "run", str(study), "--out", str(out)]
    with (
        said.open("w", encoding="utf-8") as file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
        ) as process,
    ):
        for line in process.stdout or ():
            print(text := f"{time.perf_counter() - started:7.1f} {line.rstrip()}", flush=True)
            file.write(text + "\n")
    if process.returncode:
        raise SystemExit(f"the study failed with exit code {process.returncode}; {said} says why")
    return time.perf_counter() - started


def figures(out: Path, wall: float) -> dict[str, Any]:
    """What the study folder says of the run.

    Args:
        out: the study folder.
        wall: seconds of the whole process.
    """
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    stages = manifest["timings_seconds"]
    asked = {
        f"{folder.name}, {file.stem}": sum(1 for _ in file.open(encoding="utf-8"))
        for folder in sorted((out / "outcomes").iterdir())
        for file in sorted(folder.glob("*.jsonl"))
    }
    trained = {}
    for file in sorted(out.glob("adapters/*/training.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        trained[file.parent.name] = {name: result[name] for name in ("examples", "steps", "seconds")}
    return {
        "wall_seconds": round(wall, 1),
        "stages_seconds": stages,
        # Imports, reading data, hashing weights, gold queries, prompts, tokens, and the process' end.
        "other_seconds": round(wall - sum(stages.values()), 1),
        "outcomes": asked,
        "trained": trained,
        "complete": summary["complete"],
        "report": sorted(file.name for file in out.glob("report.*")),
        "peak_memory": manifest["peak_memory"],
        "hardware": manifest["hardware"],
        "versions": manifest["versions"],
    }


def as_table(result: Mapping[str, Any]) -> str:
    """The stages in Markdown."""
    stages = {"imports, data, hashes, gold queries, prompts": result["other_seconds"], **result["stages_seconds"]}
    lines = ["| stage | seconds |", "| --- | ---: |", *(f"| {name} | {s:.1f} |" for name, s in stages.items())]
    return "\n".join([*lines, f"| **the whole study** | **{result['wall_seconds']:.1f}** |"])


def main(words: Sequence[str] | None = None) -> None:
    """Parse, make what is missing, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, meaning in (
        ("spider", "folder in Spider's layout"),
        ("mmlu", "folder in MMLU's layout"),
        ("tokenizer", "folder with Mistral's tokenizer"),
        ("work", "where everything is written; 16 GB"),
    ):
        parser.add_argument(f"--{name}", type=Path, required=True, help=meaning)
    parser.add_argument("--engine", default="auto", choices=("auto", "served", "local"), help="what answers")
    parser.add_argument("--tiny", action="store_true", help="two layers and a slice of both sets, on a CPU too")
    arguments = parser.parse_args(words)
    work, spider, mmlu = arguments.work.absolute(), arguments.spider.absolute(), arguments.mmlu.absolute()
    if arguments.tiny:
        slice_spider(spider, spider := work / "spider", train=24, dev=20)
        slice_mmlu(mmlu, mmlu := work / "mmlu", per_subject=1)
    if not (work / "model").is_dir():
        print(save_in_own_process(work / "model", arguments.tokenizer, TINY_SHAPE if arguments.tiny else {}))
    (work / "study.toml").write_text(study_text(spider, mmlu, arguments.engine), encoding="utf-8")
    forget_cached(work / "model")
    wall = run_cold(work / "study.toml", work / "study", work / "said.txt")
    result = figures(work / "study", wall)
    write(work / "result.json", result)
    print(as_table(result))


if __name__ == "__main__":
    main()
