"""The databases of the page: those of the study's target set, and uploads, which live as long as the page does.

Data sets and byte streams enter; `Entry`s leave. An upload gets a random name in a folder of its own, is cut off at a
limit while it comes, and is opened by nothing but the sandbox and the child process that reads schemas.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from contrapeso.ask_database import SQLITE_HEAD, Database, open_database
from contrapeso.data import load_questions, spider_folder
from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

UPLOAD_BYTES = 100 * 2**20
MOST_UPLOADS = 8
NAME_CHARACTERS = 80


@dataclass(frozen=True)
class Entry:
    """A database that can be chosen on the page.

    Attributes:
        id: its key in requests; says nothing about where the file lies.
        name: what people call it.
        path: the SQLite file.
        items: questions of the evaluation about it, with their gold queries; none for uploads.
        uploaded: whether it came through the page, so that it may be removed there.
    """

    id: str
    name: str
    path: Path
    items: tuple[Item, ...] = ()
    uploaded: bool = False

    def explained(self, error: Exception) -> str:
        """An error about the file as the page tells it: by the file's name there, not by its place here."""
        return str(error).replace(str(self.path), self.name)


class Shelf:
    """All databases at hand, by id.

    Args:
        data: the target set, as in `target.data`.
        uploads: an empty folder for uploads.
    """

    def __init__(self, data: str, uploads: Path) -> None:
        self._uploads = uploads
        self._entries = {entry.id: entry for entry in _evaluated(data)}
        self._opened: dict[str, Database] = {}
        self._coming = 0

    def entries(self) -> list[Entry]:
        """All of them, uploads last."""
        return list(self._entries.values())

    def entry(self, key: str) -> Entry:
        """The entry of an id.

        Raises:
            DataError: there is none, or no more.
        """
        if key not in self._entries:
            raise DataError("this database is not at hand any more; choose another one or upload it again")
        return self._entries[key]

    def database(self, key: str) -> Database:
        """The database of an entry, its schema read once.

        Raises:
            DataError: it cannot be read.
        """
        if key not in self._opened:
            entry = self.entry(key)
            try:
                self._opened[key] = open_database(entry.path, name=entry.name)
            except DataError as error:
                raise DataError(entry.explained(error)) from error
        return self._opened[key]

    async def add(self, name: str, chunks: AsyncIterator[bytes]) -> Entry:
        """Take an upload in; what is refused or broken off leaves nothing.

        Args:
            name: what the file was called; shown, and never part of a path.
            chunks: its bytes as they come.

        Raises:
            DataError: too many uploads, too many bytes, or no SQLite file.
        """
        if self._coming + sum(entry.uploaded for entry in self._entries.values()) >= MOST_UPLOADS:
            raise DataError(f"{MOST_UPLOADS} uploads are at hand; remove one first")
        key = secrets.token_hex(8)
        path = self._uploads / f"{key}.sqlite"
        self._coming += 1
        try:
            await _write(path, chunks)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._coming -= 1
        shown = name.replace("\\", "/").rpartition("/")[2][:NAME_CHARACTERS] or "upload"
        self._entries[key] = Entry(key, shown, path, uploaded=True)
        return self._entries[key]

    def remove(self, key: str) -> None:
        """Delete an upload.

        Raises:
            DataError: there is none of this id, or it is no upload.
        """
        entry = self.entry(key)
        if not entry.uploaded:
            raise DataError(f"{entry.name} belongs to the data set and stays")
        del self._entries[key]
        self._opened.pop(key, None)
        entry.path.unlink(missing_ok=True)


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> None:
    size = 0
    with path.open("xb") as file:
        path.chmod(0o600)
        async for chunk in chunks:
            size += len(chunk)
            if size > UPLOAD_BYTES:
                raise DataError(f"the file is larger than {UPLOAD_BYTES // 2**20} MB, the limit for uploads")
            file.write(chunk)
    with path.open("rb") as file:
        if file.read(len(SQLITE_HEAD)) != SQLITE_HEAD:
            raise DataError("this is no SQLite database, or it is encrypted; upload a plain SQLite file")


def _evaluated(data: str) -> list[Entry]:
    """The databases that the evaluated questions are about, in the order of their names."""
    by_path: dict[Path, list[Item]] = {}
    for item in load_questions(spider_folder(data), "dev"):
        if item.database:
            by_path.setdefault(item.database, []).append(item)
    pairs = sorted((items[0].group, path, items) for path, items in by_path.items())
    return [Entry(f"d{place}", name, path, tuple(items)) for place, (name, path, items) in enumerate(pairs)]
