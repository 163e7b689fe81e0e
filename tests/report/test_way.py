"""What lies between base and run: against the end of the run, as points, in sentences, tables and frontier.csv."""

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, SHOTS, mmlu, sources, spider, study, study_with_ways, with_outcomes

from contrapeso.models.engine import Point
from contrapeso.recommend import recommend_among
from contrapeso.report.markdown import to_markdown
from contrapeso.report.measurement import Check, Measurement
from contrapeso.report.page import render_page
from contrapeso.report.page_words import TEXTS, words_in
from contrapeso.report.paper import paper_data
from contrapeso.report.summary import summarize
from contrapeso.report.tables import csv_files
from contrapeso.report.text import summary_table
from contrapeso.report.way import stops, ways
from contrapeso.report.way_text import advice_sentences, way_section, way_sentences
from contrapeso.stats.selection import Rule

MEASURED = study_with_ways()
SUMMARY = summarize(FACTS, MEASURED, resamples=300)
ON_RUN_2 = [f"{RUN_2} @100", f"{RUN_2} @200", f"{RUN_2} @300"]


def correct(variant: str, task: str) -> dict[str, bool]:
    return next({o.item: o.correct for o in m.outcomes} for m in MEASURED if (m.variant, m.task) == (variant, task))


def frontier(summary: dict[str, Any], measured: list[Measurement]) -> dict[str, dict[str, str]]:
    text = csv_files(summary, sources(measured))["frontier.csv"]
    return {row["variant"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}


def test_a_point_is_compared_with_the_end_of_its_own_run_item_by_item() -> None:
    rows = {(row["variant"], row["task"]): row for row in SUMMARY["way"]}
    assert len(rows) == 20 and {row["against"] for row in rows.values()} == {RUN_1, RUN_2}
    for (variant, task), row in rows.items():
        point, end = correct(variant, task), correct(row["against"], task)
        assert row["lost"] == sum(end[item] and not point[item] for item in point)
        assert row["gained"] == sum(point[item] and not end[item] for item in point)
        assert row["delta"] == pytest.approx((row["gained"] - row["lost"]) / row["n"])
        assert row["ci"][0] <= row["delta"] <= row["ci"][1] and row["p_holm"] >= row["p_verdict"]


def test_a_study_without_points_says_nothing_of_a_way() -> None:
    summary = summarize(FACTS, study(), resamples=300)
    assert "way" not in summary and not ways(summary) and way_section(summary, words_in("en")) is None
    page = render_page(summary, sources(study()))
    assert 'id="way"' not in page and "The way there" not in page and "The way there" not in to_markdown(summary)


def test_a_way_leads_from_the_base_over_growing_steps_or_scales_through_the_run() -> None:
    found = {(way.origin, way.over): [stop.variant for stop in way.stops] for way in ways(SUMMARY)}
    assert found[RUN_2, "steps"] == [BASE, *ON_RUN_2, RUN_2]
    assert found[RUN_2, "scales"] == [BASE, f"{RUN_2} x0.5", f"{RUN_2} x0.75", RUN_2]
    assert len(found) == 4


def test_a_scale_above_one_lies_beyond_the_run() -> None:
    beyond = Point(RUN_1, scale=1.5)
    more = [replace(m, variant=beyond.name, point=beyond) for m in MEASURED if m.variant == RUN_1]
    found = {(w.origin, w.over): w.stops for w in ways(summarize(FACTS, [*MEASURED, *more], resamples=100))}
    assert [stop.scale for stop in found[RUN_1, "scales"]] == [0, 0.5, 0.75, 1, 1.5]


def test_frontier_csv_is_that_of_a_study_worked_by_hand() -> None:
    def answered(variant: str, task: str, right: str, point: Point | None = None) -> Measurement:
        made = spider(variant, 1, seed=0, databases=5, each=4) if task == "spider" else mmlu(variant, 1, seed=0)
        made = replace(made, point=point, outcomes=made.outcomes[:20])
        return with_outcomes(made, lambda index, outcome: replace(outcome, correct=right[index] == "+"))

    run, half = Point("Run"), Point("Run", scale=0.5)
    measured = [
        answered(BASE, "spider", "+" * 5 + "-" * 15),
        answered(BASE, "mmlu", "+" * 20),
        answered("Run", "spider", "+" * 12 + "-" * 8, run),
        answered("Run", "mmlu", "+" * 15 + "-" * 5, run),
        answered(half.name, "spider", "+" * 12 + "-" * 8, half),
        answered(half.name, "mmlu", "+" * 19 + "-", half),
        answered("Other", "spider", "+" * 6 + "-" * 14),
    ]
    rows = frontier(summarize(FACTS, measured, resamples=300), measured)
    shown = ("origin", "step", "scale", "n_target", "n_general", "gain", "loss", "on_front", "valid")
    assert [tuple(rows[name][column] for column in shown) for name in rows] == [
        ("", "", "0", "20", "20", "0.0", "0.0", "true", "true"),
        ("Run", "", "1", "20", "20", "35.0", "25.0", "false", "true"),
        ("Run", "", "0.5", "20", "20", "35.0", "5.0", "true", "true"),
        ("Other", "", "1", "20", "", "5.0", "", "", "true"),
    ]


def test_frontier_csv_has_every_variant_with_the_numbers_of_the_summary() -> None:
    rows = frontier(SUMMARY, MEASURED)
    assert list(rows) == list(SUMMARY["variants"])
    assert rows[f"{RUN_2} @200"]["step"] == "200" and rows[f"{RUN_1} x0.75"]["scale"] == "0.75"
    for trade in SUMMARY["tradeoff"]:
        row = rows[trade["variant"]]
        for what in ("gain", "loss"):
            low, high = (float(row[f"{what}_{end}"]) for end in ("low", "high"))
            assert (float(row[what]), low, high) == pytest.approx(
                (100 * trade[what], *(100 * end for end in trade[f"{what}_ci"])), abs=1e-5
            )
        assert row["standing"] == trade["pareto"]


def test_frontier_csv_is_written_without_points_too_and_a_baseline_prompted_otherwise_has_no_run() -> None:
    rows = frontier(summarize(FACTS, study(), resamples=100), study())
    assert list(rows) == [BASE, RUN_1, RUN_2, SHOTS]
    assert [rows[name]["origin"] for name in rows] == ["", RUN_1, RUN_2, ""]
    assert rows[SHOTS]["loss"] == "" and rows[SHOTS]["gain"]


def test_a_withheld_point_keeps_its_row_and_its_reason_and_loses_its_numbers() -> None:
    name = f"{RUN_2} @200"
    checks = [Check("below_chance", "fail", "under guessing", ((name, "mmlu"),))]
    summary = summarize(FACTS, MEASURED, checks=checks, resamples=100)
    row = frontier(summary, MEASURED)[name]
    assert (row["loss"], row["loss_low"], row["valid"]) == ("", "", "false") and "under guessing" in row["reason"]
    assert name not in [stop.variant for way in ways(summary) for stop in way.stops]
    assert name not in " ".join(way_sentences(summary, words_in("en")))


def test_a_run_whose_points_are_all_withheld_says_why() -> None:
    withheld = tuple((name, "spider") for name in SUMMARY["variants"] if name.startswith(f"{RUN_2} "))
    summary = summarize(FACTS, MEASURED, checks=[Check("below_chance", "fail", "no luck", withheld)], resamples=100)
    assert "its way cannot be told; not valid" in way_sentences(summary, words_in("en"))[1]


def test_the_sentence_of_a_run_names_what_certainly_keeps_more_and_has_the_most_of_the_target() -> None:
    rows = {(row["variant"], row["task"]): row for row in SUMMARY["way"]}
    certain = [v for (v, task), row in rows.items() if task == "mmlu" and RUN_2 in v and row["verdict"] == "gain"]
    best = max(certain, key=lambda variant: rows[variant, "spider"]["delta"])
    first, second = way_sentences(SUMMARY, words_in("en"))
    assert first.startswith(f"{RUN_1}: none of 5 points on its way certainly keeps more of MMLU")
    assert "not distinguishable" in first or "no difference larger" in first
    assert second.startswith(f"{RUN_2}: of 5 points on its way, {len(certain)} certainly keep more of MMLU")
    assert f"Of those, {best} has the most of Spider" in second
    assert f"+{100 * rows[best, 'mmlu']['delta']:.1f} points of MMLU" in second


def test_the_number_of_probe_items_is_said() -> None:
    def probe(measurement: Measurement) -> Measurement:
        if not (measurement.point and measurement.point.intermediate):
            return measurement
        some = measurement.outcomes[:: 4 if measurement.task == "spider" else 8]
        return replace(measurement, outcomes=some, point=replace(measurement.point, probe=True))

    section = way_section(summarize(FACTS, list(map(probe, MEASURED)), resamples=100), words_in("en"))
    assert section and section.table
    assert "measured on 120 items of Spider and 100 of MMLU" in section.table.note
    sizes = {row[0].text: row[1].text for row in section.table.rows}
    assert sizes[RUN_1] == "480 / 800" and sizes[f"{RUN_1} @100"] == "120 / 100"


def test_other_tables_keep_to_base_runs_and_imported_adapters() -> None:
    section = way_section(SUMMARY, words_in("en"))
    assert section and section.table
    assert [row[0].text for row in section.table.rows][:6] == [
        RUN_1, *(f"{RUN_1} {rest}" for rest in ("@100", "@200", "@300", "x0.5", "x0.75"))
    ]  # fmt: skip
    before, _, after = to_markdown(SUMMARY).partition("## The way there")
    rows = {
        part: re.findall(r"^\| (Fine.*?) \|", text, re.MULTILINE)
        for part, text in (("before", before), ("after", after))
    }
    assert set(rows["before"]) == {RUN_1, RUN_2} and len(rows["after"]) == 12
    console = summary_table(SUMMARY)
    assert list(console.columns[0].cells) == [BASE, RUN_1, RUN_2] and "10 checkpoints" in str(console.caption)
    files = csv_files(SUMMARY, sources(MEASURED))
    for name in ("avaliacao_mmlu_resultados.csv", "summary_fase3_accuracy.csv"):
        assert len(files[name].splitlines()) == 4
    page = render_page(SUMMARY, sources(MEASURED))
    variants = page[page.index('<section id="variants">') : page.index('<section id="changes">')]
    assert variants.count('<th scope="row">') == 3


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_page_and_paper_have_the_section_in_every_language(language: str) -> None:
    rule = Rule("max_loss", 0.05)
    summary = SUMMARY | {"recommendation": recommend_among(SUMMARY, MEASURED, FACTS, rule)}
    words = words_in(language)
    said = [*way_sentences(summary, words), *advice_sentences(summary, words)]
    assert len(said) == 5 and not any("{" in sentence for sentence in said)
    made_of = sources(MEASURED, language=language)
    page = render_page(summary, made_of)
    assert 'id="way"' in page and words.page["way"] in page and all(sentence in page for sentence in said)
    blocks = paper_data(summary, made_of, figures=["frontier"])["body"]
    labels = [block.get("label") for block in blocks]
    assert "way" in labels and "figure-frontier" in labels
    rows = next(block for block in blocks if block.get("label") == "way")["rows"]
    assert [row[0]["head"] for row in rows if isinstance(row[0], dict)] == [RUN_1, RUN_2]
    assert [row[0] for row in rows if len(row) > 1][1:6] == ["@100", "@200", "@300", "x0.5", "x0.75"]


def test_the_recommendation_is_said_with_its_estimate_on_items_it_was_not_chosen_on() -> None:
    found = recommend_among(SUMMARY, MEASURED, FACTS, Rule("max_loss", 0.05))
    chosen, worth, shares = advice_sentences(SUMMARY | {"recommendation": found}, words_in("en"))
    assert "At most 5 points of MMLU".lower() in chosen.lower() and f"{found['chosen']} is recommended" in chosen
    assert "200 times" in worth and f"{100 * found['held_out']['gain']:.1f} points of Spider" in worth
    assert found["chosen"] in shares
    none = recommend_among(SUMMARY, MEASURED, FACTS, Rule("max_loss", 0.0001))
    first, *_ = advice_sentences(SUMMARY | {"recommendation": none}, words_in("en"))
    assert none["chosen"] is None and f"{BASE} is recommended" in first


def test_a_budget_without_points_gives_advice_alone() -> None:
    measured = study()
    summary = summarize(FACTS, measured, resamples=100)
    summary["recommendation"] = recommend_among(summary, measured, FACTS, Rule("max_loss", 0.05))
    page = render_page(summary, sources(measured))
    assert "What to take" in page and "The way there" not in page
    assert "## What to take" in to_markdown(summary)


def test_points_of_the_plane_are_gain_and_loss_in_points() -> None:
    trades = {row["variant"]: row for row in SUMMARY["tradeoff"]}
    for stop in stops(SUMMARY):
        if stop.variant != BASE:
            assert stop.place == pytest.approx((100 * trades[stop.variant]["loss"], 100 * trades[stop.variant]["gain"]))
