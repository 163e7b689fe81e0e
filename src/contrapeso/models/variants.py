"""Which variants a study has: what each is called, which adapter it is and how strongly that acts.

A study folder and a display name enter; the adapter, its scale and the base model leave, for whoever wants to ask or
export that variant. Names are `Fine-Tuned Run 1`, `Fine-Tuned Run 1 @400` (a checkpoint) and `Fine-Tuned Run 1 x0.5`
(the update scaled).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.errors import StoreError, StudyError
from contrapeso.models.adapters import ADAPTER_FILES
from contrapeso.models.engine import Point
from contrapeso.settings import ModelSettings
from contrapeso.store import StudyFolder, read_json
from contrapeso.study import BASELINE, load_study


@dataclass(frozen=True)
class FoundVariant:
    """A variant of a study folder, ready to be loaded.

    Attributes:
        name: display name.
        adapter: its folder in PEFT format; None is the base model.
        scale: what the update is multiplied by.
        model: the base model, as the study says.
        point: where it lies between the base and the end of training; None for the base model.
    """

    name: str
    adapter: Path | None
    scale: float
    model: ModelSettings
    point: Point | None = None


def find_variant(folder: Path, name: str) -> FoundVariant:
    """A variant of a study by its display name.

    Args:
        folder: a study folder.
        name: `Baseline Model`, a run, an imported adapter, or a checkpoint or scaled variant that the study measures;
            letter case does not count.

    Raises:
        StoreError: not a study folder, or the variant's adapter is not there yet.
        StudyError: the study has no such variant; the message names those it has.
    """
    record, study_file = read_json(folder / "record.json"), folder / "study.toml"
    if record is None or not study_file.is_file():
        raise StoreError(f"{folder} is not a study folder; `contrapeso run STUDY --out {folder}` makes one")
    known = _variants(folder, record)
    by_name = {known_name.casefold(): known_name for known_name in known}
    wanted = by_name.get(" ".join(name.split()).casefold())
    if wanted is None:
        close = difflib.get_close_matches(name, list(known), n=1)
        nearest = f" (did you mean {close[0]!r}?)" if close else ""
        raise StudyError(f"{folder} has no variant {name!r}{nearest}; it has {', '.join(known)}")
    point, model = known[wanted], load_study(study_file).model
    if point is None:
        return FoundVariant(wanted, None, 1.0, model)
    adapter = StudyFolder(folder.resolve()).adapter(point.adapter)
    missing = [file for file in ADAPTER_FILES if not (adapter / file).is_file()]
    if missing:
        raise StoreError(f"{wanted} is not there yet: {adapter} has no {missing[0]}; run the study again to go on")
    return FoundVariant(wanted, adapter, point.scale, model, point)


def ready_variants(folder: Path) -> list[FoundVariant]:
    """The base, every run and every imported adapter of a study that is there, in the order they are measured.

    Args:
        folder: a study folder.

    Raises:
        StoreError: not a study folder.
    """
    record = read_json(folder / "record.json")
    found = []
    for name, point in _variants(folder, record or {"plan": ()}).items():
        if point is None or not point.intermediate:
            with suppress(StoreError):  # not trained yet
                found.append(find_variant(folder, name))
    return found or [find_variant(folder, BASELINE)]


def _variants(folder: Path, record: Mapping[str, Any]) -> dict[str, Point | None]:
    """Display name -> point of every planned variant (None: the base), in the order they are measured."""
    found: dict[str, Point | None] = {}
    try:
        for planned in record["plan"]:
            if planned.get("point"):
                found[planned["variant"]] = Point(**planned["point"])
            elif planned["adapter_key"] is not None:  # filed before studies had points: a run
                found[planned["variant"]] = Point(planned["variant"])
            elif not planned["prompt_note"]:  # another prompt makes no other model
                found[planned["variant"]] = None
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{folder / 'record.json'} is damaged or of another version ({error!r}); run the study"
        ) from error
    return found
