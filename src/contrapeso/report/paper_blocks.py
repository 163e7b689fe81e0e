"""What the paper is made of: headings, paragraphs, tables, figures, examples, as JSON-ready blocks for the template.

Texts enter, blocks leave. Python decides what is said and in which order, `templates/paper.typ` how it looks. A text
is placed by the template as it is; nothing in it is ever read as markup.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from contrapeso.report.packing import cut, visible
from contrapeso.report.paper_words import PaperWords, Part, plain

Block = dict[str, Any]
Cell = str | dict[str, str]
"""A text, or `main` over a smaller `sub`, or a `head` that spans its row."""

LONGEST_WORD = 24
"""Characters after which an unbroken word may be broken: names and values come in any length."""
MOST_LINES = 14
MOST_UNEVEN, LONGEST_LABEL = 5, 34
_SHORT_LAST_WORD = re.compile(r" (?=\S{1,3}$)")
_UNBROKEN = re.compile(rf"\S{{{LONGEST_WORD},}}")
_AFTER_MARKS = re.compile(r"(?<=[_.,;:/=()+-])(?=\S)")


def heading(text: str, level: int = 1, *, numbered: bool = True) -> Block:
    """A heading of a section (1) or a part of it (2)."""
    return {"kind": "heading", "text": text, "level": level, "numbered": numbered}


def paragraph(*sentences: Sequence[Part]) -> Block:
    """Sentences, one after the other."""
    parts: list[Part] = []
    for sentence in sentences:
        parts += [" ", *sentence] if parts else sentence
    return {"kind": "paragraph", "parts": parts}


def points(sentences: Sequence[Sequence[Part]]) -> Block:
    """A list of sentences."""
    return {"kind": "points", "points": [list(sentence) for sentence in sentences]}


def table(
    label: str,
    head: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    caption: Sequence[Part],
    note: Sequence[Part] = (),
    align: str = "l",
    floats: bool = False,
    even: bool = False,
) -> Block:
    """A table.

    Args:
        label: what `{#label}` in a sentence refers to.
        head: column headings.
        rows: cells; a row of a single `head` spans the table.
        caption: over the table.
        note: under it.
        align: one letter a column, `l` or `r`; the last one holds for all columns that follow.
        floats: whether it may stand at the top or bottom of a page near by.
        even: whether the columns after the second are equally wide, where the first leaves room for that.
    """
    labels = [*head, *(row[0] for row in rows)]
    letters = (align + align[-1:] * len(head))[: len(head)]
    return {
        "kind": "table",
        "label": label,
        "head": [_kept_together(name) for name in head],
        "rows": [[_kept_together(cell) if isinstance(cell, str) else cell for cell in row] for row in rows],
        "caption": list(caption),
        "note": list(note),
        "floats": floats,
        "even": even and len(head) > MOST_UNEVEN and all(len(str(label)) <= LONGEST_LABEL for label in labels),
        "align": ["right" if letter == "r" else "left" for letter in letters],
    }


def figure(name: str, *, caption: Sequence[Part], width: int) -> Block:
    """A drawing of `charts`; `width` is its share of the text's, in percent."""
    block = {"kind": "figure", "name": name, "label": f"figure-{name}", "caption": list(caption), "width": width}
    return block | {"alt": plain(caption)}


def example(what: str, title: str, rows: Sequence[Mapping[str, Any]]) -> Block:
    """One item with its answers; rows have a `label` and `text`, `sql` or `options`."""
    return {"kind": "example", "what": what, "title": title, "rows": [dict(row) for row in rows]}


def excerpt(text: str, limit: int, words: PaperWords) -> tuple[str, str]:
    """A text of any size and content, cut to what a page can show, and a mark that says so ("" when it is whole)."""
    lines = [line.rstrip() for line in re.split(r"\r\n?|\n", text[: 4 * limit]) if line.strip()]
    kept = "\n".join(lines[:MOST_LINES])
    if len(text) > 4 * limit or len(kept) > limit:
        return kept[:limit], words.page.cut.format(length=words.page.count(len(text)))
    if len(lines) > MOST_LINES:
        return kept, words["more_lines"].format(count=len(lines) - MOST_LINES)
    return kept, ""


def one_line(text: str, limit: int, words: PaperWords) -> str:
    """A text on one line, cut where it is too long."""
    flat = " ".join(text[: 4 * limit].split())
    return flat if len(text) <= 4 * limit and len(flat) <= limit else cut(flat, min(limit, len(flat) - 1), "…")


def _kept_together(name: str) -> str:
    """A name whose last word, when short, does not stand alone on a line: `Run 1`."""
    return _SHORT_LAST_WORD.sub("\u00a0", name)


def placeable(value: Any) -> Any:
    """The value with every text in it made visible and long words made breakable; what names a thing stays."""
    if isinstance(value, str):
        return breakable(visible(value))
    if isinstance(value, Mapping):
        names = ("kind", "label", "name", "cite", "math", "ref")
        return {key: inner if key in names else placeable(inner) for key, inner in value.items()}
    return [placeable(inner) for inner in value] if isinstance(value, list | tuple) else value


def breakable(text: str) -> str:
    """The text with a zero-width space wherever a word too long for its place may be broken."""
    return _UNBROKEN.sub(lambda match: _broken(match.group()), text)


def _broken(word: str) -> str:
    pieces = _AFTER_MARKS.split(word)
    step = LONGEST_WORD // 2
    return "\u200b".join(
        piece[start : start + step] for piece in pieces for start in range(0, len(piece), step) if piece
    )
