"""The trade-off figure: what each run gained against what it lost, with the Pareto front.

A summary enters, a chart leaves. Runs whose numbers the audit withholds are not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from contrapeso.report.page_words import Words
from contrapeso.report.text import task_name

Record = dict[str, Any]
Point = tuple[float, float]

WIDTH, HEIGHT = 400, 310
# Labels closer than this, in pixels, would be printed over each other.
CLEARANCE = 15
OFFSETS = (-10, 12, -25, 27, -40, 42)


def tradeoff_chart(summary: Mapping[str, Any], colours: Mapping[str, str], ink: str, words: Words) -> Any:
    """Loss to the right, gain upwards, the base at the origin; a cross of two intervals for each run.

    Args:
        summary: from `summarize`, with at least one valid trade-off.
        colours: variant -> colour.
        ink: colour of axes and baseline.
        words: texts of axes.
    """
    facts = summary["facts"]
    target, general = (task_name(facts[key]) for key in ("target", "general"))
    rows = [_record(row) for row in summary["tradeoff"] if row["valid"]]
    names = [row["name"] for row in rows]
    points = _labelled([{"x": 0.0, "y": 0.0, "name": facts["baseline"], "hollow": False}, *rows])
    front = pareto_front([(row["x"], row["y"]) for row in points])
    scale = alt.Scale(domain=[facts["baseline"], *names], range=[colours[name] for name in (facts["baseline"], *names)])
    colour = alt.Color("name:N", scale=scale, legend=None)
    x = alt.X("x:Q", title=words.page["x_tradeoff"].format(task=general), axis=alt.Axis(tickCount=6))
    y = alt.Y("y:Q", title=words.page["y_tradeoff"].format(task=target), axis=alt.Axis(tickCount=6))
    runs, marks = alt.Chart(_inline(rows)), alt.Chart(_inline(points))
    layers = [
        alt.Chart(_inline([{"y": 0}])).mark_rule(color=ink, opacity=0.3).encode(y="y:Q"),
        alt.Chart(_inline([{"x": 0}])).mark_rule(color=ink, opacity=0.3).encode(x="x:Q"),
        alt.Chart(_inline([{"x": px, "y": py} for px, py in front]))
        .mark_line(interpolate="step-after", color=ink, strokeDash=[5, 4], strokeWidth=1.2, opacity=0.55)
        .encode(x="x:Q", y="y:Q"),
        runs.mark_rule(strokeWidth=1.6).encode(x=alt.X("x1:Q"), x2="x2:Q", y="y:Q", color=colour),
        runs.mark_rule(strokeWidth=1.6).encode(x="x:Q", y=alt.Y("y1:Q"), y2="y2:Q", color=colour),
        marks.transform_filter("!datum.hollow")
        .mark_point(filled=True, size=80, opacity=1)
        .encode(x=x, y=y, color=colour),
        marks.transform_filter("datum.hollow")
        .mark_point(filled=False, size=80, strokeWidth=2, opacity=1)
        .encode(x=x, y=y, color=colour),
    ]
    for side, dy in sorted({(row["side"], row["dy"]) for row in points}):
        here = marks.transform_filter(f"datum.dy === {dy} && datum.side === '{side}'")
        text = here.mark_text(align=side, dx=9 if side == "left" else -9, dy=dy, fontSize=12.5)
        layers.append(text.encode(x=x, y=y, text="name:N", color=colour))
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


def _labelled(points: Sequence[Record]) -> list[Record]:
    """The points with `side` and `dy`, where their label stands: above right, or where no other is.

    Distances are reckoned on the scale that the figure will have, from the extent of all intervals.
    """
    heights: list[float] = [row[key] for row in points for key in ("y", "y1", "y2") if key in row]
    pixels = HEIGHT / ((max(heights) - min(heights)) or 1)
    placed: list[float] = []
    chosen: dict[str, int] = {}
    for row in sorted(points, key=lambda point: -point["y"]):
        top = -row["y"] * pixels
        free = [dy for dy in OFFSETS if all(abs(top + dy - other) >= CLEARANCE for other in placed)]
        chosen[row["name"]] = (free or OFFSETS)[0]
        placed.append(top + chosen[row["name"]])
    # A label of a point far right is written to its left, so that it does not run out of the figure.
    middle = (min(row["x"] for row in points) + 2 * max(row["x"] for row in points)) / 3
    sides = {row["name"]: "right" if row["x"] > max(middle, 0) else "left" for row in points}
    return [point | {"dy": chosen[point["name"]], "side": sides[point["name"]]} for point in points]


def _inline(rows: list[Record]) -> dict[str, Any]:
    return {"values": rows}
