"""Scoring a file of predictions for Spider: `contrapeso score` beside the official evaluator, whole processes.

    git clone https://github.com/taoyds/test-suite-sql-eval CLONE
    python -m venv PEER && PEER/bin/pip install sqlparse tqdm
    python -m benchmarks.scoring CLONE PREDICTIONS --data DIR --peer-python PEER/bin/python [--runs 7] [--json FILE]

PREDICTIONS holds one query a line for the dev questions of DIR (Spider's layout). Ours gives three rules, reasons,
hardness and intervals; theirs one rule, by `eval_exec_match(plug_value=False, keep_distinct=False)` in a loop, without
the parsing of queries that its command line adds. The runs alternate, and take turns in going first. Theirs works on a
copy of the databases, since it opens them for writing. What leaves: a table of wall seconds, their medians and ratio,
processor seconds (of all processes, so a busy machine changes them less), how many predictions each calls correct by
the official rule, and on how many they disagree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Run by the peer's Python: clone, data, predictions -> a JSON list of 0/1 on the last line.
PEER = """\
import json, pathlib, sys
clone, data, predictions = sys.argv[1:]
sys.path.insert(0, clone)
from exec_eval import eval_exec_match
items = json.loads(pathlib.Path(data, "dev.json").read_text(encoding="utf-8"))
lines = pathlib.Path(predictions).read_text(encoding="utf-8").splitlines()
assert len(lines) == len(items), f"{len(lines)} predictions for {len(items)} questions"
verdicts = []
for item, line in zip(items, lines):
    database = f"{data}/database/{item['db_id']}/{item['db_id']}.sqlite"
    try:
        verdicts.append(int(eval_exec_match(database, line, item["query"], False, False, False)))
    except IndexError:  # it has no answer to blank text
        verdicts.append(0)
print(json.dumps(verdicts))
"""


@dataclass(frozen=True)
class Timed:
    """One run: wall and processor seconds, and the verdicts by the official rule, 0/1 in the order of dev."""

    seconds: float
    processor_seconds: float
    verdicts: list[int]


def timed(command: list[str], **environment: str) -> tuple[float, float, str]:
    """Wall seconds, processor seconds with those of its children, and standard output of a command.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    used, started = children_seconds(), time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    return time.perf_counter() - started, children_seconds() - used, done.stdout


def children_seconds() -> float:
    """Processor seconds of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ours(predictions: Path, data: Path) -> Timed:
    """`contrapeso score`, JSON file included."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "scores.json")
        command = [sys.executable, "-m", "contrapeso", "score", str(predictions), "--data", str(data)]
        seconds, processor, _ = timed([*command, "--json", str(out)])
        scores = json.loads(out.read_text(encoding="utf-8"))
    return Timed(seconds, processor, [int(item["spider"]) for item in scores["items"]])


def theirs(predictions: Path, data: Path, clone: Path, python: str) -> Timed:
    """The official evaluator's verdicts for its one rule."""
    command = [python, "-W", "ignore", "-c", PEER, str(clone), str(data), str(predictions)]
    seconds, processor, output = timed(command, TQDM_DISABLE="1")
    return Timed(seconds, processor, json.loads(output.splitlines()[-1]))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path, help="a clone of taoyds/test-suite-sql-eval")
    parser.add_argument("predictions", type=Path, help="one query a line, in the order of dev.json")
    parser.add_argument("--data", type=Path, required=True, help="Spider's folder: dev.json, database/")
    parser.add_argument("--peer-python", required=True, help="a Python that has sqlparse and tqdm")
    parser.add_argument("--runs", type=int, default=7, help="of each; one more of each goes before, to warm up")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    mine: list[Timed] = []
    peer: list[Timed] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "spider")
        shutil.copytree(arguments.data, copy, copy_function=shutil.copyfile)
        for round_ in range(arguments.runs + 1):
            turns = [
                lambda: mine.append(ours(arguments.predictions, arguments.data)),
                lambda: peer.append(theirs(arguments.predictions, copy, arguments.clone, arguments.peer_python)),
            ]
            for turn in turns[:: 1 if round_ % 2 else -1]:
                turn()
    figures = summary(mine[1:], peer[1:])
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"{arguments.predictions.name}: {figures['n']:,} predictions, {arguments.runs} runs of each, alternating\n")
    print("| | wall, s: median | range | processor, s | correct, official rule |\n| --- | --- | --- | --- | --- |")
    for name in ("contrapeso", "official"):
        row = figures[name]
        wall = f"{row['median']:.2f} | {row['low']:.2f} - {row['high']:.2f}"
        print(f"| {name} | {wall} | {row['processor']:.2f} | {row['correct']} |")
    print(f"\nratio of the wall medians {figures['ratio']:.3f}; verdicts that differ: {figures['disagreements']}")


def summary(mine: list[Timed], peer: list[Timed]) -> dict[str, Any]:
    """Medians, ranges, their ratio (ours / theirs), correct answers and disagreements."""
    rows = {}
    for name, runs in (("contrapeso", mine), ("official", peer)):
        seconds = [run.seconds for run in runs]
        rows[name] = {
            "median": statistics.median(seconds),
            "low": min(seconds),
            "high": max(seconds),
            "processor": statistics.median(run.processor_seconds for run in runs),
            "correct": sum(runs[0].verdicts),
        }
    pairs = zip(mine[0].verdicts, peer[0].verdicts, strict=True)
    return {
        "n": len(mine[0].verdicts),
        **rows,
        "ratio": rows["contrapeso"]["median"] / rows["official"]["median"],
        "disagreements": sum(left != right for left, right in pairs),
    }


if __name__ == "__main__":
    main()
