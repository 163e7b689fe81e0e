"""The frontier figure: what is drawn where, in which order it is joined, and what is marked."""

import json
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, study, study_with_ways

from contrapeso.report.figures import charts, to_svg
from contrapeso.report.labels import Plot, labelled
from contrapeso.report.summary import summarize

SUMMARY = summarize(FACTS, study_with_ways(), resamples=300)
TRADES = {row["variant"]: row for row in SUMMARY["tradeoff"]}
TEXT = "{http://www.w3.org/2000/svg}text"


def drawn(summary: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of every data set of the figure."""
    return list(json.loads(charts(summary)["frontier"].to_json())["datasets"].values())


def dots(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for rows in drawn(summary) for row in rows if "shape" in row}


def test_it_is_drawn_only_where_there_is_a_way() -> None:
    assert "frontier" not in charts(summarize(FACTS, study(), resamples=100))
    assert "frontier" in charts(SUMMARY)


def test_every_variant_lies_at_its_loss_and_gain_in_points_with_its_intervals() -> None:
    found = dots(SUMMARY)
    assert set(found) == set(SUMMARY["variants"]) and (found[BASE]["x"], found[BASE]["y"]) == (0, 0)
    for name, trade in TRADES.items():
        row = found[name]
        places = (row["x"], row["x1"], row["x2"], row["y"], row["y1"], row["y2"])
        assert places == pytest.approx(
            [100 * value for value in (trade["loss"], *trade["loss_ci"], trade["gain"], *trade["gain_ci"])]
        )


def test_lines_join_the_base_with_the_run_in_the_order_of_steps_and_of_scales() -> None:
    legs: dict[str, list[dict[str, Any]]] = {}
    for rows in drawn(SUMMARY):
        for row in rows:
            if "way" in row:
                legs.setdefault(row["way"], []).append(row)
    assert set(legs) == {f"{run} {over}" for run in (RUN_1, RUN_2) for over in ("steps", "scales")}
    passed = [(row["x"], row["y"]) for row in sorted(legs[f"{RUN_2} steps"], key=lambda row: row["order"])]
    through = [TRADES[name] for name in (f"{RUN_2} @100", f"{RUN_2} @200", f"{RUN_2} @300", RUN_2)]
    assert passed == [(0, 0), *((pytest.approx(100 * t["loss"]), pytest.approx(100 * t["gain"])) for t in through)]


def test_the_front_is_drawn_through_those_that_no_other_beats_on_the_same_items() -> None:
    def corners(summary: dict[str, Any]) -> set[tuple[float, float]]:
        return {(row["x"], row["y"]) for rows in drawn(summary) for row in rows if set(row) == {"x", "y", "order"}}

    places = {name: (row["x"], row["y"]) for name, row in dots(SUMMARY).items()}
    on_it = [name for name in places if places[name] in corners(SUMMARY)]
    assert len(on_it) > 1 and all(SUMMARY["pareto"][name]["on_front"] for name in on_it)
    beaten = next(name for name in on_it if name != BASE)  # as if another did better on the few items both were asked
    standings = SUMMARY["pareto"] | {beaten: SUMMARY["pareto"][beaten] | {"on_front": False}}
    assert places[beaten] not in corners(SUMMARY | {"pareto": standings})


def test_the_inside_of_a_dot_says_where_it_stands() -> None:
    filled = {"on the front": 1.0, "uncertain": 0.45}
    for name, row in dots(SUMMARY).items():
        if name != BASE:
            assert row["fill"] == filled.get(SUMMARY["pareto"][name]["standing"], 0.0), name
    assert len({row["fill"] for row in dots(SUMMARY).values()}) > 1


def test_the_recommended_variant_and_the_budget_are_marked_when_there_is_one() -> None:
    chosen = f"{RUN_2} x0.5"
    advised = SUMMARY | {"recommendation": {"chosen": chosen, "rule": {"by": "max_loss", "budget": 0.05}}}
    found = dots(advised)
    assert [name for name, row in found.items() if row["recommended"]] == [chosen]
    texts = [element.text for element in ElementTree.fromstring(to_svg(charts(advised)["frontier"])).iter(TEXT)]
    assert "budget" in texts and f"{chosen}: recommended" in texts
    assert [row["x"] for rows in drawn(advised) for row in rows if row.get("label") == "budget"] == [5.0]
    assert "budget" not in [e.text for e in ElementTree.fromstring(to_svg(charts(SUMMARY)["frontier"])).iter(TEXT)]


def test_runs_are_always_named_and_labels_do_not_cover_each_other() -> None:
    picture = ElementTree.fromstring(to_svg(charts(SUMMARY)["frontier"]))
    boxes = []
    for element in picture.iter(TEXT):
        place = re.fullmatch(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", ""))
        if (
            place
            and element.get("fill") != "#ffffff"
            and element.text in {row["label"] for row in dots(SUMMARY).values()}
        ):
            size = float(re.sub("px", "", element.get("font-size", "")))
            x, y = map(float, place.groups())
            width = 0.5 * size * len(element.text)
            left = x - width if element.get("text-anchor") == "end" else x
            boxes.append((element.text, left, y - 0.7 * size, left + width, y))
    assert {RUN_1, RUN_2, BASE} <= {name for name, *_ in boxes}
    for place, (name, left, top, right, bottom) in enumerate(boxes):
        for other, x1, y1, x2, y2 in boxes[place + 1 :]:
            assert not (x1 < right and left < x2 and y1 < bottom and top < y2), (name, other)


def test_a_label_that_may_go_goes_where_it_would_cover_another() -> None:
    points = [{"x": 5 + n / 50, "y": 5 + n / 50, "label": "a long label", "optional": n > 0} for n in range(12)]
    placed = labelled(points, [], Plot(300, 200, (0, 10), (0, 10)))
    assert placed[0]["label"] == "a long label" and sum(bool(row["label"]) for row in placed) < 6


def test_the_trade_off_figure_keeps_to_base_and_runs() -> None:
    rows = json.loads(charts(SUMMARY)["tradeoff"].to_json())["datasets"].values()
    assert {row["name"] for data in rows for row in data if "name" in row} == {BASE, RUN_1, RUN_2}
