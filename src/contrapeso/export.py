"""A variant of a study as an ordinary PEFT adapter, to be handed on: a run, a checkpoint, a scaled update.

A study folder and a variant's display name enter; a folder that loads anywhere leaves, the scale folded in.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from contrapeso.errors import ResourceError, StoreError, StudyError
from contrapeso.models.scaling import fold_scale
from contrapeso.models.variants import FoundVariant, find_variant
from contrapeso.report.point_card import point_card
from contrapeso.store import read_json, write_atomically

CARD = "README.md"


def export_variant(folder: Path, name: str, out: Path) -> FoundVariant:
    """Write a variant as an adapter in PEFT format, with a card; the same bytes every time.

    The exported adapter's logits equal those of the variant as it was measured, to the rounding of floats.

    Args:
        folder: the study folder.
        name: display name of the variant.
        out: a folder that does not exist yet.

    Returns:
        What was exported.

    Raises:
        StoreError: not a study folder, the adapter is not there yet, or `out` exists.
        StudyError: there is no such variant, or it is the base model.
        ModelError: the adapter cannot be scaled.
        ResourceError: the disk is full or not writable.
    """
    found = find_variant(folder, name)
    if found.adapter is None or found.point is None:
        raise StudyError(f"{found.name} is the base model itself, {found.model.id}: there is no adapter to export")
    if out.exists():
        raise StoreError(f"{out} exists; name a folder that does not")
    adapter, point = found.adapter, found.point
    summary, record = read_json(folder / "summary.json"), read_json(folder / "record.json")

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            draft = Path(scratch) / "adapter"
            draft.mkdir()
            fold_scale(adapter, found.scale, draft)
            if (point.intermediate or not (adapter / CARD).is_file()) and summary is not None:
                trained_on = record.get("trained_on", {}).get(point.origin, "")
                write_atomically(draft / CARD, point_card(point, summary, trained_on=trained_on))
            elif (adapter / CARD).is_file():
                write_atomically(draft / CARD, (adapter / CARD).read_bytes())
            draft.rename(out)
    except OSError as error:
        raise ResourceError(f"cannot write {out}: {error.strerror or error}; free disk space, then again") from error
    return found
