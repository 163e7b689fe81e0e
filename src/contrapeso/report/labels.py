"""Where the labels of points stand in a plot, so that they cover neither each other nor a point, and few lines.

Points and lines in the plot's own units enter, points with a place for their label leave. All reckoning is done with
boxes in pixels from the top left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

Record = dict[str, Any]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

LABEL_SIZE = 13
LETTER = 0.56
"""Mean width of a letter, as a share of its size."""
BESIDE = 9
"""Pixels between a point and its label, along x."""
OFFSETS = (-10, 12, -25, 27, -40, 42)
NEAR = 2
"""How many of them a label has that is left out sooner than stand farther off."""
HALO = 4
MARGIN = 0.04
"""Room left around the outermost value, as a share of the extent of all."""


@dataclass(frozen=True)
class Plot:
    """A plot of two axes.

    Attributes:
        width, height: in pixels.
        across, up: least and largest value of either axis.
    """

    width: int
    height: int
    across: Point
    up: Point

    def box(self, start: Point, end: Point) -> Box:
        """What a straight line between two points spans."""
        left, right = (self.width * (x - self.across[0]) / (self.across[1] - self.across[0]) for x, _ in (start, end))
        bottom, top = (self.height * (self.up[1] - y) / (self.up[1] - self.up[0]) for _, y in (start, end))
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def extent(values: Sequence[float]) -> Point:
    """From the least to the largest value with some room on either side."""
    room = MARGIN * ((max(values) - min(values)) or 1)
    return min(values) - room, max(values) + room


def labelled(points: Sequence[Record], lines: Sequence[Box], plot: Plot) -> list[Record]:
    """The points with `side` and `dy`, where their label stands: the nearest place that covers least.

    Labels and points must not be covered, lines should not.

    Args:
        points: each with `x`, `y`, `label` and maybe `letters`, the size of the label; those that are `optional` are
            placed after all others and lose their label where it would cover a point, a label or the plot's edge.
        lines: what had better not be covered.
        plot: where all of this lies.
    """
    taken = [_around(plot.box((row["x"], row["y"]), (row["x"], row["y"])), BESIDE - 3) for row in points]
    placed = []
    for row in sorted(points, key=lambda point: (bool(point.get("optional")), -point["y"])):
        x, y, *_ = plot.box((row["x"], row["y"]), (row["x"], row["y"]))
        offsets = OFFSETS[:NEAR] if row.get("optional") else OFFSETS
        places = [(dy, side) for dy in offsets for side in ("left", "right")]
        boxes = {(dy, side): _label_box(row, x, y + dy, side) for dy, side in places}
        cost = {place: (_covered(box, taken, plot), _covered(box, lines, plot)) for place, box in boxes.items()}
        best = min(places, key=cost.__getitem__)
        if row.get("optional") and cost[best][0]:
            row = row | {"label": ""}
        else:
            taken.append(boxes[best])
        placed.append(row | {"dy": best[0], "side": best[1]})
    return placed


def label_layers(marks: alt.Chart, points: Sequence[Mapping[str, Any]], colour: alt.Color, *, paper: str) -> list[Any]:
    """The labels, each over a halo in the colour of the paper, so that no line runs through one.

    Args:
        marks: a chart of the points, with x and y.
        points: from `labelled`.
        colour: of the labels.
        paper: colour of what the figure lies on.
    """
    layers = []
    kinds = {(row["side"], row["dy"], row.get("letters", LABEL_SIZE)) for row in points if row["label"]}
    for side, dy, letters in sorted(kinds):
        test = f"datum.label && datum.dy === {dy} && datum.side === '{side}'"
        if any("letters" in row for row in points):
            test += f" && datum.letters === {letters}"
        here = marks.transform_filter(test).encode(text="label:N")
        place = {"align": side, "dx": BESIDE if side == "left" else -BESIDE, "dy": dy, "fontSize": letters}
        layers.append(here.mark_text(**place, color=paper, stroke=paper, strokeWidth=HALO, strokeJoin="round"))
        layers.append(here.mark_text(**place).encode(color=colour))
    return layers


def _label_box(row: Mapping[str, Any], x: float, y: float, side: str) -> Box:
    """Where a label lies whose text starts (`left`) or ends (`right`) beside x."""
    letters = row.get("letters", LABEL_SIZE)
    width = len(row["label"]) * LETTER * letters
    left = x + BESIDE if side == "left" else x - BESIDE - width
    return left, y - letters / 2, left + width, y + letters / 2


def _covered(label: Box, others: Sequence[Box], plot: Plot) -> int:
    """How many boxes a label touches; running out of the plot counts as one more."""
    left, top, right, bottom = label
    touched = sum(x1 < right and left < x2 and y1 < bottom and top < y2 for x1, y1, x2, y2 in others)
    return touched + (left < 0 or right > plot.width or top < 0 or bottom > plot.height)


def _around(box: Box, reach: float) -> Box:
    left, top, right, bottom = box
    return left - reach, top - reach, right + reach, bottom + reach
