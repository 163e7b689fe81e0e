"""Figures, page and paper: what they show, what they must not execute, and that they are the same twice."""

import json
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from shutil import which
from xml.etree import ElementTree

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, sources, study, with_outcomes

from contrapeso.report.figures import PALETTE, charts, to_png, to_svg
from contrapeso.report.markdown import to_markdown
from contrapeso.report.measurement import Check, Measurement, Sources
from contrapeso.report.page import render_page
from contrapeso.report.paper import render_paper
from contrapeso.report.summary import summarize
from contrapeso.report.write import write_report

HOSTILE = '<script>alert(1)</script> & "q" #panic("typst") $x$ *b* @ref `c` [d] \\ '
PROVENANCE = {"versions": {"contrapeso": "0"}, "note": HOSTILE, "seeds": [1, 2]}
SOURCES = sources(study(), provenance=PROVENANCE)


def hostile_study() -> list[Measurement]:
    """Run 1 is named, grouped and explained in markup of every kind."""
    renamed = [replace(m, variant=HOSTILE) if m.variant == RUN_1 else m for m in study()]
    return [
        with_outcomes(m, lambda i, o: replace(o, group=o.group + HOSTILE, reason=o.reason + HOSTILE)) for m in renamed
    ]


class Reader(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_figures_carry_every_variant_and_its_colour() -> None:
    drawn = charts(summarize(FACTS, study()))
    assert list(drawn) == ["tradeoff", "accuracy"]
    svg = to_svg(drawn["tradeoff"])
    ElementTree.fromstring(svg)
    assert all(words in svg for words in (BASE, RUN_1, RUN_2, "lost on MMLU, points", *PALETTE[:2]))
    assert to_png(drawn["accuracy"]).startswith(b"\x89PNG")


def test_tradeoff_figure_places_a_run_at_its_loss_and_gain() -> None:
    summary = summarize(FACTS, study())
    specification = json.loads(charts(summary)["tradeoff"].to_json())
    (runs,) = {json.dumps(rows) for rows in specification["datasets"].values() if rows[0].get("name") == RUN_1}
    first, row = json.loads(runs)[0], summary["tradeoff"][0]
    assert (first["x"], first["y"]) == pytest.approx((100 * row["loss"], 100 * row["gain"]))
    assert (first["x1"], first["x2"]) == pytest.approx([100 * end for end in row["loss_ci"]])


def test_worthless_numbers_are_not_drawn() -> None:
    failed = Check("below_chance", "fail", "low", ((RUN_2, "mmlu"), (RUN_2, "spider")))
    drawn = charts(summarize(FACTS, study(), checks=[failed]))
    assert all(RUN_1 in to_svg(chart) and RUN_2 not in to_svg(chart) for chart in drawn.values())
    nothing = Check("below_chance", "fail", "low", tuple((m.variant, m.task) for m in study()))
    assert charts(summarize(FACTS, study(), checks=[nothing])) == {}


def test_page_says_the_verdict_first_and_needs_nothing_from_outside() -> None:
    summary = summarize(FACTS, study())
    page = render_page(summary, SOURCES)
    reader = read(page)
    body = reader.text[reader.text.index("contrapeso · counterweight", 60) :]
    assert body.split("\n")[1].startswith("Fine-Tuned Run 1: gain of")
    assert "link" not in reader.tags and all(link.startswith("#") for link in reader.links)
    assert "url(" not in page and "@import" not in page
    assert reader.tags.count("svg") == 2 and "prefers-color-scheme" in page and 'name="viewport"' in page


def test_page_shows_hostile_text_and_runs_none_of_it() -> None:
    facts = replace(FACTS, name=HOSTILE)
    checks = [Check("below_chance", "warn", HOSTILE)]
    reader = read(render_page(summarize(facts, hostile_study(), checks=checks), SOURCES))
    assert reader.tags.count("script") == 2  # the packed items and the page's own
    # title, heading, sentence, tables, audit, details, provenance
    assert reader.text.count("<script>alert(1)</script>") > 10


def test_page_of_a_withheld_number_gives_the_reason_in_its_place() -> None:
    failed = Check("below_chance", "fail", "misread", ((RUN_2, "mmlu"),))
    summary = summarize(FACTS, study(), checks=[failed])
    text = read(render_page(summary, Sources([]))).text
    entry = summary["variants"][RUN_2]["mmlu"]
    assert "not valid: below_chance: misread" in text
    assert f"{100 * entry['accuracy']:.1f} % [{100 * entry['ci'][0]:.1f}" not in text


def test_markdown_shows_hostile_names_as_text() -> None:
    text = to_markdown(summarize(replace(FACTS, name=HOSTILE), hostile_study()))
    assert "<script>" not in text.replace("\\<", "") and "\\<script\\>" in text
    widths = {line.count("|") for line in to_markdown(summarize(FACTS, study())).splitlines() if line.startswith("|")}
    assert widths == {5, 6, 10}


def test_paper_is_the_same_twice_and_is_pdf_a() -> None:
    summary = summarize(FACTS, study())
    paper = render_paper(summary, SOURCES)
    assert paper == render_paper(summary, SOURCES)
    assert paper.startswith(b"%PDF-1.7") and b"pdfaid:part>2<" in paper and b"pdfaid:conformance>B<" in paper


def test_paper_prints_hostile_text_as_text(tmp_path: Path) -> None:
    if which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    facts = replace(FACTS, name=HOSTILE, base_model=HOSTILE)
    checks = [Check("below_chance", "warn", HOSTILE)]
    file = tmp_path / "paper.pdf"
    file.write_bytes(render_paper(summarize(facts, hostile_study(), checks=checks), SOURCES))
    text = subprocess.run(["pdftotext", "-raw", file, "-"], capture_output=True, text=True, check=True).stdout
    flat = "".join(text.split())
    assert flat.count("<script>alert(1)</script>") >= 3
    assert '#panic("typst")$x$*b*@ref`c`[d]\\' in flat


@pytest.mark.parametrize("kept", [2, 7])
def test_report_writes_every_promised_file_and_leaves_no_half_written_one(tmp_path: Path, kept: int) -> None:
    measurements = study()[:kept]
    summary = summarize(FACTS, measurements)
    write_report(tmp_path, summary, replace(SOURCES, measurements=measurements))
    assert {"summary.json", "report.md", "report.html", "report.pdf", "figures", "csv"} == {
        p.name for p in tmp_path.iterdir()
    }
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == summary
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_report_of_a_study_whose_every_number_is_withheld_is_still_written(tmp_path: Path) -> None:
    failed = Check("leaked_items", "fail", "all leaked", tuple((m.variant, m.task) for m in study()))
    write_report(tmp_path, summarize(FACTS, study(), checks=[failed]), sources(study()))
    assert "cannot be weighed" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


def test_a_name_that_the_fonts_of_the_paper_lack_does_not_cost_the_report() -> None:
    foreign = [replace(m, variant="运行 😀") if m.variant == RUN_1 else m for m in study()]
    assert render_paper(summarize(FACTS, foreign, resamples=200), SOURCES).startswith(b"%PDF")
