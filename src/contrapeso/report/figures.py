"""The figures: what each run won and paid, and every accuracy with its interval.

A summary enters, charts leave; `to_svg` and `to_png` render them without a browser. Numbers that the audit found
worthless are not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from contrapeso.report.text import task_name

Summary = Mapping[str, Any]
Record = dict[str, Any]
Chart = Any  # any of altair's chart classes, which share no useful type

# Okabe and Ito's palette without yellow: told apart with any colour vision, legible on white and on black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SANS = "system-ui, 'Helvetica Neue', Arial, sans-serif"
INK = "#222222"
WIDTH = 460


def charts(summary: Summary, *, ink: str = INK, palette: Sequence[str] = PALETTE, font: str = SANS) -> dict[str, Chart]:
    """The figures of a study that have something to show.

    Args:
        summary: from `summarize`.
        ink: colour of text and axes; `currentColor` lets an inlined SVG follow its page.
        palette: colours of the variants other than the baseline, in order; `var(--name)` works in an inlined SVG.
        font: family of all text.

    Returns:
        Name (`tradeoff`, `accuracy`) -> chart.
    """
    colours = _colours(summary, palette)
    drawn = {}
    if any(row["valid"] for row in summary["tradeoff"]):
        drawn["tradeoff"] = _style(_tradeoff(summary, colours, ink), ink, font)
    panels = [_accuracy(summary, task, colours, ink) for task in _tasks(summary)]
    if panels:
        drawn["accuracy"] = _style(alt.vconcat(*panels, spacing=26), ink, font)
    return drawn


def to_svg(chart: Chart) -> str:
    """The chart as SVG text, transparent where nothing is drawn."""
    return str(vl_convert.vegalite_to_svg(chart.to_json(), vl_version=_vega_lite()))


def to_png(chart: Chart) -> bytes:
    """The chart as a PNG of twice the size, on white."""
    on_white = chart.copy(deep=True)
    on_white.config.background = "white"
    return bytes(vl_convert.vegalite_to_png(on_white.to_json(), vl_version=_vega_lite(), scale=2))


def _tradeoff(summary: Summary, colours: Mapping[str, str], ink: str) -> Chart:
    """Loss to the right, gain upwards, the base at the origin; a cross of two intervals for each run."""
    target, general = (task_name(summary["facts"][key]) for key in ("target", "general"))
    rows: list[Record] = []
    for row in summary["tradeoff"]:
        if row["valid"]:
            low_x, high_x = row["loss_ci"]
            low_y, high_y = row["gain_ci"]
            points = {"x": row["loss"], "y": row["gain"], "x1": low_x, "x2": high_x, "y1": low_y, "y2": high_y}
            rows.append({"name": row["variant"]} | {key: 100 * value for key, value in points.items()})
    origin = alt.Chart(_inline([{"x": 0, "y": 0, "name": summary["facts"]["baseline"]}])).encode(x="x:Q", y="y:Q")
    colour = _colour(colours, [row["name"] for row in rows])
    x = alt.X("x:Q", title=f"lost on {general}, points", axis=alt.Axis(tickCount=6))
    y = alt.Y("y:Q", title=f"gained on {target}, points", axis=alt.Axis(tickCount=6))
    runs = alt.Chart(_inline(rows))
    return alt.layer(
        alt.Chart(_inline([{"y": 0}])).mark_rule(color=ink, opacity=0.35).encode(y="y:Q"),
        alt.Chart(_inline([{"x": 0}])).mark_rule(color=ink, opacity=0.35).encode(x="x:Q"),
        runs.mark_rule(strokeWidth=1.6).encode(x=alt.X("x1:Q"), x2="x2:Q", y="y:Q", color=colour),
        runs.mark_rule(strokeWidth=1.6).encode(x="x:Q", y=alt.Y("y1:Q"), y2="y2:Q", color=colour),
        runs.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour),
        runs.mark_text(align="left", dx=8, dy=-9, fontSize=12).encode(x=x, y=y, text="name:N", color=colour),
        origin.mark_point(filled=True, size=55, color=ink, opacity=1),
        origin.mark_text(align="left", dx=8, dy=-9, fontSize=12, color=ink).encode(text="name:N"),
    ).properties(width=WIDTH, height=300)


def _accuracy(summary: Summary, task: str, colours: Mapping[str, str], ink: str) -> Chart:
    """One line a variant: accuracy and interval in percent, with a dashed line where guessing lies."""
    rows: list[Record] = []
    for variant, tasks in summary["variants"].items():
        if task in tasks and tasks[task]["valid"]:
            low, high = tasks[task]["ci"]
            accuracy = tasks[task]["accuracy"]
            label = f"{100 * accuracy:.1f} %"
            rows.append({"name": variant, "x": 100 * accuracy, "x1": 100 * low, "x2": 100 * high, "label": label})
    names = [row["name"] for row in rows]
    colour = _colour(colours, names)
    scale = alt.Scale(domain=[0, max(row["x2"] for row in rows)], nice=True)
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=220))
    x = alt.X("x:Q", scale=scale, title=f"{task_name(task)}, % correct", axis=alt.Axis(tickCount=6))
    base = alt.Chart(_inline(rows))
    layers = [
        base.mark_rule(strokeWidth=1.6).encode(x=alt.X("x1:Q", scale=scale), x2="x2:Q", y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour),
        base.mark_text(dy=-10, fontSize=11).encode(x=x, y=y, text="label:N", color=colour),
    ]
    chance = summary["facts"]["chance"].get(task)
    if chance:
        guess = alt.Chart(_inline([{"x": 100 * chance, "label": "guessing"}])).encode(x="x:Q")
        layers.append(guess.mark_rule(strokeDash=[3, 3], color=ink, opacity=0.6))
        layers.append(
            guess.mark_text(align="left", dx=4, y=4, fontSize=10, color=ink, opacity=0.8).encode(text="label:N")
        )
    return alt.layer(*layers).properties(width=WIDTH - 130, height=alt.Step(34))


def _inline(rows: list[Record]) -> dict[str, Any]:
    return {"values": rows}


def _tasks(summary: Summary) -> list[str]:
    """Tasks with at least one number worth drawing."""
    return list(
        dict.fromkeys(task for tasks in summary["variants"].values() for task, entry in tasks.items() if entry["valid"])
    )


def _colours(summary: Summary, palette: Sequence[str]) -> dict[str, str]:
    """One colour a variant, the same in every figure; the baseline is grey."""
    baseline = summary["facts"]["baseline"]
    others = [variant for variant in summary["variants"] if variant != baseline]
    return {baseline: "#7f7f7f"} | {name: palette[i % len(palette)] for i, name in enumerate(others)}


def _colour(colours: Mapping[str, str], names: list[str]) -> alt.Color:
    return alt.Color("name:N", scale=alt.Scale(domain=names, range=[colours[name] for name in names]), legend=None)


def _style(chart: Chart, ink: str, font: str) -> Chart:
    styled = chart.configure(font=font, background="transparent").configure_view(stroke=None)
    return styled.configure_axis(
        labelColor=ink,
        titleColor=ink,
        titleFontWeight="normal",
        labelFontSize=11,
        titleFontSize=12,
        grid=False,
        domainColor=ink,
        domainOpacity=0.5,
        tickColor=ink,
        tickOpacity=0.5,
    )


def _vega_lite() -> str:
    """The newest Vega-Lite that the renderer carries and altair's major version allows, e.g. `6.1`."""
    major = alt.SCHEMA_VERSION.removeprefix("v").split(".")[0]
    fitting = [version for version in vl_convert.get_vegalite_versions() if version.split(".")[0] == major]
    return max(fitting, key=lambda version: [int(part) for part in version.split(".")])
