"""Unpack an archive from elsewhere, or copy a folder, so that nothing can escape, overwrite or flood.

A zip or tar file, or a folder, and an empty folder enter; plain files below the empty one leave, or a `DataError` does.
Refused: absolute names, `..`, backslashes and control characters in names, links, devices, encrypted entries, two names
that are one where case or Unicode form does not count, more files or bytes than a benchmark set has, and far more bytes
than the archive's own size explains. Bytes are counted as they come out, whatever the archive's own list says.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from contrapeso.data.mistaken import mistaken_for
from contrapeso.errors import DataError, ResourceError
from contrapeso.progress import Reporter, Silent

_CHUNK_BYTES = 1 << 20
_MEGABYTE = 10**6
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06")
_LONGEST_PART = 255
_DEEPEST = 40
_LONGEST_TAR_HEADER = 1 << 20
_LONGEST_TAIL_CHUNKS = 64
_RATIO_COUNTS_FROM = 64 << 20
"""Small archives of one letter repeated are no danger, and SQLite files are mostly zeros."""
_LITTER = ("__MACOSX", ".DS_Store")
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
    RuntimeError,
)
"""What the standard library raises for an archive that is cut short, changed or made to confuse it."""


@dataclass(frozen=True)
class Limits:
    """What is too much. Spider unpacks to about 1 GB in 700 files, BIRD dev to 1.5 GB in 200.

    Attributes:
        total_bytes: of all files together.
        files: how many, folders included.
        ratio: bytes out for a byte of archive, once there are many; Spider has 10.
    """

    total_bytes: int = 16 * 2**30
    files: int = 50_000
    ratio: float = 200


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, folder: Path, *, limits: Limits | None = None, reporter: Reporter | None = None) -> None:
    """Unpack a zip or a tar file (plain, gzip, bzip2 or xz) into an empty folder.

    Args:
        archive: the file.
        folder: where to; made if missing, and not to be trusted with half of it when this raises.
        limits: what is too much.
        reporter: where progress goes.

    Raises:
        DataError: the file is no archive, is damaged, or holds something that is refused; the message names it.
        ResourceError: the disk is full or refuses.
    """
    limits = limits or Limits()
    mistaken = mistaken_for(archive)
    if mistaken:
        raise DataError(f"{archive} is {mistaken}")
    entries = _zip_entries if _is_zip(archive) else _tar_entries
    size = archive.stat().st_size
    most = min(limits.total_bytes, max(_RATIO_COUNTS_FROM, int(size * limits.ratio)))
    try:
        with entries(archive) as (names, total):
            _write(names, folder, _Budget(archive, most, limits.files), total=total, reporter=reporter or Silent())
    except _DAMAGED as error:
        raise DataError(
            f"{archive} is damaged or no zip or tar archive ({_first_line(error)}); fetch it again"
        ) from error
    except OSError as error:
        raise ResourceError(
            f"cannot unpack {archive} to {folder}: {error.strerror or error}; free disk space"
        ) from error


def copy_folder(source: Path, folder: Path, *, limits: Limits | None = None, reporter: Reporter | None = None) -> None:
    """Copy the files of a folder into an empty one, with the same refusals.

    A link to a file is followed, because that is how download caches lay out what they hold; one to a folder is not.

    Raises:
        DataError, ResourceError: as `unpack`.
    """
    limits = limits or Limits()
    budget = _Budget(source, limits.total_bytes, limits.files)
    try:
        _write(_folder_entries(source), folder, budget, total=0, reporter=reporter or Silent())
    except OSError as error:
        raise ResourceError(f"cannot copy {source} to {folder}: {error.strerror or error}") from error


class _Budget:
    """What may still be written."""

    def __init__(self, source: Path, total_bytes: int, files: int) -> None:
        self.source, self.bytes, self.files = source, total_bytes, files
        self.most_bytes, self.most_files = total_bytes, files

    def file(self, size: int) -> None:
        self.files -= 1
        if self.files < 0:
            raise DataError(f"{self.source} holds more than {self.most_files:,} files: this is no benchmark set")
        if size > self.bytes:
            self._too_large()

    def spend(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            self._too_large()

    def _too_large(self) -> None:
        raise DataError(f"{self.source} unpacks to more than {self.most_bytes:,} bytes: it looks like a bomb")


def _write(entries: Iterator[_Entry], folder: Path, budget: _Budget, *, total: int, reporter: Reporter) -> None:
    """Write entries below a folder, each to a name of its own."""
    taken: dict[str, bool] = {}
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with reporter.track("unpacking (MB)", total // _MEGABYTE) as advance:
        for entry in entries:
            if entry.name in (".", "./"):  # `tar -C folder .` begins so
                continue
            parts = _parts(entry.name, budget.source)
            if any(part in _LITTER or part.startswith("._") for part in parts):
                continue
            budget.file(entry.size)
            _claim(parts, taken, budget.source, is_folder=entry.is_folder)
            path = folder.joinpath(*parts)
            if entry.is_folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with entry.open() as reader, path.open("xb") as writer:
                while chunk := reader.read(_CHUNK_BYTES):
                    budget.spend(len(chunk))
                    writer.write(chunk)
                    advance((written + len(chunk)) // _MEGABYTE - written // _MEGABYTE)
                    written += len(chunk)
    if all(taken.values()):
        raise DataError(f"{budget.source} holds no files")


def _parts(name: str, source: Path) -> tuple[str, ...]:
    """The parts of an entry's name, when it stays below the folder everywhere."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    bad = (
        not parts
        or name.startswith("/")
        or ".." in parts
        or any(part[1:2] == ":" or len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in parts)
        or any(letter == "\\" or unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    )
    if len(parts) > _DEEPEST:
        raise DataError(f"{source} holds an entry more than {_DEEPEST} folders deep; not unpacked")
    if bad:
        raise DataError(
            f"{source} holds an entry called {name[:200]!r}, which may lead out of its folder; not unpacked"
        )
    return parts


def _claim(parts: tuple[str, ...], taken: dict[str, bool], source: Path, *, is_folder: bool) -> None:
    """Give an entry its name, unless another has it where case and Unicode form do not count."""
    folded = [unicodedata.normalize("NFC", part).casefold() for part in parts]
    for depth in range(1, len(folded) + 1):
        key, folder = "/".join(folded[:depth]), depth < len(folded) or is_folder
        spelled = "/".join(parts[:depth])
        if key in taken and not (folder and taken[key]):
            raise DataError(f"{source} holds two entries called {spelled!r} where case does not count; not unpacked")
        taken[key] = folder


@contextmanager
def _zip_entries(archive: Path) -> Iterator[tuple[Iterator[_Entry], int]]:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        yield (_zip_entry(opened, member, archive) for member in members), sum(m.file_size for m in members)


def _zip_entry(opened: zipfile.ZipFile, member: zipfile.ZipInfo, archive: Path) -> _Entry:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive} holds {member.filename!r}, which is a link or a device; not unpacked")
    if member.flag_bits & 1:
        raise DataError(f"{archive} is encrypted; unpack it yourself and give the folder with --from")
    # `orig_filename` is the name as it stands in the archive; `filename` is cut at a zero byte.
    return _Entry(member.orig_filename, member.is_dir(), member.file_size, lambda: opened.open(member))


class _BoundedHeader(tarfile.TarInfo):
    """A tar header whose extension records cannot fill the memory: their size is read before they are."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
        header = super().frombuf(buf, encoding, errors)
        if not (header.isreg() or header.isdir()) and header.size > _LONGEST_TAR_HEADER:
            raise DataError(f"the archive has a header of {header.size:,} bytes; not unpacked")
        return header


@contextmanager
def _tar_entries(archive: Path) -> Iterator[tuple[Iterator[_Entry], int]]:
    with tarfile.open(archive, tarinfo=_BoundedHeader) as opened:
        yield (_tar_entry(opened, member, archive) for member in opened), archive.stat().st_size
        _read_to_the_end(opened, archive)


def _read_to_the_end(opened: tarfile.TarFile, archive: Path) -> None:
    """Read what follows the last entry: the checksum of a compressed tar stands there, and is compared on the way."""
    rest = opened.fileobj
    for _ in range(_LONGEST_TAIL_CHUNKS):
        if rest is None or not rest.read(_CHUNK_BYTES):
            return
    raise DataError(f"{archive} goes on after its last entry; not unpacked")


def _tar_entry(opened: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> _Entry:
    if not (member.isreg() or member.isdir()) or member.issparse():
        raise DataError(f"{archive} holds {member.name!r}, which is a link, a device or sparse; not unpacked")

    def reader() -> IO[bytes]:
        content = opened.extractfile(member)
        if content is None:
            raise tarfile.ReadError(f"{member.name} cannot be read")
        return content

    return _Entry(member.name, member.isdir(), member.size, reader)


def _folder_entries(source: Path) -> Iterator[_Entry]:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        mode = path.stat().st_mode if path.exists() else 0
        if not (stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not path.is_symlink())):
            raise DataError(f"{path} is a broken link, a link to a folder or a device; not copied")
        yield _Entry(name, stat.S_ISDIR(mode), path.stat().st_size if stat.S_ISREG(mode) else 0, _opening(path))


def _opening(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _is_zip(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(4) in _ARCHIVES


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def remove_folder(folder: Path) -> None:
    """Delete a folder with all in it; none is fine."""
    if folder.exists():
        shutil.rmtree(folder)
