"""The trade-off figure: what each run gained against what it lost, with the Pareto front.

A summary enters, a chart leaves. Runs whose numbers the audit withholds are not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from contrapeso.report.labels import Plot, Point, Record, extent, label_layers, labelled
from contrapeso.report.page_words import Words
from contrapeso.report.text import task_name

WIDTH, HEIGHT = 400, 310
_AXIS = alt.Axis(tickCount=6)
_ACROSS, _UP = ("x", "x1", "x2"), ("y", "y1", "y2")


def tradeoff_chart(
    summary: Mapping[str, Any], colours: Mapping[str, str], *, ink: str, paper: str, words: Words
) -> Any:
    """Loss to the right, gain upwards, the base at the origin; a cross of two intervals for each run.

    Args:
        summary: from `summarize`, with at least one valid trade-off.
        colours: variant -> colour.
        ink: colour of axes and baseline.
        paper: colour of the background, drawn around labels so that no line runs through one.
        words: texts of axes.
    """
    facts = summary["facts"]
    target, general = (task_name(facts[key]) for key in ("target", "general"))
    rows = [_record(row) for row in summary["tradeoff"] if row["valid"]]
    names = [facts["baseline"], *(row["name"] for row in rows)]
    base = {"x": 0.0, "y": 0.0, "name": facts["baseline"], "label": facts["baseline"], "hollow": False}
    points = [base, *rows]
    across, up = (extent([row[key] for row in points for key in keys if key in row]) for keys in (_ACROSS, _UP))
    edge = front_edge(pareto_front([(row["x"], row["y"]) for row in points]), bottom=up[0], right=across[1])
    plot = Plot(WIDTH, HEIGHT, across, up)
    lines = [plot.box(*pair) for pair in pairwise(edge)]
    for row in rows:
        lines.append(plot.box((row["x1"], row["y"]), (row["x2"], row["y"])))
        lines.append(plot.box((row["x"], row["y1"]), (row["x"], row["y2"])))
    points = labelled(points, lines, plot)
    scale = alt.Scale(domain=names, range=[colours[name] for name in names])
    colour = alt.Color("name:N", scale=scale, legend=None)
    x, y = (
        alt.X("x:Q", title=words.page["x_tradeoff"].format(task=general), scale=_scale(across), axis=_AXIS),
        alt.Y("y:Q", title=words.page["y_tradeoff"].format(task=target), scale=_scale(up), axis=_AXIS),
    )
    runs, marks = alt.Chart(_inline(rows)), alt.Chart(_inline(points)).encode(x=x, y=y)
    layers = [
        alt.Chart(_inline([{"y": 0}])).mark_rule(color=ink, opacity=0.3).encode(y="y:Q"),
        alt.Chart(_inline([{"x": 0}])).mark_rule(color=ink, opacity=0.3).encode(x="x:Q"),
        alt.Chart(_inline([{"x": px, "y": py, "order": place} for place, (px, py) in enumerate(edge)]))
        .mark_line(color=ink, strokeDash=[6, 4], strokeWidth=1.8, opacity=0.75)
        .encode(x="x:Q", y="y:Q", order="order:Q"),
        runs.mark_rule(strokeWidth=1.6).encode(x=alt.X("x1:Q"), x2="x2:Q", y="y:Q", color=colour),
        runs.mark_rule(strokeWidth=1.6).encode(x="x:Q", y=alt.Y("y1:Q"), y2="y2:Q", color=colour),
        marks.transform_filter("!datum.hollow").mark_point(filled=True, size=80, opacity=1).encode(color=colour),
        marks.transform_filter("datum.hollow")
        .mark_point(filled=False, size=80, strokeWidth=2, opacity=1)
        .encode(color=colour),
    ]
    layers += label_layers(marks, points, colour, paper=paper)
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The (loss, gain) points that no other point beats: less or equal loss, more or equal gain, and one of them so.

    Args:
        points: in any unit.

    Returns:
        Those points by growing loss; equal ones once.
    """
    front: list[Point] = []
    for loss, gain in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or gain > front[-1][1]:
            front.append((loss, gain))
    return front


def _record(row: Mapping[str, Any]) -> Record:
    """A trade-off in points."""
    name, (x1, x2), (y1, y2) = row["variant"], row["loss_ci"], row["gain_ci"]
    record: Record = {"name": name, "label": name, "hollow": str(row.get("pareto", "")).startswith("dominated")}
    places = {"x": row["loss"], "x1": x1, "x2": x2, "y": row["gain"], "y1": y1, "y2": y2}
    return record | {key: 100 * value for key, value in places.items()}


def _scale(ends: Point) -> alt.Scale:
    return alt.Scale(domain=list(ends), nice=False, zero=False)


def front_edge(front: Sequence[Point], *, bottom: float, right: float) -> list[Point]:
    """Corners of the line above and to the left of which nothing lies: up from the bottom, in steps, to the right."""
    corners = [(front[0][0], bottom)]
    for loss, gain in front:
        corners += [(loss, corners[-1][1]), (loss, gain)]
    return [*corners, (right, corners[-1][1])]


def _inline(rows: list[Record]) -> dict[str, Any]:
    return {"values": rows}
