"""Fetch a benchmark set: from wherever it is told, checked against what is known of it, whole or not at all.

A set's name enters; its folder in the cache leaves. On the way: fetch or find it (`clients`, `download`), hold it to
its checksum, unpack it (`unpack`), let the real loader read all of it (`layouts`), and only then exchange it for what
was there (`cache`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contrapeso.data.cache import (
    cache_folder,
    describe,
    differences,
    digest,
    install,
    locked,
    read_record,
    recover,
    require_free,
    workshop,
)
from contrapeso.data.clients import from_hugging_face, from_kaggle, offline_wanted
from contrapeso.data.download import PATIENCE, Patience, download, sha256_of
from contrapeso.data.layouts import in_words, settle, verify
from contrapeso.data.sources import SETS, DataSet
from contrapeso.data.unpack import copy_folder, unpack
from contrapeso.data.web import file_name_of
from contrapeso.errors import DataError, ResourceError
from contrapeso.progress import Reporter, Silent
from contrapeso.version import __version__


@dataclass(frozen=True)
class Request:
    """How a set is to be fetched.

    Attributes:
        origin: `huggingface`, `kaggle`, an address of a zip or tar file, a folder or an archive on disk; None takes the
            set's own default.
        revision: another commit of the hub's repository, or version of Kaggle's, than the pinned one.
        sha256: what must arrive (hex): the file's, or a folder's as `cache.digest` tells; for origins not pinned here.
        offline: use what is on this machine, ask nobody.
        force: fetch again although the set is there.
        patience: how long to bear with a server.
    """

    origin: str | None = None
    revision: str | None = None
    sha256: str | None = None
    offline: bool = False
    force: bool = False
    patience: Patience = PATIENCE


@dataclass(frozen=True)
class Fetched:
    """A set in the cache.

    Attributes:
        folder: where it lies.
        record: what `fetched.json` says of it.
        fresh: whether this call brought it.
    """

    folder: Path
    record: dict[str, Any]
    fresh: bool


def fetch(
    name: str, request: Request | None = None, *, cache: str | Path | None = None, reporter: Reporter | None = None
) -> Fetched:
    """Bring a set into the cache, unless it is there.

    Args:
        name: a key of `sources.SETS`.
        request: from where, and how.
        cache: the cache folder; by default as `cache.cache_folder` tells.
        reporter: where progress goes.

    Raises:
        DataError: it is not to be had, is damaged, or is another set; the set that was there stays.
        ResourceError: the disk is full or refuses; the set that was there stays.
    """
    if name not in SETS:
        raise DataError(f"there is no set called {name!r} to fetch; there are {', '.join(SETS)}")
    request, reporter, data_set = request or Request(), reporter or Silent(), SETS[name]
    if request.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", request.sha256):
        raise DataError(f"--sha256 wants 64 hexadecimal digits, not {request.sha256!r}")
    home = cache_folder(cache)
    try:
        return _fetch(data_set, request, home, reporter)
    except OSError as error:
        raise ResourceError(
            f"cannot bring {name} into {home}: {error.strerror or error}; free disk space or choose another --cache"
        ) from error


def _fetch(data_set: DataSet, request: Request, home: Path, reporter: Reporter) -> Fetched:
    """`fetch`, as long as the disk plays along."""
    name = data_set.name
    with locked(home, name, reporter) as alone:
        if alone:
            recover(home, name)
        folder = home / name
        require_free(folder)
        record = read_record(folder)
        if record and not request.force:
            damage = differences(folder, reporter)
            if not damage:
                _hold_to(record["sha256"], request.sha256 and request.sha256.lower(), str(folder), None)
                return Fetched(folder, record, fresh=False)
            reporter.say(f"{name} in {folder} is damaged ({damage[0]}, {len(damage)} in all); fetching it again")
        with workshop(home, name, alone=alone) as work:
            record = _make(data_set, request, work=work, before=record, reporter=reporter)
            install(work / record.pop("made"), home, name, record)
        if alone:
            for left in home.glob(f".{name}.download-*"):  # of other origins, given up
                left.unlink()
        return Fetched(folder, record, fresh=True)


def _make(
    data_set: DataSet, request: Request, *, work: Path, before: dict[str, Any] | None, reporter: Reporter
) -> dict[str, Any]:
    """Fetch, unpack and check a set in the workshop.

    Returns:
        The record, with the set's place in the workshop under `made`.
    """
    origin = _origin(data_set, request.origin)
    revision = request.revision or _pinned_revision(data_set, origin)
    offline = request.offline or offline_wanted()
    reporter.say(f"{data_set.licence}\nfetching {data_set.name} from {origin}{' (offline)' if offline else ''}")
    with _arrival(data_set, origin, request, work=work, offline=offline, reporter=reporter) as arrived:
        unpacked = work / "unpacked"
        if arrived.is_dir():
            copy_folder(arrived, unpacked, reporter=reporter)
        sha256 = digest(describe(unpacked, reporter)) if arrived.is_dir() else sha256_of(arrived)
        same = before if before and before.get("revision") == revision else None
        _hold_to(sha256, _known_sha256(data_set, origin, request), origin, same)
        if arrived.is_file():
            unpack(arrived, unpacked, reporter=reporter)
        made = settle(unpacked, data_set)
        counts = verify(made, data_set, reporter)
    reporter.say(f"checked {data_set.name}: {in_words(counts)}")
    return {
        "made": str(made.relative_to(work)),
        "set": data_set.name,
        "origin": origin,
        "revision": revision,
        "sha256": sha256,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        "contrapeso": __version__,
        "licence": data_set.licence,
        "counts": counts,
        "files": describe(made, reporter),
    }


@contextmanager
def _arrival(
    data_set: DataSet, origin: str, request: Request, *, work: Path, offline: bool, reporter: Reporter
) -> Iterator[Path]:
    """What arrived, a file or a folder; a downloaded file goes when it has served, and stays when the disk was full."""
    if origin == "huggingface":
        yield from_hugging_face(data_set.hub, work / "hub", revision=request.revision, offline=offline)
    elif origin == "kaggle" and data_set.kaggle:
        yield from_kaggle(data_set.kaggle, revision=request.revision, offline=offline)
    elif not _is_address(origin):
        if work.is_relative_to(Path(origin).resolve()):
            raise DataError(f"the cache {work.parent} lies inside {origin}; choose another --cache")
        yield Path(origin)
    else:
        if offline:
            raise DataError(f"{data_set.name} is not in the cache and {origin} is not asked while offline")
        name = f"{hashlib.sha256(origin.encode()).hexdigest()[:8]}-{file_name_of(origin)}"
        file = work.parent / f".{data_set.name}.download-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}"
        if not file.exists():
            known = _known_sha256(data_set, origin, request)
            download(origin, file, sha256=known, patience=request.patience, reporter=reporter)
        try:
            yield file
        except DataError:
            file.unlink(missing_ok=True)  # what is no good is not taken again
            raise
        file.unlink(missing_ok=True)


def _known_sha256(data_set: DataSet, origin: str, request: Request) -> str | None:
    known = request.sha256 or data_set.archives.get(origin)
    return known.lower() if known else None


def _hold_to(sha256: str, known: str | None, origin: str, before: dict[str, Any] | None) -> None:
    """Refuse what differs from the checksum that is known, or from what the same origin sent the first time."""
    if known:
        if sha256 != known:
            raise DataError(f"what came from {origin} has the SHA-256 {sha256}, not {known}; nothing was changed")
    elif before and before.get("origin") == origin and before.get("sha256") != sha256:
        raise DataError(
            f"what came from {origin} has the SHA-256 {sha256}; at the first fetch it was {before.get('sha256')}. "
            f"If the change is meant, fetch with --force --sha256 {sha256}; nothing was changed"
        )


def _origin(data_set: DataSet, origin: str | None) -> str:
    """An origin in full: one of the two hosts, an address, or an absolute path.

    Raises:
        DataError: it is none of them.
    """
    origin = origin or data_set.origin
    if origin == "kaggle" and data_set.kaggle is None:
        raise DataError(f"{data_set.name} is not fetched from Kaggle; leave out --from, or give an address or a folder")
    if origin in ("huggingface", "kaggle") or _is_address(origin):
        return origin
    path = Path(origin).expanduser().absolute()
    if not path.exists():
        raise DataError(
            f"--from {origin}: there is no such folder or archive, and it is neither huggingface, kaggle nor an address"
        )
    return str(path)


def _is_address(origin: str) -> bool:
    return "://" in origin


def _pinned_revision(data_set: DataSet, origin: str) -> str | None:
    if origin == "kaggle" and data_set.kaggle:
        return str(data_set.kaggle.version)
    return data_set.hub.revision if origin == "huggingface" else None
