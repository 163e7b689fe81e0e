"""The way to each run in the paper: its sentences, the frontier figure, the table of points, the recommendation.

A summary enters, blocks leave. The sentences are those of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrapeso.report.page_tables import Cell as PageCell
from contrapeso.report.page_tables import Table
from contrapeso.report.paper_blocks import Block, Cell, figure, heading, paragraph, table
from contrapeso.report.paper_words import PaperWords, Part
from contrapeso.report.way_text import way_section

MOST_ROWS = 26
"""Of a table that fits a page and may float; a longer one has to break."""


def way_blocks(summary: Mapping[str, Any], words: PaperWords, *, drawn: bool) -> list[Block]:
    """The section on the way there; nothing where nothing lies on it and no budget is named.

    Args:
        summary: from `summarize`.
        words: of the paper's language.
        drawn: whether there is a frontier figure.
    """
    section = way_section(summary, words.page)
    if section is None:
        return []
    blocks = [heading(section.title, 2)]
    if section.sentences:
        lead: list[list[Part]] = [
            words.say("way_lead" if drawn else "way_lead_table", baseline=summary["facts"]["baseline"])
        ]
        blocks.append(paragraph(*lead, *([sentence] for sentence in section.sentences)))
    if section.advice:
        blocks.append(paragraph(*([sentence] for sentence in section.advice)))
    if drawn:
        caption: list[Part] = [words.page.page["caption_frontier"].format(baseline=summary["facts"]["baseline"])]
        blocks.append(figure("frontier", caption=caption, width=100))
    if section.table:
        rows = _rows(section.table, summary["points"], words)
        note: list[Part] = [section.table.note]
        caption = words.say("way_caption")
        blocks.append(
            table(
                "way",
                section.table.head,
                rows,
                caption=caption,
                note=note,
                align="lrrrrrl",
                floats=len(rows) <= MOST_ROWS,
            )
        )
    return blocks


def _rows(found: Table, points: Mapping[str, Any], words: PaperWords) -> list[list[Cell]]:
    """The rows of the page's table, each run's under its name: the columns of a paper are narrow."""
    rows: list[list[Cell]] = []
    for name, *cells in found.rows:
        origin = points[name.text]["origin"] if name.text in points else name.text
        label = name.text.removeprefix(f"{origin} ") if name.text != origin else words["way_end"]
        if name.text == origin:
            rows.append([{"head": origin}])
        rows.append([label, *map(_cell, cells)])
    return rows


def _cell(cell: PageCell) -> Cell:
    return {"main": cell.text, "sub": cell.small} if cell.small else cell.text
