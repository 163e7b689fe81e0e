"""Checkpoints that survive a kill at any moment.

The trainer writes a checkpoint as several files. One that lacks the marker, which is written last, was cut short and
is deleted before training goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contrapeso.errors import ResourceError

PREFIX = "checkpoint-"
MARKER = "complete"


@dataclass(frozen=True)
class Kept:
    """An adapter to be kept.

    Attributes:
        step: the optimizer step after which it is taken.
        folder: where it goes.
        key: what it depends on; filed with it.
    """

    step: int
    folder: Path
    key: Mapping[str, str]


def mark_complete(checkpoint: Path) -> None:
    """Say that all of a checkpoint is on disk, and delete the older ones: for a 7B model each takes half a gigabyte.

    In this order: at every moment there is a complete checkpoint, once there has been one.
    """
    (checkpoint / MARKER).touch()
    for path in checkpoint.parent.glob(PREFIX + "*"):
        if path != checkpoint:
            shutil.rmtree(path)


def newest_complete(folder: Path) -> Path | None:
    """The complete checkpoint with the most steps; incomplete ones are deleted.

    Args:
        folder: holds `checkpoint-<step>` folders; may be missing.
    """
    found = [path for path in folder.glob(PREFIX + "*") if path.is_dir()]
    for path in found:
        if not (path / MARKER).is_file():
            shutil.rmtree(path)
    complete = [path for path in found if path.is_dir()]
    return max(complete, key=lambda path: int(path.name.removeprefix(PREFIX)), default=None)


def newest_step(folder: Path) -> int:
    """The step of the newest complete checkpoint; 0 when there is none."""
    newest = newest_complete(folder)
    return int(newest.name.removeprefix(PREFIX)) if newest else 0


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder so that it is there whole or not at all.

    Args:
        folder: what shall be there; one that is there already is replaced.
        write: fills an empty folder.

    Raises:
        ResourceError: the disk is full or not writable.
    """
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    with whole_or_nothing(draft):
        draft.mkdir(parents=True)
        write(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)


@contextmanager
def whole_or_nothing(folder: Path) -> Iterator[None]:
    """Delete the folder when writing into it fails.

    Raises:
        ResourceError: the disk is full or not writable. safetensors and torch raise their own types for this.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ResourceError(
            f"could not write {folder} ({reason}): free some disk space, then run the same command again; "
            "it goes on from the last complete checkpoint"
        ) from error
