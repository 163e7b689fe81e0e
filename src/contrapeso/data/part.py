"""What has arrived of a file that is being fetched, so that a broken transfer goes on where it stopped.

The file's place and address enter; the bytes beside it, and what tells whether they still belong to it, leave.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contrapeso.errors import StoreError
from contrapeso.store import read_json, write_json


class Part:
    """What has arrived of a file so far, and a note of what it is part of.

    `pieced` says whether the bytes come from more than one answer.
    """

    def __init__(self, target: Path, address: str) -> None:
        self.address = address
        self.pieced = True
        self.file = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")
        try:
            known = read_json(self.note)
        except StoreError:  # a damaged note is as good as none
            known = None
        self.known: dict[str, Any] = known if isinstance(known, dict) else {}
        if self.known.get("address") != address:
            self.discard()

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.file.stat().st_size if self.file.exists() else 0

    @property
    def validator(self) -> str | None:
        """What tells whether the file on the server is still the same: a strong ETag, or the date."""
        return self.known.get("validator")

    def begin(self, validator: str | None) -> None:
        """Start over, with what will tell whether the file is still the same."""
        self.discard()
        self.pieced = False
        self.known = {"address": self.address, "validator": validator}
        write_json(self.note, self.known)

    def discard(self) -> None:
        """Delete what has arrived."""
        self.file.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        self.known = {}
