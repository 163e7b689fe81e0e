"""What a file is when it is not the one that was meant: the mistakes that people make with downloads.

A file that cannot be used enters; what it is and what to do leave, when that is known from its beginning.
"""

from __future__ import annotations

from pathlib import Path

_UNPACK = "unpack it yourself and give the folder"
_PAGE = "a web page, not the file: open the address in a browser, save the file and give that"
_BEGINNINGS = (
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive: {_UNPACK}"),
    (b"rar!\x1a\x07", f"a RAR archive: {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"compressed with Zstandard: {_UNPACK}"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (b"version https://git-lfs.github.com/spec/", "Git LFS's note of a file, not the file: `git lfs pull` brings it"),
)
"""In lower case, without spaces before."""


def mistaken_for(file: Path) -> str | None:
    """What a file is and what to do, to be read after "is"; None when it is none of the usual mistakes.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as handle:
        content = handle.read(200)
    if not content:
        return "empty: fetch it again"
    beginning = content.lstrip().lower()
    return next((words for start, words in _BEGINNINGS if beginning.startswith(start)), None)
