"""Writes the whole report into a study folder. Every file is there whole, or as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contrapeso.report.figures import charts, to_png, to_svg
from contrapeso.report.markdown import to_markdown
from contrapeso.report.measurement import Sources
from contrapeso.report.page import render_page
from contrapeso.report.page_words import words_in
from contrapeso.report.paper import render_paper
from contrapeso.report.tables import AXES_FILE, csv_files
from contrapeso.store import write_atomically


def write_report(folder: Path, summary: Mapping[str, Any], sources: Sources) -> None:
    """Write summary.json, report.md, report.html, report.pdf, figures/ and csv/.

    Args:
        folder: the study folder.
        summary: from `summarize`.
        sources: what it was made from.

    Raises:
        ResourceError: a file cannot be written.
    """
    tables = csv_files(summary, sources)
    for name, text in tables.items():
        write_atomically(folder / "csv" / name, text)
    filed = {*(folder / "csv").glob("avaliacao_*.csv"), folder / "csv" / AXES_FILE}
    for stale in filed - {folder / "csv" / name for name in tables}:
        stale.unlink(missing_ok=True)  # of a run or axes that the study no longer has
    drawn = charts(summary, training=sources.training, words=words_in(sources.language))
    if "frontier" not in drawn:
        for kind in ("svg", "png"):
            (folder / "figures" / f"frontier.{kind}").unlink(missing_ok=True)  # of what is no longer measured
    for name, chart in drawn.items():
        write_atomically(folder / "figures" / f"{name}.svg", to_svg(chart))
        write_atomically(folder / "figures" / f"{name}.png", to_png(chart))
    write_atomically(folder / "report.md", to_markdown(summary))
    write_atomically(folder / "report.html", render_page(summary, sources))
    write_atomically(folder / "report.pdf", render_paper(summary, sources))
    # Last, because its presence says that the report is whole.
    write_atomically(folder / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
