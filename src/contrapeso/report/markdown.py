"""`report.md`: the whole report as Markdown, in English.

A summary enters, text leaves.
"""

from __future__ import annotations

from contrapeso.report.axis_text import axis_tables, forgetting_sentences
from contrapeso.report.page_words import words_in
from contrapeso.report.text import (
    ACCURACY_HEAD,
    COMPARISON_HEAD,
    INTERVALS_NOTE,
    TESTS_NOTE,
    TRADEOFF_HEAD,
    Row,
    Summary,
    accuracy_rows,
    comparison_rows,
    ends_of,
    markdown_table,
    plain_markdown,
    task_name,
    tradeoff_rows,
    verdict_sentences,
)
from contrapeso.report.way_text import way_lines

AUDIT_HEAD = ("Check", "Status", "Detail")


def to_markdown(summary: Summary) -> str:
    """The whole report as Markdown (`report.md`)."""
    lines = [
        f"# {plain_markdown(summary['study'])}",
        "",
        *(f"**{plain_markdown(line)}**\n" for line in verdict_sentences(summary)),
        *(f"{plain_markdown(line)}\n" for line in forgetting_sentences(summary, words_in("en"))),
    ]
    if not summary["complete"]:
        lines += ["*The study is not complete: measurements are missing.*", ""]
    ends = ends_of(summary)
    audit: list[Row] = [(row["check"], row["status"], row["detail"]) for row in summary["audit"]]
    baseline, target, general = (summary["facts"][key] for key in ("baseline", "target", "general"))
    target, general = task_name(target), task_name(general)
    sections: list[tuple[str, str, Row, list[Row]]] = [
        ("Accuracy", INTERVALS_NOTE, ACCURACY_HEAD, accuracy_rows(ends)),
        (
            f"Against {baseline}",
            f"Paired on the same items. Differences in points; intervals by bootstrap. {TESTS_NOTE} *Detectable* is "
            "the smallest difference that this many items show with 80 % power.",
            COMPARISON_HEAD,
            comparison_rows(ends),
        ),
        (
            "Trade-off",
            f"Loss is on {general}, gain on {target}; the exchange rate is points lost for each point gained.",
            TRADEOFF_HEAD,
            tradeoff_rows(ends),
        ),
        ("Audit", "What could have made these numbers artefacts.", AUDIT_HEAD, audit),
    ]
    english = words_in("en")
    further = [(table.title, table.note, table.head, table.rows) for table in axis_tables(summary, english)]
    for title, note, head, rows in (*sections[:-1], *further, sections[-1]):
        if title == "Audit":
            lines += way_lines(summary)
        if rows:
            lines += [f"## {plain_markdown(title)}", "", note, "", *markdown_table(head, rows), ""]
    return "\n".join(lines)
