"""Display names as file names."""

from __future__ import annotations


def slug(name: str) -> str:
    """File-name form of a display name: `Fine-Tuned Run 1` -> `Fine-Tuned_Run_1`; never `.`, `..` or hidden."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".") or "_"
