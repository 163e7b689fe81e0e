"""The project's documents as tests see them: their blocks of code, their commands, their links and headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>[\w-]*)[^\n]*\n(?P<text>.*?)^ *```$", re.DOTALL | re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
_PROGRAMS = ("contrapeso ", "python -m ", "make ", "pip install ", "torchrun ")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and why the tests do not run it ("" when they may)."""

    kind: str
    text: str
    not_run: str


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document. `<!-- not run: reason -->` before one keeps it from being run."""
    source = document.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(source):
        marked = _NOT_RUN.search(source[: match.start()])
        found.append(Block(match["kind"], match["text"], marked[1] if marked else ""))
    return found


def commands(block: Block) -> list[list[str]]:
    """The commands of a block in words; also those of a block that shows them without a shell's dollar."""
    if block.kind not in ("console", "", "text", "sh", "bash"):
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    shown = [line[2:] for line in lines if line.startswith("$ ")]
    bare = [line for line in lines if block.kind != "text" and line.startswith(_PROGRAMS)]
    return [_words(line) for line in shown or bare]


def prose(document: Path) -> str:
    """A document's source without blocks and inline code, where nothing is a link."""
    return re.sub(r"`[^`\n]+`", "`code`", _FENCE.sub("", document.read_text(encoding="utf-8")))


def links(document: Path) -> list[str]:
    """Targets of a document's links and images."""
    return _LINK.findall(prose(document))


def anchors(document: Path) -> set[str]:
    """What a link into a document may name: its headings as GitHub writes them."""
    source = _FENCE.sub("", document.read_text(encoding="utf-8"))
    return {_slug(heading) for heading in re.findall(r"^#{1,6} +(.+)$", source, re.MULTILINE)}


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # settings of the environment
        words = words[1:]
    return words


def every_command() -> Iterator[tuple[str, list[str]]]:
    """(document, command) for all of them."""
    for name, document in zip(IDS, DOCUMENTS, strict=True):
        for block in blocks(document):
            for command in commands(block):
                yield name, command
