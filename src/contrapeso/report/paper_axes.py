"""The paper's part on further axes: what else the model knew, and whether a loss is forgetting or format.

A summary enters, blocks leave. Numbers that the audit withholds are in none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrapeso.report.axis_text import AxisTable, axis_tables, forgetting_sentences, over_interval
from contrapeso.report.paper_blocks import Block, Cell, heading, paragraph, table
from contrapeso.report.paper_words import PaperWords
from contrapeso.report.text import Row


def axis_blocks(summary: Mapping[str, Any], words: PaperWords) -> list[Block]:
    """A heading, what the axes are, a table for each question, and the sentences; nothing without axes."""
    tables = axis_tables(summary, words.page)
    if not tables:
        return []
    kinds = dict.fromkeys(row["kind"] for row in summary["axes"])
    blocks = [heading(tables[0].title, 2), paragraph(*(words.say(f"axis_{kind}") for kind in kinds))]
    blocks += [_table(f"axes-{place}", told) for place, told in enumerate(tables)]
    said = forgetting_sentences(summary, words.page)
    return [*blocks, paragraph(*([sentence] for sentence in said))] if said else blocks


def _table(label: str, told: AxisTable) -> Block:
    """Columns that name the axis become rows that span the table, where there is more than its name to tell."""
    spanned = told.named - 1 if told.named > 2 else 0
    rows: list[list[Cell]] = []
    group: Row = ()
    for row in told.rows:
        if row[1 : 1 + spanned] != group:
            group = row[1 : 1 + spanned]
            rows.append([{"head": ": ".join(group)}])
        rows.append([_cell(cell) for cell in (row[0], *row[1 + spanned :])])
    head = (told.head[0], *told.head[1 + spanned :])
    names = told.named - spanned
    align = "l" * names + "r" * (len(head) - names - 1) + "l"
    caption = told.title if told.title.endswith("?") else f"{told.title}."
    return table(label, head, rows, caption=[caption], note=[told.note], align=align, floats=True)


def _cell(cell: str) -> Cell:
    number, interval = over_interval(cell)
    return {"main": number, "sub": interval} if interval else cell
