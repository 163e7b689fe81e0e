"""`report.html`: the whole study on one page that needs nothing else and can reach nothing else.

A summary and its sources enter, HTML leaves. Every text goes through Jinja's escaping, items travel packed (see
`explorer`), and a content security policy forbids the page any request and any script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from contrapeso.report import page_tables, text
from contrapeso.report.axis_text import forgetting_sentences
from contrapeso.report.explorer import Explorer, explorer
from contrapeso.report.figures import PALETTE, Paint, charts, colour_places, to_svg, training_losses
from contrapeso.report.measurement import Sources
from contrapeso.report.packing import visible
from contrapeso.report.page_axes import axis_sections
from contrapeso.report.page_words import Words, verdict_sentences, words_in
from contrapeso.report.paper import flatten
from contrapeso.report.way_text import advice_sentences, way_section, way_sentences

Summary = Mapping[str, Any]

SCRIPTS = ("page_item.js", "page.js")

PAGE_LIMIT = 2_990_000
"""Bytes of a page; what the rest leaves of it is for the items."""


def render_page(summary: Summary, sources: Sources) -> str:
    """The report as one HTML document.

    Args:
        summary: from `summarize`.
        sources: what it was made from.

    Returns:
        HTML text.

    Raises:
        StudyError: the page does not speak `sources.language`.
    """
    words = words_in(sources.language)
    loader = PackageLoader("contrapeso.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Whatever reaches the page is made visible first: no invisible character of a model or a name gets through.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    script = Markup("\n").join(Markup(loader.get_source(environment, name)[0]) for name in SCRIPTS)
    ends = text.ends_of(summary)
    statuses = [row["status"] for row in summary["audit"]]
    fixed = {
        "summary": summary,
        "ends": ends,
        "words": words,
        "page": words.page,
        "sentences": verdict_sentences(summary, words),
        "figures": _figures(summary, sources, words),
        "variants": page_tables.variants_table(ends, words),
        "changes": page_tables.changes_table(ends, words),
        "way": way_section(summary, words),
        "parts": page_tables.part_tables(ends, words),
        "reasons": page_tables.reason_tables(ends, words),
        "rules": page_tables.rule_tables(ends, words),
        "axes": axis_sections(summary, words),
        "forgetting": forgetting_sentences(summary, words),
        "first": page_tables.first_variant(summary),
        "methods": "; ".join(words.page[method] for method in page_tables.used_methods(summary)),
        "counted": {status: statuses.count(status) for status in ("ok", "warn", "fail")},
        "provenance": flatten(sources.provenance),
        "colours": _colours(summary),
        "palette": PALETTE,
        "task_name": text.task_name,
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii"),
    }
    template = environment.get_template("page.html")
    rest = len(template.render(fixed, items=Explorer("", 0, shortened=1)).encode("utf-8"))
    return template.render(fixed, items=explorer(summary, sources, words, limit=PAGE_LIMIT - rest))


def _figures(summary: Summary, sources: Sources, words: Words) -> dict[str, tuple[Markup, str]]:
    """Name -> (SVG with title and description, caption) of every figure with something to show."""
    # The page's style sheet gives the colours, one set for light and one for dark.
    palette = tuple(f"var(--variant-{number})" for number in range(1, 1 + len(PALETTE)))
    paint = Paint(ink="currentColor", paper="var(--paper)", palette=palette)
    drawn = charts(summary, paint=paint, training=sources.training, words=words)
    descriptions = {
        "tradeoff": " ".join(verdict_sentences(summary, words)),
        "accuracy": "; ".join(
            f"{variant}, {text.task_name(task)}: {cell.text} {cell.small}"
            for variant, tasks in text.ends_of(summary)["variants"].items()
            for task, entry in tasks.items()
            if (cell := page_tables.accuracy_cell(entry, words))
        ),
        "frontier": " ".join((*way_sentences(summary, words), *advice_sentences(summary, words)[:1])),
        "training": "; ".join(
            f"{name}: {words.number(f'{loss:.3f}')}"
            for name, loss in {row["name"]: row["mean"] for row in training_losses(sources.training)}.items()
        ),
    }
    figures = {}
    for name, chart in drawn.items():
        caption = words.page[f"caption_{name}"].format(baseline=summary["facts"]["baseline"])
        figures[name] = (_described(to_svg(chart), caption, descriptions[name]), caption)
    return figures


def _described(svg: str, title: str, description: str) -> Markup:
    """An SVG that a screen reader reads as one picture with a title and a description."""
    start, rest = svg.split(">", 1)
    head = Markup("<title>{}</title><desc>{}</desc>").format(visible(title), visible(description))
    # Only our own drawing is trusted to be markup; its texts were escaped when it was drawn.
    return Markup(start.replace("<svg", '<svg role="img"', 1)) + Markup(">") + head + Markup(rest)


def _colours(summary: Summary) -> dict[str, str]:
    """Variant -> colour of its dot, the one it has in the figures."""
    baseline = summary["facts"]["baseline"]
    return {baseline: "var(--base)"} | {
        name: f"var(--variant-{1 + place % len(PALETTE)})" for name, place in colour_places(summary).items()
    }
