"""What a number was made with: versions, hardware, peak memory, and the hashes of the files a study leaves."""

from __future__ import annotations

import hashlib
import os
import platform
import resource
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from contrapeso.version import __version__

DISTRIBUTIONS = ("torch", "transformers", "tokenizers", "peft", "trl", "accelerate", "datasets", "numpy", "scipy")

REPORT = ("csv", "summary.json", "report.md", "report.html", "report.pdf", "figures")
LEAVES = ("study.toml", "record.json", "items", "outcomes", "adapters", *REPORT)
"""What a study folder hands on."""


def seal(manifest: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """The manifest with the hash of every file the study leaves."""
    return {**manifest, "files": hash_tree(root, LEAVES)}


def versions() -> dict[str, str]:
    """Version of every part that can change a number; a part that is not installed is left out."""
    found = {"contrapeso": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for name in (*DISTRIBUTIONS, "bitsandbytes"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and, when torch is loaded and sees one, the GPU. Loads nothing itself."""
    facts: dict[str, Any] = {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name(0)
        facts["gpu_memory_gib"] = round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)
        facts["cuda"] = torch.version.cuda
    return facts


def peak_memory() -> dict[str, float]:
    """Largest resident memory of this process so far, and largest memory allocated on the GPU, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    peak = {"process_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 2)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak["gpu_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return peak


def hash_tree(root: Path, folders: Iterable[str]) -> dict[str, str]:
    """SHA-256 of every file below some folders (or of some files), by path relative to the root, in sorted order."""
    hashes = {}
    for name in sorted(folders):
        path = root / name
        for file in sorted(p for p in (path.rglob("*") if path.is_dir() else [path]) if p.is_file()):
            with file.open("rb") as stream:
                hashes[file.relative_to(root).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
