"""What a study took: how long each step, and how much memory, over all its sessions.

Steps enter; the manifest of the study folder leaves, filed after each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from contrapeso.distributed import size
from contrapeso.errors import ResourceError
from contrapeso.manifest import hardware, peak_memory, versions
from contrapeso.progress import Reporter
from contrapeso.store import read_json, write_json


class Logbook:
    """Timings and memory of one study.

    Args:
        file: the manifest; what earlier sessions filed in it is gone on with.
        about: what else stands in it: the study, its seed, the hashes of what it depends on.
        reporter: told how long a step took.
    """

    def __init__(self, file: Path, about: Callable[[], Mapping[str, Any]], reporter: Reporter) -> None:
        self.file, self.about, self.reporter = file, about, reporter
        filed = read_json(file) or {}
        self.timings: dict[str, float] = dict(filed.get("timings_seconds", {}))
        self.timings.pop("report", None)
        self.peak_before: dict[str, float] = dict(filed.get("peak_memory", {}))
        self.started = time.perf_counter()

    def forget(self, label: str) -> None:
        """Let the time of a step that is done again from its beginning not count."""
        self.timings.pop(label, None)

    @contextmanager
    def timed(self, label: str) -> Iterator[None]:
        """Say and file how long a step took; the time of an interrupted session is filed too, unless it was killed."""
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            with suppress(ResourceError):  # on a full disk the step's own message counts
                self._add(label, started)
            raise
        self._add(label, started)
        self.reporter.say(f"{label}: {time.perf_counter() - started:.1f} s")

    def write(self) -> None:
        """File what the numbers are made with; the folder is not complete until the report says so."""
        manifest = {
            **self.about(),
            "versions": versions(),
            "hardware": hardware() | {"processes": size()},
            "timings_seconds": self.timings,
            "session_seconds": round(time.perf_counter() - self.started, 3),
            "peak_memory": self._peak_memory(),
        }
        write_json(self.file, manifest)

    def _add(self, label: str, started: float) -> None:
        self.timings[label] = round(self.timings.get(label, 0.0) + time.perf_counter() - started, 3)
        self.write()

    def _peak_memory(self) -> dict[str, float]:
        """The largest of this session and of the ones before."""
        now = peak_memory()
        return {name: max(now.get(name, 0.0), self.peak_before.get(name, 0.0)) for name in {**self.peak_before, **now}}
