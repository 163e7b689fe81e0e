"""Where fetched sets lie: one folder each, whole, with a record of what arrived.

    <cache>/spider/...             in the layout its loader reads
    <cache>/spider/fetched.json    origin, SHA-256 of what arrived and of every file, counts, licence

The cache is `--cache`, or the environment's CONTRAPESO_DATA, or `contrapeso` in the user's cache folder. It may be a
mounted drive: nothing here needs links, and where a folder cannot be renamed it is copied. A set without `fetched.json`
is not there: a copy gets it last.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contrapeso.data.download import sha256_of
from contrapeso.data.unpack import remove_folder
from contrapeso.errors import DataError, ResourceError, StoreError
from contrapeso.progress import Reporter, Silent
from contrapeso.store import read_json, write_json

CACHE_VARIABLE = "CONTRAPESO_DATA"
RECORD = "fetched.json"
_INCOMPLETE = ".incomplete"
_MEGABYTE = 10**6
_RECORDED = {"set", "origin", "revision", "sha256", "counts", "files"}
Files = dict[str, dict[str, Any]]
"""Path in the set -> its `bytes` and `sha256`."""


def cache_folder(cache: str | Path | None = None) -> Path:
    """The folder that fetched sets lie in, which need not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache or os.environ.get(CACHE_VARIABLE) or Path(home) / "contrapeso").expanduser().absolute()


def fetched_folder(name: str, cache: str | Path | None = None) -> Path | None:
    """The folder of a set that was fetched whole; None when it was not."""
    folder = cache_folder(cache) / name
    return folder if read_record(folder) else None


def read_record(folder: Path) -> dict[str, Any] | None:
    """What `fetched.json` says of a set; None when there is none, or a damaged one."""
    try:
        record = read_json(folder / RECORD)
    except (StoreError, OSError):
        return None
    return record if isinstance(record, dict) and record.keys() >= _RECORDED else None


def describe(folder: Path, reporter: Reporter | None = None) -> Files:
    """Size and SHA-256 of every file of a set; on a mounted drive that takes a while, so a bar may show it."""
    sizes = {
        path: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / RECORD
    }
    found: Files = {}
    done = 0
    with (reporter or Silent()).track(f"checking {folder.name} (MB)", sum(sizes.values()) // _MEGABYTE) as advance:
        for path, size in sizes.items():
            found[path.relative_to(folder).as_posix()] = {"bytes": size, "sha256": sha256_of(path)}
            advance((done + size) // _MEGABYTE - done // _MEGABYTE)
            done += size
    return found


def digest(files: Files) -> str:
    """One SHA-256 (hex) for many files: of the lines `<sha256>  <path>`, by path, as `sha256sum` prints them."""
    lines = "".join(f"{files[path]['sha256']}  {path}\n" for path in sorted(files))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def differences(folder: Path, reporter: Reporter) -> list[str]:
    """Files of a fetched set that are not as they arrived, each with the reason."""
    record = read_record(folder)
    if record is None:
        return [f"{RECORD} is missing or damaged"]
    there = describe(folder, reporter)
    return [
        f"{path} {'has changed' if path in there else 'is missing'}"
        for path, known in record["files"].items()
        if there.get(path) != known
    ]


@contextmanager
def locked(cache: Path, name: str, reporter: Reporter) -> Iterator[bool]:
    """Hold a set for this process, waiting while another fetches it; the lock dies with the process.

    Yields:
        Whether the lock is held: some mounted drives know none. Without it nothing of another process is cleared away.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        handle = (cache / f".{name}.lock").open("a")
    except OSError as error:
        raise ResourceError(f"cannot use {cache}: {error.strerror or error}; choose another --cache") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say(f"another process is fetching {name} into {cache}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            reporter.say(f"{cache} knows no locks; do not fetch {name} twice at a time")
            yield False
            return
        yield True


@contextmanager
def workshop(cache: Path, name: str, *, alone: bool) -> Iterator[Path]:
    """A folder in the cache to unpack and check in, gone afterwards; when alone, so is what a killed fetch left."""
    if alone:
        recover(cache, name)
        for left in cache.glob(f".{name}.new-*"):
            remove_folder(left)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}.new-", dir=cache))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what is left is cleared by the next fetch


def recover(cache: Path, name: str) -> None:
    """Undo an exchange that a kill cut in two: the old set comes back when no new one is whole."""
    old, folder = cache / f".{name}.old", cache / name
    if (old / RECORD).exists() and not (folder / RECORD).exists():
        remove_folder(folder)
        _move(old, folder)
    remove_folder(old)


def install(made: Path, cache: Path, name: str, record: dict[str, Any]) -> Path:
    """Put a checked set in place; the old one stays until the new one is whole.

    Args:
        made: the set, in a workshop of the same cache.
        cache: the cache.
        name: the set's name.
        record: for `fetched.json`.

    Raises:
        DataError: something that was not fetched lies there.
        ResourceError: the disk is full or refuses; the old set is back.
    """
    folder, old = cache / name, cache / f".{name}.old"
    require_free(folder)
    try:
        write_json(made / RECORD, record)
        remove_folder(old)
        if read_record(folder):
            _move(folder, old)
        remove_folder(folder)
        _move(made, folder)
    except (OSError, ResourceError) as error:
        recover(cache, name)
        raise ResourceError(f"cannot put {name} into {cache}: {error}; what was there before is kept") from error
    remove_folder(old)
    return folder


def _move(source: Path, target: Path) -> None:
    """Rename a set, or copy it where a drive cannot rename folders, `fetched.json` last: half a copy is no set."""
    try:
        source.rename(target)
    except OSError:
        target.mkdir()
        (target / _INCOMPLETE).touch()
        unready = shutil.ignore_patterns(RECORD)
        shutil.copytree(source, target, copy_function=shutil.copyfile, ignore=unready, dirs_exist_ok=True)
        shutil.copyfile(source / RECORD, target / RECORD)
        (target / _INCOMPLETE).unlink()
        remove_folder(source)


def require_free(folder: Path) -> None:
    """Refuse to write over what no fetch has put there.

    Raises:
        DataError: the folder holds something else.
    """
    ours = read_record(folder) or (folder / _INCOMPLETE).exists() or not folder.exists()
    if not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} was not fetched by contrapeso: move it away, or choose another --cache")


def missing(name: str, cache: Path | None = None) -> DataError:
    """What to say when a study names a set that is not here."""
    return DataError(
        f"there is no data folder {name} here, and {cache_folder(cache)} does not hold that set: "
        f"`contrapeso fetch {name}` brings it; or set {CACHE_VARIABLE} to where it was fetched, or name a folder of "
        "your own, or `pocket`"
    )
