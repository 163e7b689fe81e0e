"""The page's section on further axes, as tables that a template only has to place.

A summary enters; tables leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrapeso.report.axis_text import AxisTable, axis_tables, over_interval
from contrapeso.report.page_tables import Cell, Table
from contrapeso.report.page_words import Words


def axis_sections(summary: Mapping[str, Any], words: Words) -> list[Table]:
    """Changes on each axis, their price, and letters against words: those that the study has."""
    return [_placed(table) for table in axis_tables(summary, words)]


def _placed(table: AxisTable) -> Table:
    rows = [
        [*(Cell(*over_interval(cell)) for cell in row[:-1]), Cell(row[-1], tone=_tone(called))]
        for row, called in zip(table.rows, table.called, strict=True)
    ]
    return Table(table.title, table.note, table.head, rows)


def _tone(called: str) -> str:
    if called.startswith("not valid"):
        return "fail"
    return called if called in ("gain", "loss") else ""
