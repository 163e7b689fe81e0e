"""Names as people and file systems like them."""

from __future__ import annotations

import re
from pathlib import PurePath

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def slug(name: str) -> str:
    """File-name form of a display name: `Fine-Tuned Run 1` -> `Fine-Tuned_Run_1`; never `.`, `..` or hidden."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".") or "_"


def checkpoint_name(origin: str, step: int) -> str:
    """Display name of a run's checkpoint: `Fine-Tuned Run 1 @400`."""
    return f"{origin} @{step}"


def scaled_name(adapter: str, scale: float) -> str:
    """Display name of an adapter whose update is scaled: `Fine-Tuned Run 1 x0.5`; as it is when the scale is 1."""
    return adapter if scale == 1 else f"{adapter} x{scale:g}"


def model_name(model: str) -> str:
    """A hub id as it is, of a folder the last part: a path of this machine says nothing to others."""
    return model if model.count("/") == 1 and not model.startswith(("/", ".", "~")) else PurePath(model).name


def printable(text: str) -> str:
    """A line as a terminal may show it: control characters, which could move its cursor, as `\\x1b`."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
