"""The trade-off figure: what each run gained against what it lost, with the Pareto front.

A summary enters, a chart leaves. Runs whose numbers the audit withholds are not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import altair as alt

from contrapeso.report.page_words import Words
from contrapeso.report.text import task_name

Record = dict[str, Any]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

WIDTH, HEIGHT = 400, 310
MARGIN = 0.04
"""Room left around the outermost interval, as a share of all intervals' extent."""
LABEL_SIZE = 13
LETTER = 0.56 * LABEL_SIZE
"""Mean width of a letter, in pixels."""
BESIDE = 9
"""Pixels between a point and its label, along x."""
OFFSETS = (-10, 12, -25, 27, -40, 42)
HALO = 4
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
    points = [{"x": 0.0, "y": 0.0, "name": facts["baseline"], "hollow": False}, *rows]
    across, up = (_extent([row[key] for row in points for key in keys if key in row]) for keys in (_ACROSS, _UP))
    edge = _edge(pareto_front([(row["x"], row["y"]) for row in points]), bottom=up[0], right=across[1])
    points = _labelled(points, edge, across, up)
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
    for side, dy in sorted({(row["side"], row["dy"]) for row in points}):
        here = marks.transform_filter(f"datum.dy === {dy} && datum.side === '{side}'").encode(text="name:N")
        place = {"align": side, "dx": BESIDE if side == "left" else -BESIDE, "dy": dy, "fontSize": LABEL_SIZE}
        layers.append(here.mark_text(**place, color=paper, stroke=paper, strokeWidth=HALO, strokeJoin="round"))
        layers.append(here.mark_text(**place).encode(color=colour))
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
    (x1, x2), (y1, y2) = row["loss_ci"], row["gain_ci"]
    ends = {"x": row["loss"], "y": row["gain"], "x1": x1, "x2": x2, "y1": y1, "y2": y2}
    hollow = str(row.get("pareto", "")).startswith("dominated")
    return {"name": row["variant"], "hollow": hollow} | {key: 100 * value for key, value in ends.items()}


def _extent(values: Sequence[float]) -> Point:
    """From the least to the largest value with some room on either side."""
    room = MARGIN * ((max(values) - min(values)) or 1)
    return min(values) - room, max(values) + room


def _scale(extent: Point) -> alt.Scale:
    return alt.Scale(domain=list(extent), nice=False, zero=False)


def _edge(front: Sequence[Point], *, bottom: float, right: float) -> list[Point]:
    """Corners of the line above and to the left of which nothing lies: up from the bottom, in steps, to the right."""
    corners = [(front[0][0], bottom)]
    for loss, gain in front:
        corners += [(loss, corners[-1][1]), (loss, gain)]
    return [*corners, (right, corners[-1][1])]


def _labelled(points: Sequence[Record], edge: Sequence[Point], across: Point, up: Point) -> list[Record]:
    """The points with `side` and `dy`, where their label stands: the nearest place that covers least.

    Labels and points must not be covered, lines should not; all of them are boxes in pixels from the top left.
    """

    def box(x1: float, y1: float, x2: float, y2: float) -> Box:
        left, right = (WIDTH * (x - across[0]) / (across[1] - across[0]) for x in sorted((x1, x2)))
        bottom, top = (HEIGHT * (up[1] - y) / (up[1] - up[0]) for y in sorted((y1, y2)))
        return left, top, right, bottom

    lines = [box(*start, *end) for start, end in pairwise(edge)]
    for row in points:
        if "x1" in row:
            lines += [box(row["x1"], row["y"], row["x2"], row["y"]), box(row["x"], row["y1"], row["x"], row["y2"])]
    taken = [_around(box(row["x"], row["y"], row["x"], row["y"]), BESIDE - 3) for row in points]
    labelled = []
    for row in sorted(points, key=lambda point: -point["y"]):
        x, y, *_ = box(row["x"], row["y"], row["x"], row["y"])
        places = [(dy, side) for dy in OFFSETS for side in ("left", "right")]
        boxes = {place: _label_box(row["name"], x, y + place[0], place[1]) for place in places}
        dy, side = min(places, key=lambda place: (_covered(boxes[place], taken), _covered(boxes[place], lines)))
        taken.append(boxes[dy, side])
        labelled.append(row | {"dy": dy, "side": side})
    return labelled


def _label_box(name: str, x: float, y: float, side: str) -> Box:
    """Where a label lies whose text starts (`left`) or ends (`right`) beside x."""
    width = len(name) * LETTER
    left = x + BESIDE if side == "left" else x - BESIDE - width
    return left, y - LABEL_SIZE / 2, left + width, y + LABEL_SIZE / 2


def _covered(label: Box, others: Sequence[Box]) -> int:
    """How many boxes a label touches; running out of the plot counts as one more."""
    left, top, right, bottom = label
    touched = sum(x1 < right and left < x2 and y1 < bottom and top < y2 for x1, y1, x2, y2 in others)
    return touched + (left < 0 or right > WIDTH or top < 0 or bottom > HEIGHT)


def _around(box: Box, reach: float) -> Box:
    left, top, right, bottom = box
    return left - reach, top - reach, right + reach, bottom + reach


def _inline(rows: list[Record]) -> dict[str, Any]:
    return {"values": rows}
