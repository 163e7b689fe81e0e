"""The pocket study as a user meets it: wall time and memory of `contrapeso run pocket`, and start-up times.

    python -m benchmarks.pocket_study [--runs 3]

Every run is a fresh process and a fresh folder. Memory is the largest sum of the resident sets of the process and its
children, sampled ten times a second (shared pages count more than once, so the true peak is lower).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

CONTRAPESO = [sys.executable, "-m", "contrapeso"]
PAUSE_SECONDS = 0.1


def timed(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak memory (GiB) of a command and its children.

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    whole = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, resident(whole))
        time.sleep(PAUSE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - started, peak / 2**30


def resident(process: psutil.Process) -> int:
    """Bytes resident in a process and its children now; a process that has just ended counts nothing."""
    total = 0
    try:
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def start_up(arguments: list[str], runs: int = 9) -> float:
    """Median wall seconds of a command that only starts and ends."""
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([*CONTRAPESO, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="whole studies")
    runs = parser.parse_args().runs
    walls, peaks, steps = [], [], {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            wall, peak = timed([*CONTRAPESO, "run", "pocket", "--out", f"{folder}/pocket"])
            manifest = json.loads(Path(folder, "pocket", "manifest.json").read_text(encoding="utf-8"))
        walls.append(wall)
        peaks.append(peak)
        for step, seconds in manifest["timings_seconds"].items():
            steps.setdefault(step, []).append(seconds)
    print(f"contrapeso run pocket, {runs} runs on {manifest['hardware']['cores']} cores, median (min - max)\n")
    print("| what | median | range |\n| --- | --- | --- |")
    for name, values in [("wall, s", walls), ("peak memory, GiB", peaks), *((f"{s}, s", v) for s, v in steps.items())]:
        print(f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} - {max(values):.1f} |")
    print(f"| `contrapeso --help`, s (9 runs) | {start_up(['--help']):.2f} | |")


if __name__ == "__main__":
    main()
