"""Two ways to do the same work, in turns, each time in a process of its own.

The name of a benchmark module and its ways enter; what every process printed as its last line, in JSON, leaves, and a
table of medians. Turns make both meet the same load of the machine; processes keep either's caches from the other.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil


def in_turns(module: str, ways: Sequence[str], words: Sequence[str], *, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Run `python -m <module> --only <way> <words>` for every way in turn, and all again, `rounds` times.

    Returns:
        For each way what its processes printed last, with the load of the machine (processes that wait for a core or
        have one, over the last minute) before each.

    Raises:
        subprocess.CalledProcessError: a process failed.
    """
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(rounds):
        # Every other round backwards, so that none always comes after the same.
        for way in ways if number % 2 == 0 else reversed(ways):
            load = os.getloadavg()[0]
            command = [sys.executable, "-m", module, "--only", way, *words]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment())
            found[way].append(json.loads(done.stdout.splitlines()[-1]) | {"load": round(load, 2)})
            print(f"round {number + 1}, {way}: {found[way][-1]['seconds']:.1f} s, load {load:.1f}", flush=True)
    return found


def environment() -> dict[str, str]:
    """This process' environment, offline, with progress bars off."""
    return os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}


def compared(found: Mapping[str, Sequence[Mapping[str, Any]]], ours: str) -> dict[str, Any]:
    """Median seconds of every way, how many times as long as ours it takes, and the machine."""
    medians = {way: statistics.median(row["seconds"] for row in rows) for way, rows in found.items()}
    return {
        "median_seconds": medians,
        "times_as_long_as_ours": {way: seconds / medians[ours] for way, seconds in medians.items()},
        "seconds": {way: [row["seconds"] for row in rows] for way, rows in found.items()},
        "load": {way: [row["load"] for row in rows] for way, rows in found.items()},
        "cores": psutil.cpu_count(),
    }


def table(result: Mapping[str, Any], questions: int) -> str:
    """The medians in Markdown."""
    lines = ["| way | seconds, median | range | a second | times as long |", "| --- | ---: | ---: | ---: | ---: |"]
    for way, seconds in result["median_seconds"].items():
        each = result["seconds"][way]
        lines.append(
            f"| {way} | {seconds:.1f} | {min(each):.1f} - {max(each):.1f} | {questions / seconds:.1f} "
            f"| {result['times_as_long_as_ours'][way]:.2f} |"
        )
    return "\n".join(lines)


def write(file: Path, result: Mapping[str, Any]) -> None:
    """File a result as JSON; its folder is made if missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
