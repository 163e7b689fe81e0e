"""Fuzz the SQL sandbox: made-up, mutated, broken and hostile statements; then look whether anything changed or leaked.

    python -m benchmarks.sandbox_fuzz [--statements 50000] [--seed 0] [--workers 2] [--data DIR]
    python -m benchmarks.sandbox_fuzz --adversarial 1034 [--workers 2] [--data DIR]

The statements run on copies of the databases of `--data` (a folder in Spider's layout; default: the pocket set) and on
one made for attacks. Every fiftieth is a probe whose right answer is known. The second form judges so many hostile
predictions, each followed by a correct neighbour, and prints the time that took and the processor time beside the most
it may take (the wall clock of a machine that others use has no bound). Either ends with a JSON object; the exit code
is 1 when something changed, leaked, came out wrong or took too long.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.hostile_sql import HOSTILE, build_database
from benchmarks.made_up_sql import SHORT, Generator
from contrapeso.data import load_spider, spider_folder
from contrapeso.sql import Limits, Sandbox, judge_sql

REASONS = {
    *("ok", "empty", "not_sql", "refused", "syntax", "unknown_table", "unknown_column", "ambiguous_column"),
    *("misuse", "error", "timeout", "too_large"),
}
"""Every way a statement may end; `crashed` is not among them."""
ATTACKED = "attacked.sqlite"
PROBE_EVERY = 50
PROBE = "SELECT 'probe', 6 * 7, NULL"
BATCH = 1000
FORMS = 2
"""A prediction is run as written and, where that differs, in the form the official evaluator gives it."""
START_SECONDS = 0.5
"""Processor time to start a worker, generously; every attack may cost one."""


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder and its hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Watched:
    """A folder of its own as working and temporary folder; `damage` says what became different in it, or leaked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._old = Path.cwd(), os.environ.get("TMPDIR")

    def __enter__(self) -> Watched:
        (self.folder / "temporary").mkdir()
        os.chdir(self.folder)
        os.environ["TMPDIR"] = str(self.folder / "temporary")
        self._files, self._process = snapshot(self.folder), psutil.Process()
        self._children, self._descriptors = set(self._process.children(recursive=True)), self._process.num_fds()
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(self._old[0])
        os.environ.pop("TMPDIR")
        if self._old[1] is not None:
            os.environ["TMPDIR"] = self._old[1]

    def damage(self) -> dict[str, int]:
        """Counts that must all be zero; call it when the sandbox is closed."""
        files = snapshot(self.folder)
        return {
            "files_changed": sum(files.get(name) != digest for name, digest in self._files.items()),
            "files_new": len(files.keys() - self._files.keys()),
            "processes_leaked": len(set(self._process.children(recursive=True)) - self._children),
            "descriptors_leaked": self._process.num_fds() - self._descriptors,
        }


def copied_queries(data: str | None, folder: Path) -> list[tuple[Path, str]]:
    """The gold queries of both splits, each with a copy of its database below `folder`, and the attacked database."""
    source = Path(data) if data else spider_folder("pocket")
    items = [*load_spider(source, "dev"), *load_spider(source, "train")]
    originals = {item.database.name: item.database for item in items if item.database}
    for name, original in originals.items():
        shutil.copyfile(original, folder / name)
    build_database(folder / ATTACKED)
    return [(folder / item.database.name, item.gold) for item in items if item.database]


def fuzz(
    folder: Path, queries: Sequence[tuple[Path, str]], *, statements: int, seed: int, workers: int, limits: Limits
) -> dict[str, Any]:
    """Run so many statements on the databases of the queries and count how they end."""
    material: dict[Path, list[str]] = {folder / ATTACKED: list(SHORT)}
    for database, sql in queries:
        material.setdefault(database, []).append(sql)
    generator = Generator(seed, material)
    reasons: Counter[str] = Counter()
    wrong_probes = 0
    with Watched(folder) as watched:
        started = time.perf_counter()
        with Sandbox(workers, limits) as sandbox:
            for start in range(0, statements, BATCH):
                requests = [generator.request() for _ in range(min(BATCH, statements - start))]
                requests[::PROBE_EVERY] = [(database, PROBE) for database, _ in requests[::PROBE_EVERY]]
                results = sandbox.run(requests)
                reasons.update(result.reason for result in results)
                wrong_probes += sum(result.rows != (("probe", 42, None),) for result in results[::PROBE_EVERY])
        seconds = time.perf_counter() - started
        failures = {
            "wrong_probes": wrong_probes,
            "other_reasons": sum(count for reason, count in reasons.items() if reason not in REASONS),
            **watched.damage(),
        }
    return {
        "statements": statements,
        "seed": seed,
        "workers": workers,
        "databases": len(material),
        "seconds": round(seconds, 1),
        "statements_per_second": round(statements / seconds),
        "reasons": dict(reasons.most_common()),
        "failures": failures,
    }


def cpu_seconds_of_children() -> float:
    """Processor time of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def adversarial(
    folder: Path, queries: Sequence[tuple[Path, str]], *, count: int, workers: int, limits: Limits
) -> dict[str, Any]:
    """Judge so many hostile predictions with a correct one after each; their processor time must keep its bound."""
    sound = [(database, gold, gold) for database, gold in queries[:count]]
    attacks = [HOSTILE[place % len(HOSTILE)] for place in range(count)]
    items = []
    for place, attack in enumerate(attacks):
        neighbour = sound[place % len(sound)]
        items += [(folder / ATTACKED, "SELECT name FROM singer", attack.sql), neighbour]
    bound = FORMS * count * (limits.cpu_seconds + START_SECONDS)
    with Watched(folder) as watched:
        started, used = time.perf_counter(), cpu_seconds_of_children()
        with Sandbox(workers, limits) as sandbox:
            verdicts = judge_sql(sandbox, items)
        seconds, used = time.perf_counter() - started, cpu_seconds_of_children() - used
        damage = watched.damage()
    hostile, neighbours = verdicts[::2], verdicts[1::2]
    return {
        "hostile": count,
        "workers": workers,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "cpu_seconds_bound": round(bound),
        "parent_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "reasons": dict(Counter(verdict.reason for verdict in hostile).most_common()),
        "failures": {
            "hostile_correct": sum(any(verdict.rules.values()) for verdict in hostile),
            "hostile_other_reason": sum(
                verdict.reason != attack.reason for verdict, attack in zip(hostile, attacks, strict=True)
            ),
            "neighbours_wrong": sum(not all(verdict.rules.values()) for verdict in neighbours),
            "over_the_bound": int(used > bound),
            **damage,
        },
    }


def main() -> None:
    """Fuzz or attack, print the figures, fail when anything is not as promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--statements", type=int, default=50_000, help="how many statements to fuzz with")
    parser.add_argument("--adversarial", type=int, metavar="COUNT", help="judge so many hostile predictions instead")
    parser.add_argument("--seed", type=int, default=0, help="where the statements start from")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--data", help="a folder in Spider's layout instead of the pocket set")
    options = parser.parse_args()
    common: dict[str, Any] = {"workers": options.workers, "limits": Limits()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        queries = copied_queries(options.data, folder)
        if options.adversarial:
            report = adversarial(folder, queries, count=options.adversarial, **common)
        else:
            report = fuzz(folder, queries, statements=options.statements, seed=options.seed, **common)
    print(json.dumps(report, indent=1))
    sys.exit(any(report["failures"].values()))


if __name__ == "__main__":
    main()
