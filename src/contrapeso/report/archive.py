"""An adapter as one file to hand on: `adapters/mistral-7b-spider-run1.zip`, with its checksum beside it.

A folder in PEFT format with its card enters; an archive leaves that unpacks to one folder of the archive's name. The
same content gives the same bytes on every machine: entries in order, without times, and stored as they are, because
two builds of zlib compress differently (and weights hardly shrink).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from contrapeso.errors import ResourceError
from contrapeso.models.adapters import ADAPTER_FILES
from contrapeso.names import slug
from contrapeso.store import write_atomically

CONTENT = ("README.md", *ADAPTER_FILES)
_NUMBERED = re.compile(r"Fine-Tuned Run (\d+)")
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the first that the format knows
_PERMISSIONS = 0o100644 << 16  # a file that its owner may write and everybody read


def archive_names(study: str, task: str, runs: Iterable[str]) -> dict[str, str]:
    """File names of the archives of a study's runs: `mistral-7b-spider-run1.zip`.

    Args:
        study: name of the study.
        task: key of the task the runs are tuned for.
        runs: display names, distinct as folders.

    Returns:
        Run -> file name. `Fine-Tuned Run 1` is `run1`, unless another run is called just that.
    """
    long = {run: slug(run).casefold() for run in runs}
    short = {run: _NUMBERED.sub(r"run\1", run) if _NUMBERED.fullmatch(run) else name for run, name in long.items()}
    taken = Counter(short.values())
    return {run: f"{study}-{task}-{short[run] if taken[short[run]] == 1 else long[run]}.zip" for run in long}


def write_archive(folder: Path, archive: Path) -> str:
    """Pack an adapter; an archive that already holds exactly this is left alone.

    Args:
        folder: the adapter, in PEFT format, with its card.
        archive: the file to write; its checksum goes to the same name with `.sha256` at the end, in the form that
            `sha256sum --check` reads.

    Returns:
        SHA-256 of the archive, 64 hex digits.

    Raises:
        ResourceError: a file cannot be read or written; an older archive is untouched.
    """
    temporary = archive.with_name(f".{archive.name}.tmp")
    try:
        _pack(folder, temporary, top=archive.stem)
        digest = _sha256(temporary)
        if archive.is_file() and _sha256(archive) == digest:
            temporary.unlink()
        else:
            temporary.replace(archive)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ResourceError(
            f"cannot write {archive}: {error.strerror or error}; free disk space, then `contrapeso report` writes it"
        ) from error
    checksum, line = checksum_file(archive), f"{digest}  {archive.name}\n"
    if not checksum.is_file() or checksum.read_bytes() != line.encode():
        write_atomically(checksum, line)
    return digest


def checksum_file(archive: Path) -> Path:
    """Where the checksum of an archive lies."""
    return archive.with_name(f"{archive.name}.sha256")


def remove_stale(folder: Path, wanted: Iterable[str]) -> None:
    """Delete the archives of runs that are no longer measured; only those that have their checksum beside them.

    Args:
        folder: where archives lie.
        wanted: names of those to keep.
    """
    keep = set(wanted)
    for checksum in folder.glob("*.zip.sha256"):
        name = checksum.name.removesuffix(".sha256")
        if name not in keep:
            (folder / name).unlink(missing_ok=True)
            checksum.unlink()


def _pack(folder: Path, target: Path, *, top: str) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
        for name in CONTENT:
            entry = zipfile.ZipInfo(f"{top}/{name}", _NO_TIME)
            entry.create_system = 3  # Unix, also where it is not: it says how permissions are written
            entry.external_attr = _PERMISSIONS
            entry.file_size = (folder / name).stat().st_size  # decides whether the entry needs 64 bits
            with (folder / name).open("rb") as source, packed.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
