"""`report.html`: the whole study on one page that needs nothing else, neither network nor scripts.

A summary enters, HTML leaves. Every text goes through Jinja's escaping; only the figures, which we drew, are inlined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from contrapeso.report import text
from contrapeso.report.figures import PALETTE, charts, to_svg
from contrapeso.report.measurement import Sources
from contrapeso.report.paper import flatten

CAPTIONS = {
    "tradeoff": "What each run gained and what it paid, against the baseline at the origin. Bars are 95 % intervals. "
    "Up is good; right is bad.",
    "accuracy": "Accuracy of every variant with its 95 % interval.",
}


def render_page(summary: Mapping[str, Any], sources: Sources) -> str:
    """The report as one HTML document.

    Args:
        summary: from `summarize`.
        sources: what it was made from.

    Returns:
        HTML text.
    """
    environment = Environment(
        loader=PackageLoader("contrapeso.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The page's style sheet gives the colours, one set for light and one for dark.
    palette = [f"var(--variant-{number})" for number in range(1, 1 + len(PALETTE))]
    drawn = charts(summary, ink="currentColor", palette=palette)
    figures = {name: Markup(to_svg(chart)) for name, chart in drawn.items()}
    return environment.get_template("page.html").render(
        summary=summary,
        sentences=text.verdict_sentences(summary),
        figures=[(figures[name], caption) for name, caption in CAPTIONS.items() if name in figures],
        tables=_main_tables(summary),
        details=_detail_tables(summary),
        provenance=flatten(sources.provenance),
        palette=PALETTE,
        task_name=text.task_name,
    )


Table = tuple[str, str, text.Row, list[text.Row]]


def _main_tables(summary: Mapping[str, Any]) -> list[Table]:
    """(title, note, head, rows) of the tables everybody reads."""
    facts = summary["facts"]
    target, general = text.task_name(facts["target"]), text.task_name(facts["general"])
    tables: list[Table] = [
        (
            "Trade-off",
            f"Loss is on {general}, gain on {target}; the exchange rate is points lost for each point gained.",
            text.TRADEOFF_HEAD,
            text.tradeoff_rows(summary),
        ),
        (
            f"Against {facts['baseline']}",
            "Paired on the same items. “Detectable” is the smallest difference, in points, that this many items show "
            "with 80 % power.",
            text.COMPARISON_HEAD,
            text.comparison_rows(summary),
        ),
        ("Accuracy", "Share of items answered correctly.", text.ACCURACY_HEAD, text.accuracy_rows(summary)),
    ]
    return [table for table in tables if table[3]]


def _detail_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The folded tables: parts of each task (categories, rules, groups) and reasons, one column a variant."""
    tables: list[Table] = []
    tasks = list(dict.fromkeys(task for entries in summary["variants"].values() for task in entries))
    for task in tasks:
        entries = {variant: by_task[task] for variant, by_task in summary["variants"].items() if task in by_task}
        for title, key, note in (
            ("by category", "categories", "Accuracy with 95 % interval."),
            ("by rule", "rules", "Items counted correct under each rule for comparing result sets."),
            ("why answers were right or wrong", "reasons", "Number of items."),
            ("by group", "groups", "Accuracy with 95 % interval, by database or subject."),
        ):
            rows = _across(entries, key)
            if rows:
                tables.append((f"{text.task_name(task)} {title}", note, ("", *entries), rows))
    return tables


def _across(entries: Mapping[str, Mapping[str, Any]], key: str) -> list[text.Row]:
    names = list(dict.fromkeys(name for entry in entries.values() for name in entry.get(key, {})))
    return [(name, *(_part(entry, entry.get(key, {}).get(name)) for entry in entries.values())) for name in names]


def _part(entry: Mapping[str, Any], part: Any) -> str:
    if not entry["valid"]:
        return "not valid"
    if part is None:
        return "–"
    if isinstance(part, Mapping):
        return f"{text.percent(part['accuracy'])} {text.span(part['ci'])}"
    return str(part)
