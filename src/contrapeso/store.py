"""The study folder: its paths, its lock, atomic writes, and the journal of outcomes.

What is on disk is always whole: files are written beside themselves and renamed, outcomes are appended line by line
and a line cut off by a kill is dropped on reading. Every result is filed with a key, the hashes of all it depends on;
when the key no longer fits, the result is redone, and nothing else is.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.errors import ResourceError, StoreError
from contrapeso.names import slug
from contrapeso.tasks.base import Outcome

Key = Mapping[str, str]


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of a JSON-ready value; equal values give equal hashes on every machine."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a kill, sees the old one or the new one and nothing between.

    Raises:
        ResourceError: the disk is full or refuses; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResourceError(
            f"cannot write {path}: {error.strerror or error}; free disk space or choose another --out, then run again"
        ) from error


def read_json(path: Path) -> Any:
    """The parsed file, or None when there is none.

    Raises:
        StoreError: the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged ({error}); delete it and run again") from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomically(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


@dataclass(frozen=True)
class StudyFolder:
    """Where everything of one study lies. Names of variants and runs become file names through `slug`."""

    root: Path

    @property
    def manifest(self) -> Path:
        """Versions, hashes, seeds, hardware, timings."""
        return self.root / "manifest.json"

    @property
    def summary(self) -> Path:
        """The numbers."""
        return self.root / "summary.json"

    @property
    def record(self) -> Path:
        """What a report needs beside outcomes."""
        return self.root / "record.json"

    def items(self, task: str) -> Path:
        """The questions of a task, one JSON line an item."""
        return self.root / "items" / f"{task}.jsonl"

    def outcomes(self, variant: str, task: str) -> Path:
        """One JSON line an outcome; its key lies beside it."""
        return self.root / "outcomes" / slug(variant) / f"{task}.jsonl"

    def adapter(self, run: str) -> Path:
        """The finished adapter, in PEFT format."""
        return self.root / "adapters" / slug(run)

    def checkpoints(self, run: str) -> Path:
        """Where an interrupted run resumes from."""
        return self.root / "checkpoints" / slug(run)


@contextmanager
def open_folder(root: Path) -> Iterator[StudyFolder]:
    """Make or reopen a study folder and hold it for this process alone; the lock dies with the process.

    Raises:
        StoreError: the path is a file, a folder with other things in it, or in use by another process.
    """
    if root.exists() and not root.is_dir():
        raise StoreError(f"{root} is a file; choose another --out")
    lock = root / ".lock"
    if root.is_dir() and not lock.exists() and any(root.iterdir()):
        raise StoreError(f"{root} is not empty and not a study folder; choose another --out")
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = lock.open("a")
    except OSError as error:
        raise StoreError(f"cannot use {root} as a study folder: {error.strerror or error}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{root} is in use by another contrapeso process; wait for it or stop it") from error
        yield StudyFolder(root.resolve())


class Journal:
    """Outcomes of one variant on one task, valid for one key.

    Opening drops what an earlier key left and a last line that a kill cut off. `append` is durable when it returns.
    """

    def __init__(self, path: Path, key: Key) -> None:
        self.path = path
        self.changed = _changed(key_file(path), key)
        if self.changed is not None:
            path.unlink(missing_ok=True)  # first the outcomes, then the key: a kill between the two loses nothing
            write_json(key_file(path), dict(key))
        self.outcomes = {outcome.item: outcome for outcome in read_outcomes(path)}

    def append(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes of items not yet in the journal.

        Raises:
            ResourceError: the disk is full; lines already written stay.
        """
        new = [outcome for outcome in outcomes if outcome.item not in self.outcomes]
        text = "".join(json.dumps(outcome.to_json(), ensure_ascii=False) + "\n" for outcome in new)
        try:
            with self.path.open("ab") as file:
                file.write(text.encode("utf-8", "surrogatepass"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ResourceError(
                f"cannot write {self.path}: {error.strerror or error}; free disk space, then run again to resume"
            ) from error
        self.outcomes.update((outcome.item, outcome) for outcome in new)


def key_file(path: Path) -> Path:
    """Where the key of a result lies: `spider.jsonl` -> `spider.key.json`, `adapters/X` -> `adapters/X/key.json`."""
    return path.with_suffix(".key.json") if path.suffix == ".jsonl" else path / "key.json"


def still_valid(path: Path, key: Key) -> bool:
    """Whether the result at `path` was made under exactly this key."""
    return path.exists() and _changed(key_file(path), key) is None


def forget(*folders: Path) -> None:
    """Delete results whose key no longer fits; the key goes first, so that a kill leaves no rest that looks valid."""
    for folder in folders:
        key_file(folder).unlink(missing_ok=True)
        remove(folder)


def remove(*paths: Path) -> None:
    """Delete files and folders with all in them; what is not there is passed over."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _changed(file: Path, key: Key) -> list[str] | None:
    """Names of the parts that differ from the filed key; None when nothing differs, all names when there is none."""
    filed = read_json(file)
    if filed == dict(key):
        return None
    if not isinstance(filed, dict):
        return []
    return sorted(part for part in {*filed, *key} if filed.get(part) != key.get(part))


def read_outcomes(path: Path) -> list[Outcome]:
    """Outcomes of a journal. Whole lines only; the file is cut back to them.

    Raises:
        StoreError: a line is damaged.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    outcomes = []
    for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
        try:
            outcomes.append(Outcome.from_json(json.loads(line.decode("utf-8", "surrogatepass"))))
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}, line {number} is damaged ({error!r}); delete the file and run again") from error
    return outcomes
