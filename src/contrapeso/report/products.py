"""A study's adapters as things to hand on: each with its card, and packed.

A summary and what it was made from enter; `README.md` in every measured run's folder and an archive beside it leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrapeso.models.engine import Point
from contrapeso.report.archive import archive_names, remove_stale, write_archive
from contrapeso.report.measurement import Sources
from contrapeso.report.model_card import model_card
from contrapeso.report.point_card import point_card
from contrapeso.report.record import Record
from contrapeso.store import StudyFolder, write_atomically


def write_products(folder: StudyFolder, summary: Mapping[str, Any], *, sources: Sources, record: Record) -> None:
    """Write the card and the archive of every run that is measured, and cards of checkpoints and imported adapters.

    Archives of what is no longer measured go.

    Args:
        folder: the study folder.
        summary: from `summarize`.
        sources: what it was made from, with the study's settings.
        record: the study's plan.

    Raises:
        ResourceError: a file cannot be written.
    """
    runs = [run["name"] for run in sources.settings["runs"]]
    names = archive_names(record.facts.name, record.facts.target, runs)
    measured = {run: names[run] for run in runs if run in summary["variants"]}
    for run, name in measured.items():
        adapter = folder.adapter(run)
        write_atomically(adapter / "README.md", model_card(run, summary, sources=sources, record=record))
        write_archive(adapter, adapter.parent / name)
    points = {name: Point(**point) for name, point in summary.get("points", {}).items()}
    for name, point in points.items():
        if point.scale == 1 and (point.imported or point.step is not None):  # a scaled one has no folder of its own
            card = point_card(point, summary, trained_on=record.trained_on.get(point.origin, ""))
            write_atomically(folder.adapter(name) / "README.md", card)
    remove_stale(folder.root / "adapters", measured.values())
