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


def pack(value: Any) -> str:
    """JSON-ready values as base64 of zlib of UTF-8 JSON; browsers undo it with `DecompressionStream("deflate")`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def unpack(packed: str) -> Any:
    """The values that `pack` was given."""
    return json.loads(zlib.decompress(base64.b64decode(packed)))
