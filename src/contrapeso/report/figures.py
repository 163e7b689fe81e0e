"""The figures: what each run won and paid, every accuracy with its interval, and how the runs learnt.

A summary enters, charts leave; `to_svg` and `to_png` render them without a browser. Numbers that the audit found
worthless are not drawn.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import altair as alt
import vl_convert

from contrapeso.report.frontier_figure import frontier_chart
from contrapeso.report.packing import visible_within
from contrapeso.report.page_words import Words, words_in
from contrapeso.report.text import ends_of, task_name
from contrapeso.report.tradeoff_figure import tradeoff_chart
from contrapeso.report.way import ways

Summary = Mapping[str, Any]
Record = dict[str, Any]
Training = Mapping[str, Sequence[Mapping[str, float]]]
Chart = Any  # any of altair's chart classes, which share no useful type

# Okabe and Ito's palette without yellow: told apart with any colour vision, legible on white and on black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SANS = "'Helvetica Neue', Helvetica, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
ACCURACY_WIDTH, TRAINING_WIDTH = 330, 400
LEGEND_SIZE, LEGEND_SYMBOL = 13, 35
LETTER = 0.56 * LEGEND_SIZE
"""Mean width of a letter in the legend, in pixels."""
MAX_POINTS = 400
"""Steps drawn for one run; more are averaged in equal blocks."""
ENGLISH_WORDS = words_in("en")


@dataclass(frozen=True)
class Paint:
    """The colours of a figure.

    Attributes:
        ink: of text, axes and baseline; `currentColor` lets an inlined SVG follow its page.
        paper: of what the figure lies on, which keeps lines off its labels.
        palette: of the variants other than the baseline, in order; `var(--name)` works in an inlined SVG.
    """

    ink: str = "#222222"
    paper: str = "#ffffff"
    palette: tuple[str, ...] = PALETTE


ON_WHITE = Paint()


def charts(
    summary: Summary,
    *,
    paint: Paint = ON_WHITE,
    font: str = SANS,
    training: Training | None = None,
    words: Words = ENGLISH_WORDS,
) -> dict[str, Chart]:
    """The figures of a study that have something to show.

    Args:
        summary: from `summarize`.
        paint: the colours.
        font: family of all text.
        training: run -> one dict a step with `step` and `loss`; rows without a loss are passed over.
        words: texts of axes and labels.

    Returns:
        Name (`tradeoff`, `frontier`, `accuracy`, `training`) -> chart.
    """
    colours, ink = _colours(summary, paint), paint.ink
    drawn = {}
    ends = ends_of(summary)
    if any(row["valid"] for row in ends["tradeoff"]):
        drawn["tradeoff"] = tradeoff_chart(ends, colours, ink=ink, paper=paint.paper, words=words)
    if ways(summary):
        drawn["frontier"] = frontier_chart(summary, colours, ink=ink, paper=paint.paper, words=words)
    panels = [_accuracy(ends, task, colours, ink, words) for task in _tasks(ends)]
    if panels:
        drawn["accuracy"] = alt.vconcat(*panels, spacing=26)
    losses = training_losses(training or {})
    if losses:
        drawn["training"] = _training(losses, colours, words)
    return {name: _style(chart, ink, font) for name, chart in drawn.items()}


def to_svg(chart: Chart) -> str:
    """The chart as SVG text, transparent where nothing is drawn."""
    return str(vl_convert.vegalite_to_svg(_specification(chart), vl_version=_vega_lite()))


def to_png(chart: Chart) -> bytes:
    """The chart as a PNG of twice the size, on white."""
    on_white = chart.copy(deep=True)
    on_white.config.background = "white"
    return bytes(vl_convert.vegalite_to_png(_specification(on_white), vl_version=_vega_lite(), scale=2))


def _accuracy(summary: Summary, task: str, colours: Mapping[str, str], ink: str, words: Words) -> Chart:
    """One line a variant: accuracy and interval in percent, with a dashed line where guessing lies."""
    rows: list[Record] = []
    for variant, tasks in summary["variants"].items():
        if task in tasks and tasks[task]["valid"]:
            low, high = tasks[task]["ci"]
            accuracy = tasks[task]["accuracy"]
            label = words.number(f"{100 * accuracy:.1f} %")
            rows.append({"name": variant, "x": 100 * accuracy, "x1": 100 * low, "x2": 100 * high, "label": label})
    names = [row["name"] for row in rows]
    colour = _colour(colours, names)
    scale = alt.Scale(domain=[0, max(row["x2"] for row in rows)], nice=True)
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=220))
    x = alt.X(
        "x:Q", scale=scale, title=words.page["x_accuracy"].format(task=task_name(task)), axis=alt.Axis(tickCount=6)
    )
    base = alt.Chart(_inline(rows))
    layers = [
        base.mark_rule(strokeWidth=1.6).encode(x=alt.X("x1:Q", scale=scale), x2="x2:Q", y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour),
        base.mark_text(dy=-10, fontSize=11).encode(x=x, y=y, text="label:N", color=colour),
    ]
    chance = summary["facts"]["chance"].get(task)
    if chance:
        guess = alt.Chart(_inline([{"x": 100 * chance, "label": words.page["guessing"]}])).encode(x="x:Q")
        layers.append(guess.mark_rule(strokeDash=[3, 3], color=ink, opacity=0.6))
        layers.append(
            guess.mark_text(align="left", dx=4, y=4, fontSize=10, color=ink, opacity=0.8).encode(text="label:N")
        )
    return alt.layer(*layers).properties(width=ACCURACY_WIDTH, height=alt.Step(34))


def training_losses(training: Training) -> list[Record]:
    """Loss of every run at each step with its running mean: rows of `name`, `step`, `loss`, `mean`.

    The mean runs over a tenth of the steps, centred; it shows the course of a loss that jumps from batch to batch.
    """
    rows: list[Record] = []
    for name, history in training.items():
        logged = [(row["step"], row["loss"]) for row in history if "loss" in row]
        size = math.ceil(len(logged) / MAX_POINTS)
        points = [_mean(logged[start : start + size]) for start in range(0, len(logged), size or 1)]
        reach = max(1, len(points) // 20)
        for index, (step, loss) in enumerate(points):
            # As many steps before as after, also at the ends, where a lopsided mean would lie off the curve.
            beside = min(reach, index, len(points) - 1 - index)
            near = points[index - beside : index + beside + 1]
            rows.append({"name": name, "step": step, "loss": loss, "mean": _mean(near)[1]})
    return rows


def _mean(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    steps, losses = zip(*points, strict=True)
    return fmean(steps), fmean(losses)


def _training(losses: list[Record], colours: Mapping[str, str], words: Words) -> Chart:
    """Loss against step, every run faint as logged and strong as its running mean, named where it ends."""
    names = list(dict.fromkeys(row["name"] for row in losses))
    # The numbers of the axis are written by the renderer, which knows no decimal mark but the point.
    label = alt.Undefined if words.decimal == "." else f"replace(datum.label, '.', '{words.decimal}')"
    x = alt.X("step:Q", title=words.page["x_training"], axis=alt.Axis(tickCount=6))
    y = alt.Y("loss:Q", title=words.page["y_training"], axis=alt.Axis(tickCount=5, labelExpr=label))
    scale = alt.Scale(domain=names, range=[colours.get(name, PALETTE[0]) for name in names])
    # As many names in a row as the plot is wide, or the drawing would grow to one side of it.
    columns = max(1, int(TRAINING_WIDTH // (max(map(len, names)) * LETTER + LEGEND_SYMBOL)))
    legend = alt.Legend(title=None, orient="top", symbolStrokeWidth=3, symbolOpacity=1, labelLimit=0, columns=columns)
    colour = alt.Color("name:N", scale=scale, legend=legend)
    base = alt.Chart(_inline(losses))
    return alt.layer(
        base.mark_line(strokeWidth=1, opacity=0.3).encode(x=x, y=y, color=colour),
        base.mark_line(strokeWidth=2).encode(x=x, y="mean:Q", color=colour),
    ).properties(width=TRAINING_WIDTH, height=220)


def _inline(rows: list[Record]) -> dict[str, Any]:
    return {"values": rows}


def _tasks(summary: Summary) -> list[str]:
    """Tasks with at least one number worth drawing."""
    return list(
        dict.fromkeys(task for tasks in summary["variants"].values() for task, entry in tasks.items() if entry["valid"])
    )


def _colours(summary: Summary, paint: Paint) -> dict[str, str]:
    """The colour of every variant, the same in every figure; the baseline has that of the text."""
    baseline = summary["facts"]["baseline"]
    return {baseline: paint.ink} | {
        name: paint.palette[place % len(paint.palette)] for name, place in colour_places(summary).items()
    }


def colour_places(summary: Summary) -> dict[str, int]:
    """Variant -> place of its colour in the palette; checkpoints and scaled adapters have that of their run."""
    origins = {variant: point["origin"] for variant, point in summary.get("points", {}).items()}
    others = [variant for variant in summary["variants"] if variant != summary["facts"]["baseline"]]
    places = {name: place for place, name in enumerate(dict.fromkeys(origins.get(name, name) for name in others))}
    return {name: places[origins.get(name, name)] for name in others}


def _colour(colours: Mapping[str, str], names: list[str]) -> alt.Color:
    return alt.Color("name:N", scale=alt.Scale(domain=names, range=[colours[name] for name in names]), legend=None)


def _style(chart: Chart, ink: str, font: str) -> Chart:
    styled = chart.configure(font=font, background="transparent").configure_view(stroke=None)
    return styled.configure_axis(
        labelColor=ink,
        titleColor=ink,
        titleFontWeight="normal",
        labelFontSize=12,
        titleFontSize=13,
        grid=False,
        domainColor=ink,
        domainOpacity=0.5,
        tickColor=ink,
        tickOpacity=0.5,
    ).configure_legend(labelColor=ink, labelFontSize=LEGEND_SIZE)


def _specification(chart: Chart) -> dict[str, Any]:
    """What the renderer draws; it takes neither NUL nor half a surrogate pair, which a name may hold."""
    specification: dict[str, Any] = visible_within(json.loads(chart.to_json()))
    return specification


def _vega_lite() -> str:
    """The newest Vega-Lite that the renderer carries and altair's major version allows, e.g. `6.1`."""
    major = alt.SCHEMA_VERSION.removeprefix("v").split(".")[0]
    fitting = [version for version in vl_convert.get_vegalite_versions() if version.split(".")[0] == major]
    return max(fitting, key=lambda version: [int(part) for part in version.split(".")])
