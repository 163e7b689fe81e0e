"""The static page: what it says, in which language, and what it forbids itself."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, SUBJECTS, sources, spider, study, with_outcomes

from contrapeso.errors import StudyError
from contrapeso.report import text
from contrapeso.report.figures import charts, to_svg, training_losses
from contrapeso.report.measurement import Check
from contrapeso.report.page import render_page
from contrapeso.report.page_tables import part_tables, reason_tables
from contrapeso.report.page_words import TEXTS, verdict_sentences, words_in
from contrapeso.report.summary import summarize
from contrapeso.report.tradeoff_figure import pareto_front

HISTORY = [{"step": step, "loss": 3 - step / 60} for step in range(1, 101)]
HOSTILE = "</script><script>alert(1)</script><!-- \u202e \x00 \ud800"


class Reader(HTMLParser):
    """Tags with their attributes, and the cells of every table by its caption."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._rows: list[list[str]] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._open in ("style", "script"):
            return
        self.text += data
        if self._open == "caption" and data.strip():
            self.tables[data.strip()] = self._rows
        elif self._rows and self._rows[-1]:
            self._rows[-1][-1] += data.strip() + (" " if self._open == "small" else "")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""
        if tag == "table":
            self._rows = []


def page_of(measurements=None, *, checks=(), **other) -> Reader:  # type: ignore[no-untyped-def]
    measurements = measurements or study()
    reader = Reader()
    reader.feed(
        render_page(summarize(FACTS, measurements, checks=checks, resamples=300), sources(measurements, **other))
    )
    return reader


def test_the_page_may_run_its_own_script_and_fetch_nothing() -> None:
    html = render_page(summarize(FACTS, study(), resamples=300), sources(study()))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none';") and "connect" not in policy and "unsafe-eval" not in policy
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(src|href)=["'](?!#)""", html) and "@import" not in html and "url(" not in html


def test_headings_landmarks_captions_and_labels_are_there() -> None:
    reader = page_of(training={RUN_1: HISTORY})
    names = [name for name, _ in reader.tags]
    assert names.count("h1") == names.count("main") == names.count("nav") == 1
    assert names.count("table") == names.count("caption") > 6
    assert names.count("svg") == names.count("desc") == 3
    assert all(attributes.get("role") == "img" for name, attributes in reader.tags if name == "svg")
    targets = {attributes["href"] for name, attributes in reader.tags if name == "a"}
    assert targets <= {f"#{attributes['id']}" for _, attributes in reader.tags if attributes.get("id")}


def test_parts_are_sorted_by_the_change_of_the_first_run() -> None:
    summary = summarize(FACTS, study(), resamples=300)
    (subjects,) = [table for table in part_tables(summary, words_in("en")) if table.title == "MMLU by subject"]
    before, after = (summary["variants"][variant]["mmlu"]["groups"] for variant in (BASE, RUN_1))
    changes = [after[row[0].text]["accuracy"] - before[row[0].text]["accuracy"] for row in subjects.rows]
    assert changes == sorted(changes) and {row[0].text for row in subjects.rows} == set(SUBJECTS)
    column = list(subjects.head).index(f"Δ {RUN_1}")
    assert [row[column].sort for row in subjects.rows] == pytest.approx(changes)


def test_hardness_has_its_own_table_in_words_of_the_language() -> None:
    summary = summarize(FACTS, study(), resamples=300)
    for accuracy, tasks in zip(
        (0.2, 0.5, 0.4, 0.3), (t for t in summary["variants"].values() if "spider" in t), strict=True
    ):
        part = {"n": 10, "correct": round(10 * accuracy), "accuracy": accuracy, "ci": [0.1, 0.9]}
        tasks["spider"]["hardness"] = {"easy": part, "extra": part | {"accuracy": 0.2}}
    table = part_tables(summary, words_in("pt-BR"))[0]
    assert table.title == "Spider por dificuldade"
    assert [row[0].text for row in table.rows] == ["extra", "fácil"]
    assert [row[4].text for row in table.rows] == ["0,0", "+30,0"]


def test_reasons_are_counted_before_and_after() -> None:
    summary = summarize(FACTS, study(), resamples=300)
    (table,) = reason_tables(summary, words_in("en"))
    row = next(row for row in table.rows if row[0].text == "unknown column")
    counts = {
        variant: tasks["spider"]["reasons"]["unknown_column"]
        for variant, tasks in summary["variants"].items()
        if "spider" in tasks
    }
    shown = dict(zip(table.head, row, strict=True))
    assert {variant: int(shown[variant].text) for variant in counts} == counts


def test_a_withheld_number_is_nowhere_on_the_page() -> None:
    failed = Check("below_chance", "fail", "misread", ((RUN_2, "mmlu"),))
    reader = page_of(checks=[failed])
    whole = summarize(FACTS, study(), resamples=300)["variants"][RUN_2]["mmlu"]
    assert f"{100 * whole['accuracy']:.1f} % [" not in reader.text.replace("\xa0", " ")
    rows = {row[0]: row for row in reader.tables["Variants"]}
    assert rows[RUN_2][3].startswith("not valid") and "misread" in rows[RUN_2][3] and rows[RUN_2][4] == "not valid"
    assert all("not valid" in " ".join(row) for row in reader.tables["MMLU by category"][1:])


def test_a_warning_stands_beside_its_number() -> None:
    reader = page_of(checks=[Check("letter_rate", "warn", "often no letter", ((RUN_1, "mmlu"),))])
    rows = {row[0]: row for row in reader.tables["Variants"]}
    assert "warning: letter rate" in rows[RUN_1][3] and "warning" not in rows[RUN_2][3]
    assert "1 warn" in reader.text


def test_hostile_names_are_text_and_every_character_of_them_is_visible() -> None:
    renamed = [replace(m, variant=HOSTILE) if m.variant == RUN_1 else m for m in study()]
    hostile = [
        with_outcomes(m, lambda i, o: replace(o, group=f"{o.group}{HOSTILE}", reason=o.reason + HOSTILE))
        for m in renamed
    ]
    html = render_page(
        summarize(replace(FACTS, name=HOSTILE), hostile, resamples=100),
        sources(hostile, provenance={HOSTILE: HOSTILE}, training={HOSTILE: HISTORY}),
    )
    assert html.count("<script") == 2 and html.count("</script>") == 2
    assert not re.search("[\u202e\x00\ud800]", html) and "⟨U+202E⟩" in html
    html.encode("utf-8")


def test_a_study_of_one_measurement_and_one_of_withheld_numbers_make_a_page() -> None:
    assert "no trade-off" in page_of(study()[:1]).text
    everything = Check("leaked_items", "fail", "all leaked", tuple((m.variant, m.task) for m in study()))
    assert "cannot be weighed" in page_of(checks=[everything]).text


def test_a_study_of_one_database_makes_a_page_that_names_its_interval() -> None:
    assert "Accuracies: Wilson." in page_of([spider(BASE, 0.3, seed=1, databases=1)]).text


def test_english_sentences_are_those_of_the_summary() -> None:
    for checks in ([], [Check("below_chance", "fail", "low", ((RUN_2, "mmlu"),))]):
        summary = summarize(FACTS, study(), checks=checks, resamples=300)
        assert verdict_sentences(summary, words_in("en")) == text.verdict_sentences(summary)


def test_languages_have_the_same_texts_with_the_same_blanks() -> None:
    english, portuguese = TEXTS["en"], TEXTS["pt-BR"]
    for kind in ("page", "explorer", "verdicts"):
        assert english[kind].keys() == portuguese[kind].keys()
        for name, words in english[kind].items():
            assert set(re.findall(r"{(\w+)}", words)) == set(re.findall(r"{(\w+)}", portuguese[kind][name])), name
    assert english["names"].keys() <= portuguese["names"].keys()


def test_portuguese_writes_words_and_numbers_its_own_way() -> None:
    reader = page_of(language="pt-BR", training={RUN_1: HISTORY})
    assert ("html", {"lang": "pt-BR"}) in reader.tags
    assert re.search(r"Fine-Tuned Run 1: ganho de \d+,\d pontos \[\d+,\d; \d+,\d\] no Spider", reader.text)
    assert "perda no MMLU, pontos" in reader.text and "chute" in reader.text
    assert "Verdict" not in reader.text and "lost" not in reader.text


def test_an_unknown_language_is_refused_by_name() -> None:
    with pytest.raises(StudyError, match=r"'fr'.*en, pt-BR"):
        page_of(language="fr")


def test_training_losses_keep_their_mean_however_many_steps_there_are() -> None:
    long = [{"step": step, "loss": step / 4000} for step in range(1, 4001)] + [{"step": 4000, "eval_loss": 1.0}]
    rows = training_losses({RUN_1: long})
    assert len(rows) <= 400 and sum(row["loss"] for row in rows) / len(rows) == pytest.approx(0.5, abs=0.01)
    # A straight line is its own running mean, to its very ends.
    assert [row["mean"] for row in rows] == pytest.approx([row["loss"] for row in rows])
    assert "training" not in charts(summarize(FACTS, study(), resamples=100), training={RUN_1: []})


def test_labels_of_near_points_lie_apart_and_keep_lines_off_themselves() -> None:
    first = {"variant": RUN_1, "loss": 0.002, "gain": 0.10, "loss_ci": [-0.007, 0.011], "gain_ci": [0.03, 0.15]}
    second = {"variant": RUN_2, "loss": 0.011, "gain": 0.09, "loss_ci": [-0.005, 0.026], "gain_ci": [-0.09, 0.39]}
    summary = summarize(FACTS, study(), resamples=100)
    summary["tradeoff"] = [row | {"valid": True, "pareto": "uncertain"} for row in (first, second)]
    picture = ElementTree.fromstring(to_svg(charts(summary)["tradeoff"]))
    texts = [
        (float(x), float(y), element.get("fill"), element.text)
        for element in picture.iter("{http://www.w3.org/2000/svg}text")
        if element.text in (BASE, RUN_1, RUN_2)
        for x, y in [re.fullmatch(r"translate\(([-\d.]+),([-\d.]+)\)", element.get("transform", "")).groups()]
    ]
    # Each stands twice in one place: first in the colour of the paper, widened, then in its own.
    placed = {name: (x, y) for x, y, fill, name in texts if fill != "#ffffff"}
    halos = {name: (x, y) for x, y, fill, name in texts if fill == "#ffffff"}
    assert placed == halos and set(placed) == {BASE, RUN_1, RUN_2}
    heights = sorted(y for _, y in placed.values())
    assert min(b - a for a, b in pairwise(heights)) > 13


def test_a_legend_of_many_runs_is_no_wider_than_the_plot() -> None:
    runs = {f"Fine-Tuned Run {number} of a long name": HISTORY for number in range(5)}
    drawn = charts(summarize(FACTS, study(), resamples=100), training=runs)["training"]
    width, few = (
        float(ElementTree.fromstring(to_svg(chart)).get("width", ""))
        for chart in (drawn, charts(summarize(FACTS, study(), resamples=100), training={"a": HISTORY})["training"])
    )
    assert width == pytest.approx(few, abs=12)


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(0, 0), (1, 5), (2, 4)], [(0, 0), (1, 5)]),
        ([(0, 0), (-1, 3), (2, 2)], [(-1, 3)]),
        ([(0, 0), (0, 0), (1, 0)], [(0, 0)]),
        ([(0, 0), (3, 1), (3, 2), (5, 9)], [(0, 0), (3, 2), (5, 9)]),
    ],
)
def test_pareto_front_holds_what_nothing_beats(
    points: list[tuple[float, float]], front: list[tuple[float, float]]
) -> None:
    assert pareto_front(points) == front
