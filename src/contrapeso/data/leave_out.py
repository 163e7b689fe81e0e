"""Which items are measured apart from the headline, and why: `leave_out.json` in a data folder, and what a study adds.

{"items": {"dev/0459": "the table it asks about has no rows"}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from contrapeso.data.files import read_json
from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

SPLITS = ("dev", "train")


def mark_left_out(
    items: Sequence[Item], folder: Path, *, source: Path, leave_out: Mapping[str, str] | None = None
) -> list[Item]:
    """The items of a whole split, with `left_out` set where the folder or the caller names them.

    Args:
        items: all items of a split, in order; at least one.
        folder: where `leave_out.json` lies, if there is one.
        source: the file with the questions, for messages.
        leave_out: id -> reason; adds to the folder's own list, and wins where both name an item.

    Raises:
        DataError: the file is malformed, or an item that does not exist is named.
    """
    file = folder / "leave_out.json"
    content = read_json(file) if file.exists() else {"items": {}}
    in_folder = content.get("items") if isinstance(content, dict) else None
    if not isinstance(in_folder, dict) or not all(isinstance(reason, str) and reason for reason in in_folder.values()):
        raise DataError(f'{file}: expected {{"items": {{"dev/0459": "reason"}}}}')
    # Both lists may name items of both splits; the other split's are checked when that split is read.
    others = tuple(f"{split}/" for split in SPLITS if not items[0].id.startswith(f"{split}/"))
    reasons = {name: why for name, why in {**in_folder, **(leave_out or {})}.items() if not name.startswith(others)}
    unknown = sorted(reasons.keys() - {item.id for item in items})
    if unknown:
        raise DataError(
            f"items to leave out that do not exist in {source}: {', '.join(unknown)}; "
            f"ids run from {items[0].id} to {items[-1].id}"
        )
    return [replace(item, left_out=reasons.get(item.id, "")) for item in items]
