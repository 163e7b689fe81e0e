"""The frontier figure: gain against loss along the way of every run, over its steps and over the scale of its update.

A summary enters, a chart leaves. Variants whose numbers the audit withholds are not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from contrapeso.report.labels import LABEL_SIZE, Plot, Point, Record, extent, label_layers, labelled
from contrapeso.report.page_words import Words
from contrapeso.report.text import on_the_way, task_name
from contrapeso.report.tradeoff_figure import front_edge, pareto_front
from contrapeso.report.way import Stop, Way, stops, ways

WIDTH, HEIGHT = 560, 400
SMALL_LABEL = 10
LARGE, SMALL, RING = 90, 45, 330
"""Area of the dot of a run, of one on its way, and of the ring around the recommended one."""
STEPS, SCALES, ENDS = "circle", "diamond", "square"
"""Told apart by shape too: checkpoints, scaled adapters, and what they lead to."""
DASHES: Mapping[str, Sequence[int]] = {"steps": (1, 0), "scales": (7, 4)}
FILLED = {"on the front": 1.0, "uncertain": 0.45}
"""How opaque the inside of a dot is; a dominated one is hollow."""
_AXIS = alt.Axis(tickCount=7)


def frontier_chart(
    summary: Mapping[str, Any], colours: Mapping[str, str], *, ink: str, paper: str, words: Words
) -> Any:
    """Loss to the right, gain upwards, the base at the origin; a line through every way, light crosses of intervals.

    Args:
        summary: from `summarize`, with at least one way.
        colours: variant -> colour; those on the way have that of their run.
        ink: colour of axes, baseline, front and recommendation.
        paper: colour of what the figure lies on.
        words: texts of axes and labels.
    """
    placed = [stop for stop in stops(summary) if stop.place]
    points = [_record(stop, summary, words) for stop in placed]
    across, up = (extent([row[key] for row in points for key in keys]) for keys in (("x1", "x2"), ("y1", "y2")))
    # Estimates on a few items and on all do not compare: the front is of those that no other beats on the same items.
    front = [row for stop, row in zip(placed, points, strict=True) if stop.on_front] or points
    edge = front_edge(pareto_front([(row["x"], row["y"]) for row in front]), bottom=up[0], right=across[1])
    legs = [record for way in ways(summary) for record in _leg(way)]
    plot = Plot(WIDTH, HEIGHT, across, up)
    points = labelled(points, [plot.box(*pair) for pair in (*pairwise(edge), *_segments(ways(summary)))], plot)
    facts = summary["facts"]
    target, general = (task_name(facts[key]) for key in ("target", "general"))
    x = alt.X("x:Q", title=words.page["x_tradeoff"].format(task=general), scale=_scale(across), axis=_AXIS)
    y = alt.Y("y:Q", title=words.page["y_tradeoff"].format(task=target), scale=_scale(up), axis=_AXIS)
    names = [row["name"] for row in points]
    colour = alt.Color("name:N", scale=alt.Scale(domain=names, range=[colours[name] for name in names]), legend=None)
    marks = alt.Chart(_inline(points)).encode(x=x, y=y)
    layers = [
        *_ground(edge, _budget(summary, across), ink, up, words),
        *_crosses(marks, colour),
        *_lines(legs, colour),
        *_dots(marks, colour, ink, paper),
        *label_layers(marks, points, colour, paper=paper),
    ]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _record(stop: Stop, summary: Mapping[str, Any], words: Words) -> Record:
    """A variant as a dot: its shape says what it is, its inside where it stands."""
    between = on_the_way(summary, stop.variant)
    loss, gain = stop.place or (0.0, 0.0)
    (x1, x2), (y1, y2) = stop.loss_ci or (loss, loss), stop.gain_ci or (gain, gain)
    recommended = summary.get("recommendation", {}).get("chosen") == stop.variant
    label = stop.variant
    if recommended:
        label = f"{stop.variant}: {words.page['recommended']}"
    elif between:
        label = f"@{stop.step}" if stop.step is not None else words.number(f"×{stop.scale:g}")
    return {
        "name": stop.variant,
        "label": label,
        "letters": SMALL_LABEL if between and not recommended else LABEL_SIZE,
        "optional": between and not recommended,
        "shape": (STEPS if stop.step is not None else SCALES) if between else ENDS,
        "size": SMALL if between else LARGE,
        "fill": FILLED.get(stop.standing, 0.0) if stop.origin else 1.0,
        "faint": 0.28 if between else 0.6,
        "recommended": recommended,
        "x": loss,
        "x1": x1,
        "x2": x2,
        "y": gain,
        "y1": y1,
        "y2": y2,
    }


def _leg(way: Way) -> list[Record]:
    """The places along a way, in order; the baseline is where all of them start."""
    return [
        {"way": f"{way.origin} {way.over}", "name": way.origin, "over": way.over, "order": order, "x": x, "y": y}
        for order, (x, y) in enumerate(stop.place for stop in way.stops if stop.place)
    ]


def _segments(found: Sequence[Way]) -> list[tuple[Point, Point]]:
    """The straight pieces of all ways, cut in four so that their boxes hug the lines."""
    pieces = []
    for way in found:
        for (x1, y1), (x2, y2) in pairwise([stop.place for stop in way.stops if stop.place]):
            cuts = [(x1 + (x2 - x1) * part / 4, y1 + (y2 - y1) * part / 4) for part in range(5)]
            pieces += list(pairwise(cuts))
    return pieces


def _budget(summary: Mapping[str, Any], across: Point) -> float | None:
    """The loss that one can bear, in points, where the report recommends within it and the plot reaches so far."""
    rule = summary.get("recommendation", {}).get("rule", {})
    budget = 100 * rule["budget"] if rule.get("by") == "max_loss" else None
    return budget if budget is not None and budget <= across[1] else None


def _ground(edge: Sequence[Point], budget: float | None, ink: str, up: Point, words: Words) -> list[Any]:
    """What lies under everything: the lines of nothing gained and nothing lost, the front, the budget."""
    corners = [{"x": x, "y": y, "order": order} for order, (x, y) in enumerate(edge)]
    layers = [
        alt.Chart(_inline([{"y": 0}])).mark_rule(color=ink, opacity=0.3).encode(y="y:Q"),
        alt.Chart(_inline([{"x": 0}])).mark_rule(color=ink, opacity=0.3).encode(x="x:Q"),
        alt.Chart(_inline(corners))
        .mark_line(color=ink, strokeWidth=7, opacity=0.16, strokeJoin="round")
        .encode(x="x:Q", y="y:Q", order="order:Q"),
    ]
    if budget is not None:
        limit = alt.Chart(_inline([{"x": budget, "y": up[0], "label": words.page["budget"]}])).encode(x="x:Q")
        layers.append(limit.mark_rule(color=ink, strokeDash=[2, 3], opacity=0.7))
        said = limit.mark_text(align="left", baseline="bottom", dx=4, dy=-4, fontSize=SMALL_LABEL + 1, color=ink)
        layers.append(said.encode(y="y:Q", text="label:N"))
    return layers


def _crosses(marks: alt.Chart, colour: alt.Color) -> list[Any]:
    """The intervals of every variant on both axes, lightly."""
    faint = alt.Opacity("faint:Q", scale=None, legend=None)
    return [
        marks.mark_rule(strokeWidth=1.2).encode(x=alt.X("x1:Q"), x2="x2:Q", color=colour, opacity=faint),
        marks.mark_rule(strokeWidth=1.2).encode(y=alt.Y("y1:Q"), y2="y2:Q", color=colour, opacity=faint),
    ]


def _lines(legs: Sequence[Record], colour: alt.Color) -> list[Any]:
    """One line a way: whole over steps, broken over scales."""
    layers = []
    for over, dash in DASHES.items():
        mine = alt.Chart(_inline([leg for leg in legs if leg["over"] == over]))
        line = mine.mark_line(strokeWidth=1.8, strokeDash=list(dash), opacity=0.85)
        layers.append(line.encode(x="x:Q", y="y:Q", color=colour, detail="way:N", order="order:Q"))
    return layers


def _dots(marks: alt.Chart, colour: alt.Color, ink: str, paper: str) -> list[Any]:
    """The variants: paper first, so that no line shows through, then the inside, then the outline."""
    shape, size = (alt.Shape("shape:N", scale=None, legend=None), alt.Size("size:Q", scale=None, legend=None))
    ring = marks.transform_filter("datum.recommended")
    return [
        marks.mark_point(filled=True, opacity=1, color=paper).encode(shape=shape, size=size),
        marks.mark_point(filled=True).encode(
            color=colour, shape=shape, size=size, opacity=alt.Opacity("fill:Q", scale=None, legend=None)
        ),
        marks.mark_point(filled=False, strokeWidth=1.6, opacity=1).encode(color=colour, shape=shape, size=size),
        ring.mark_point(filled=False, shape="circle", size=RING, strokeWidth=2.2, opacity=1, color=ink),
    ]


def _scale(ends: Point) -> alt.Scale:
    return alt.Scale(domain=list(ends), nice=False, zero=False)


def _inline(rows: Sequence[Record]) -> dict[str, Any]:
    return {"values": list(rows)}
