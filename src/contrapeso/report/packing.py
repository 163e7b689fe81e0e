"""Text and data on their way into the page: made visible, cut to size, packed.

Whatever a model wrote enters; text that shows every character, and compressed data that no parser of HTML can
mistake for markup, leave.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

# What the eye cannot see or what reorders its neighbours: control and format characters, line and paragraph
# separators, halves of surrogate pairs. Not tabs and line feeds, nor the joiners that Persian and emoji need.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Text with every invisible character spelt out: a right-to-left override becomes `⟨U+202E⟩`."""
    return _INVISIBLE.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text.replace("\r\n", "\n"))


def visible_within(value: Any) -> Any:
    """JSON-ready values with every text in them made visible."""
    if isinstance(value, dict):
        return {visible(name): visible_within(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [visible_within(inner) for inner in value]
    return visible(value) if isinstance(value, str) else value


def cut(text: str, limit: int, mark: str) -> str:
    """At most `limit` characters of a text, made visible.

    Args:
        text: any text.
        limit: how many characters of it to keep.
        mark: put after what was cut; `{length}` in it becomes the length of the whole text.
    """
    if len(text) <= limit:
        return visible(text)
    return visible(text[:limit]) + mark.format(length=len(text))


def pack(value: Any, *, level: int = 9) -> str:
    """JSON-ready values as compressed text, which browsers undo with `DecompressionStream("deflate")`.

    The text is base 85 (RFC 1924), 6 % shorter than base 64; a comma stands for its `<`, so that nothing in it can
    begin a tag or a comment.

    Args:
        value: JSON-ready values.
        level: of zlib; 6 takes a third of the time of 9 and makes 1 % more.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b85encode(zlib.compress(text.encode("utf-8"), level)).decode("ascii").replace("<", ",")


def unpack(packed: str) -> Any:
    """The values that `pack` was given."""
    return json.loads(zlib.decompress(base64.b85decode(packed.replace(",", "<"))))
