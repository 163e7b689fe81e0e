"""`report.pdf`: the study as a short paper, set by Typst.

The summary goes in as JSON and is placed as data, so no text of a user or a model is ever read as markup. The same
summary gives the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import typst

from contrapeso.report import text
from contrapeso.report.figures import charts, to_svg
from contrapeso.report.measurement import Sources

FONT = "Libertinus Serif"


def render_paper(summary: Mapping[str, Any], sources: Sources) -> bytes:
    """The report as PDF/A-2b (plain PDF when names have characters that the embedded fonts lack).

    Args:
        summary: from `summarize`.
        sources: what it was made from.

    Returns:
        The PDF's bytes.
    """
    figures = {name: to_svg(chart) for name, chart in charts(summary, font=FONT).items()}
    data = paper_data(summary, sources) | {"figures": sorted(figures)}
    template = resources.files("contrapeso.report").joinpath("templates/paper.typ").read_bytes()
    with tempfile.TemporaryDirectory(prefix="contrapeso-paper-") as name:
        root = Path(name)
        (root / "paper.typ").write_bytes(template)
        (root / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        for figure, svg in figures.items():
            (root / f"{figure}.svg").write_text(svg, encoding="utf-8")
        return _compile(root)


def _compile(root: Path) -> bytes:
    """The PDF; not an archival one when a name has characters that the embedded fonts lack, which PDF/A forbids."""
    paper = str(root / "paper.typ")
    try:
        return bytes(
            typst.compile(
                paper,
                root=str(root),
                format="pdf",
                ignore_system_fonts=True,
                timestamp=0,
                pdf_standards="a-2b",
            )
        )
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return bytes(typst.compile(paper, root=str(root), format="pdf", timestamp=0))


def paper_data(summary: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """What the template places: words and tables of strings, nothing to compute."""
    return {
        "study": summary["study"],
        "complete": summary["complete"],
        "facts": {key: summary["facts"][key] for key in ("baseline", "seed", "base_model")}
        | {key: text.task_name(summary["facts"][key]) for key in ("target", "general")},
        "margin": f"{100 * summary['facts']['margin']:g}",
        "sentences": text.verdict_sentences(summary),
        "accuracy": [list(row) for row in text.accuracy_rows(summary)],
        "comparisons": [list(row) for row in text.comparison_rows(summary)],
        "tradeoff": [list(row) for row in text.tradeoff_rows(summary)],
        "audit": [[row["check"], row["status"], row["detail"]] for row in summary["audit"]],
        "provenance": [[key, value] for key, value in flatten(sources.provenance)],
    }


def flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as (dotted name, value) in the order given."""
    pairs: list[tuple[str, str]] = []
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            pairs += flatten(inner, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, inner)) if isinstance(inner, list | tuple) else str(inner)
            pairs.append((f"{prefix}{key}", shown))
    return pairs
