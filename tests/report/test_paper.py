"""The technical report: what it says, in which words, and that no text gets out of hand."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from shutil import which
from string import Formatter
from typing import Any

import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, sources, study, with_outcomes

from contrapeso.errors import StudyError
from contrapeso.report.measurement import Check, Measurement, Sources
from contrapeso.report.paper import paper_data, render_paper
from contrapeso.report.paper_blocks import MOST_LINES, breakable, excerpt
from contrapeso.report.paper_examples import Change, chosen, runs
from contrapeso.report.paper_method import _WITHOUT_EFFECT
from contrapeso.report.paper_words import TEXTS, compose, paper_words
from contrapeso.report.summary import summarize
from contrapeso.settings import LoraSettings, RunSettings
from contrapeso.tasks.base import Item, Outcome

LANGUAGES = tuple(TEXTS)
FEW = 300  # resamples; the numbers need not be fine here
ENGLISH = re.compile(r"\b([Tt]he|of|and|is|are|with|by|from|was|were|not|which|each|items|points)\b")
SETTINGS = {
    "model": {"id": "org/model", "revision": "abc123", "quantization": "nf4"},
    "target": {
        "data": "pocket",
        "limit": None,
        "shots": 2,
        "schema_style": "ddl",
        "max_new_tokens": 77,
        "leave_out": [],
    },
    "general": {"data": "/data/mmlu", "shots": 4, "limit_per_subject": 9},
    "runs": [
        RunSettings(name=RUN_1, rank=13).model_dump(mode="json"),
        RunSettings(name=RUN_2, rank=13, learning_rate=3e-5).model_dump(mode="json"),
    ],
}
PROVENANCE = {"inputs": {"dtype": "bfloat16"}, "versions": {"contrapeso": "9.8.7"}}
TRAINING = {RUN_1: [{"step": step, "loss": 2.0 - step / 50} for step in range(1, 51)]}


def texts(value: Any) -> Iterator[str]:
    """Every text in JSON-ready values."""
    if isinstance(value, str):
        yield value
    of = [value[key] for key in value if key != "kind"] if isinstance(value, Mapping) else value
    for inner in of if isinstance(of, list) else ():
        yield from texts(inner)


def told(summary: Mapping[str, Any], of: Sources) -> str:
    """All that the paper says, a block a line."""
    data = paper_data(summary, of, figures=[])
    return "\n".join(
        "".join(texts(block)) for block in (data["made_by"], data["abstract"], *data["body"], *data["appendix"])
    )


def printed(pdf: bytes, folder: Path, *options: str) -> str:
    """The text that a reader of the PDF sees."""
    if which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    file = folder / "paper.pdf"
    file.write_bytes(pdf)
    command = ["pdftotext", *options, file, "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def points(fraction: float) -> str:
    """A difference as the paper prints it, reckoned here anew."""
    rounded = f"{abs(100 * fraction):.1f}"
    return rounded if float(rounded) == 0 else ("+" if fraction > 0 else "\u2212") + rounded


@pytest.mark.parametrize("language", LANGUAGES)
def test_paper_prints_the_numbers_of_the_summary(language: str, tmp_path: Path) -> None:
    summary = summarize(FACTS, study(), resamples=FEW)
    pdf = render_paper(summary, sources(study(), language=language))
    text = "".join(printed(pdf, tmp_path, "-layout").split())
    wanted = [f"{100 * entry['accuracy']:.1f}" for tasks in summary["variants"].values() for entry in tasks.values()]
    wanted += [points(row["delta"]) for row in summary["comparisons"]]
    wanted += [f"[{points(row['ci'][0])},{points(row['ci'][1])}]" for row in summary["comparisons"]]
    wanted += [f"{row['exchange_rate']:.2f}".replace("-", "\u2212") for row in summary["tradeoff"]]
    wanted += [str(row["lost"]) for row in summary["comparisons"]]
    if language == "pt-BR":
        wanted = [number.replace(",", ";").replace(".", ",") for number in wanted]
    assert len(wanted) > 20
    assert [number for number in wanted if number not in text] == []


def test_paper_says_the_verdict_in_its_abstract() -> None:
    summary = summarize(FACTS, study(), resamples=FEW)
    for language, words in (("en", "gain of"), ("pt-BR", "ganho de")):
        abstract = paper_data(summary, sources(study(), language=language), figures=[])["abstract"]
        gain = f"{100 * summary['tradeoff'][0]['gain']:.1f}"
        assert words in abstract and (gain if language == "en" else gain.replace(".", ",")) in abstract


@pytest.mark.parametrize("language", LANGUAGES)
def test_withheld_numbers_are_nowhere_and_the_check_is_named(language: str, tmp_path: Path) -> None:
    failed = Check("below_chance", "fail", "misread", ((RUN_2, "mmlu"),))
    summary = summarize(FACTS, study(), checks=[failed], resamples=FEW)
    pdf = render_paper(summary, sources(study(), language=language))
    text = "".join(printed(pdf, tmp_path, "-layout").split())
    entry = summary["variants"][RUN_2]["mmlu"]
    row = next(row for row in summary["comparisons"] if (row["variant"], row["task"]) == (RUN_2, "mmlu"))
    numbers = [f"[{100 * entry['ci'][0]:.1f},{100 * entry['ci'][1]:.1f}]"]
    numbers += [f"[{points(row['ci'][0])},{points(row['ci'][1])}]"]
    numbers += [f"[{100 * part['ci'][0]:.1f},{100 * part['ci'][1]:.1f}]" for part in entry["categories"].values()]
    if language == "pt-BR":
        numbers = [number.replace(",", ";").replace(".", ",") for number in numbers]
    kept = summarize(FACTS, study(), resamples=FEW)
    shown = "".join(printed(render_paper(kept, sources(study(), language=language)), tmp_path, "-layout").split())
    assert len(numbers) == 6 and all(number in shown for number in numbers)  # without the audit they are there
    assert [number for number in numbers if text.count(number) >= shown.count(number)] == []
    words = paper_words(language)
    assert "".join(words["not_valid"].split()) in text and "".join(words.check("below_chance").split()) in text


def test_the_examples_are_not_taken_from_withheld_answers() -> None:
    def blocks(*affects: tuple[str, str]) -> list[dict[str, Any]]:
        checks = [Check("leaked_items", "fail", "leaked", affects)] if affects else []
        body = paper_data(summarize(FACTS, study(), checks=checks, resamples=FEW), sources(study()), figures=[])["body"]
        return [block for block in body if block["kind"] == "example"]

    assert len(blocks()) == 6
    labels = {row["label"] for block in blocks((RUN_2, "spider")) for row in block["rows"]}
    assert RUN_2 not in labels and RUN_1 in labels
    assert blocks(*((m.variant, m.task) for m in study())) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_paper_is_the_same_twice_and_is_pdf_a(language: str) -> None:
    summary, of = summarize(FACTS, study(), resamples=FEW), sources(study(), language=language, training=TRAINING)
    paper = render_paper(summary, of)
    assert paper == render_paper(summary, of)
    assert paper.startswith(b"%PDF-1.7") and b"pdfaid:part>2<" in paper and b"pdfaid:conformance>B<" in paper


def test_paper_of_an_unknown_language_is_refused() -> None:
    with pytest.raises(StudyError, match="no report in language 'xx'"):
        render_paper(summarize(FACTS, study(), resamples=FEW), sources(study(), language="xx"))


def marks(text: str | tuple[str, ...]) -> set[str]:
    whole = text if isinstance(text, str) else " ".join(text)
    return {name for _, name, _, _ in Formatter().parse(whole) if name}


def test_every_language_says_the_same_things_with_the_same_values() -> None:
    for other in LANGUAGES[1:]:
        for kind in ("texts", "counted", "settings", "checks", "statuses"):
            assert TEXTS["en"][kind].keys() == TEXTS[other][kind].keys()
        for kind in ("texts", "counted"):
            for name, text in TEXTS["en"][kind].items():
                assert marks(text) == marks(TEXTS[other][kind][name]), name
    assert TEXTS["pt-BR"]["check_names"].keys() == TEXTS["pt-BR"]["checks"].keys()


def test_every_setting_and_every_check_has_words() -> None:
    from contrapeso.audit import CHECKS, trained_elsewhere

    for language in LANGUAGES:
        assert LoraSettings.model_fields.keys() - set(_WITHOUT_EFFECT) <= TEXTS[language]["settings"].keys()
        assert TEXTS[language]["checks"].keys() == {check.__name__ for check in (*CHECKS, trained_elsewhere)}


def test_a_paper_in_portuguese_has_no_english_left_in_it() -> None:
    of = sources(study(), language="pt-BR", settings=SETTINGS, provenance=PROVENANCE, training=TRAINING)
    checks = [Check("letter_rate", "ok", "fine"), Check("leaked_items", "ok", "fine")]
    unclear = replace(FACTS, margin=0.0001)
    data = paper_data(summarize(unclear, study(), checks=checks, resamples=FEW), of, figures=["tradeoff", "training"])
    ours = [text for text in texts(data["body"]) if not text.startswith(("SELECT", "What about", "option "))]
    found = {text: words for text in [*ours, data["abstract"]] if (words := ENGLISH.findall(text))}
    assert found == {}
    assert ENGLISH.search(
        paper_data(summarize(FACTS, study(), resamples=FEW), sources(study()), figures=[])["abstract"]
    )


def test_every_reference_formula_and_label_in_the_texts_exists() -> None:
    templates = resources.files("contrapeso.report").joinpath("templates")
    references = set(re.findall(r"^(\w+):$", templates.joinpath("paper.yml").read_text("utf-8"), re.MULTILINE))
    formulas = set(re.findall(r"^  (\w+): \$", templates.joinpath("formulas.typ").read_text("utf-8"), re.MULTILINE))
    used = {mark for text in TEXTS["en"]["texts"].values() for mark in marks(text)}
    assert {mark[1:] for mark in used if mark[0] == "@"} == references
    assert {mark[1:] for mark in used if mark[0] == "="} == formulas


def test_a_value_is_never_read_as_a_mark() -> None:
    assert compose("by {who} {@wilson1927}", {"who": "{@x} {=y} {0}"}) == [
        "by ",
        "{@x} {=y} {0}",
        " ",
        {"cite": "wilson1927"},
    ]


def test_method_tells_the_settings_of_this_study() -> None:
    facts = replace(FACTS, base_model="/home/someone/models/tuned", train_examples=4321)
    of = sources(study(), settings=SETTINGS, provenance=PROVENANCE, training=TRAINING)
    text = told(summarize(facts, study(), resamples=FEW), of)
    for words in ("rank 13", "4,321 examples", "NF4", "bfloat16", "abc123", "77 tokens", "CREATE TABLE", "9.8.7"):
        assert words in text
    assert "2 solved examples" in text and "4 solved questions" in text and "2 × 10⁻⁴" in text and "3 × 10⁻⁵" in text
    assert "480 questions about 12 databases" in text and "800 questions in 8 subjects" in text
    assert "model is tuned," in text and "/home" not in text and "/data" not in text
    assert "1.940" in text and "1.040" in text  # mean loss of the first and the last five of fifty steps


def test_paper_of_a_study_without_settings_leaves_out_what_it_does_not_know() -> None:
    text = told(summarize(FACTS, study(), resamples=FEW), sources(study()))
    assert "low-rank" not in text and "tokens at the latest" not in text and "480 questions" in text


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_paper_of_an_unfinished_study_is_written(kept: int) -> None:
    measured = study()[:kept]
    summary = summarize(FACTS, measured, complete=False, resamples=FEW)
    assert "not complete" in told(summary, sources(measured))
    assert render_paper(summary, sources(measured)).startswith(b"%PDF")


def change(number: int, *, reason: str, lost: bool = False, question: str = "q") -> Change:
    item = Item(f"dev/{number:04d}", "db", question, "SELECT 1")
    right = Outcome(item.id, "db", "SELECT 1", "SELECT 1", True, "ok", "", 1, False, True)
    wrong = replace(right, answer="SELECT 2", correct=False, reason=reason)
    return Change(item, right, wrong) if lost else Change(item, wrong, right)


def test_examples_are_the_first_short_ones_of_the_most_frequent_reasons() -> None:
    changes = [
        change(0, reason="syntax"),
        change(1, reason="timeout", question="long " * 200),
        change(2, reason="timeout"),
        change(3, reason="timeout"),
        change(4, reason="empty"),
        change(5, reason="empty"),
        change(6, reason="empty"),
        change(7, reason="wrong_order", lost=True),
    ]
    assert [each.item.id for each in chosen(changes)] == ["dev/0004", "dev/0002", "dev/0007"]


def test_multiple_choice_examples_are_those_whose_right_answer_was_surest() -> None:
    def asked(number: int, sure: float, *, lost: bool) -> Change:
        item = Item(f"s/{number}", "s", "q", "A", ("a", "b"))
        right = Outcome(item.id, "s", "A", "A", True, "ok", "", 1, False, True, log_probabilities=(-sure, -3.0))
        wrong = replace(right, answer="B", correct=False, log_probabilities=(-9.0, -0.001))
        return Change(item, right, wrong) if lost else Change(item, wrong, right)

    changes = [asked(0, 1.0, lost=True), asked(1, 0.1, lost=True), asked(2, 0.5, lost=False), asked(3, 0.4, lost=False)]
    assert [each.item.id for each in chosen(changes)] == ["s/3", "s/1"]


def test_a_query_is_whole_and_what_the_gold_lacks_is_marked() -> None:
    shown = runs("SELECT name FROM b WHERE x = 'it''s'", "select name from a")
    assert "".join(text for _, text, _ in shown) == "SELECT name FROM b WHERE x = 'it''s'"
    assert "".join(text for _, text, marked in shown if marked).split() == ["b", "WHERE", "x", "=", "'it''s'"]
    assert not any(marked for _, _, marked in runs("SELECT 1", ""))


def test_long_answers_are_cut_with_a_mark_and_long_words_may_break() -> None:
    words = paper_words("en")
    assert excerpt("x" * 100_000, 50, words) == ("x" * 50, " … [cut: 100,000 characters in all]")
    assert excerpt("a\n\n  \nb\r\nc", 50, words) == ("a\nb\nc", "")
    assert excerpt("a\n" * 20, 500, words) == ("\n".join("a" * MOST_LINES), " … [cut: 6 more lines]")
    assert breakable("SELECT name") == "SELECT name"
    assert breakable("x" * 30).replace("\u200b", "") == "x" * 30
    assert max(map(len, breakable("x" * 300).split("\u200b"))) < 20


HOSTILE = '#panic("typst") $x$ *b* @wilson1927 `c` [d] \\ // {=n} <script>\x00\x07\u202e\u2028'


def hostile_study() -> list[Measurement]:
    """A run whose name, answers and details are made to break a page: markup, control characters, endless words."""

    def change(index: int, outcome: Outcome) -> Outcome:
        shown = {"rows": [[HOSTILE, "w" * 60] * 4], "row_count": 1, "column_count": 8}
        answer = (HOSTILE + "y" * 100_000, "\n" * 100_000 + HOSTILE, "SELECT" + "('" * 5_000, HOSTILE * 20)[index % 4]
        broken = replace(outcome, detail="d" * 1_000 + HOSTILE, results={"gold": shown, "predicted": shown})
        return broken if outcome.correct else replace(broken, answer=answer)

    return [
        with_outcomes(m if m.variant != RUN_1 else replace(m, variant="R" * 80 + HOSTILE[:30]), change) for m in study()
    ]


def test_hostile_text_is_printed_as_text_and_nothing_runs_over_the_margin(tmp_path: Path) -> None:
    measured = hostile_study()
    facts = replace(FACTS, name=HOSTILE, base_model=HOSTILE + "m" * 300)
    of = sources(measured, provenance={"n" * 200: "v" * 500, "note": HOSTILE})
    items = {
        task: {key: replace(item, question=HOSTILE + "q" * 10_000) for key, item in by_id.items()}
        for task, by_id in of.items.items()
    }
    summary = summarize(facts, measured, checks=[Check("leaked_items", "warn", HOSTILE * 9)], resamples=FEW)
    pdf = render_paper(summary, replace(of, items=items))
    assert b"pdfaid:part>2<" in pdf  # every character has a glyph, control characters are spelt out
    flat = "".join(printed(pdf, tmp_path, "-raw").replace("\u200b", "").split())
    assert '#panic("typst")$x$*b*@wilson1927`c`[d]\\//{=n}<script>⟨U+0000⟩⟨U+0007⟩⟨U+202E⟩⟨U+2028⟩' in flat
    assert "[cut:" in flat
    boxes = printed(pdf, tmp_path, "-bbox")
    edges = [float(edge) for edge in re.findall(r'xMax="([\d.]+)"', boxes)]
    assert len(edges) > 2_000 and max(edges) < 595.3 - 60  # A4 less the margin, with room for a hanging comma
    assert boxes.count("<page ") < 30


def test_names_in_any_script_are_printed(tmp_path: Path) -> None:
    foreign = [replace(m, variant="运行 😀 שלום") if m.variant == RUN_1 else m for m in study()]
    assert render_paper(summarize(FACTS, foreign, resamples=FEW), sources(foreign)).startswith(b"%PDF")
    latin = [replace(m, variant="Žluťoučký Ελληνικά Русский") if m.variant == RUN_1 else m for m in study()]
    pdf = render_paper(summarize(FACTS, latin, resamples=FEW), sources(latin))
    assert b"pdfaid:part>2<" in pdf
    assert "ŽluťoučkýΕλληνικάРусский" in "".join(printed(pdf, tmp_path).split())


def test_left_out_items_and_a_baseline_prompted_otherwise_are_told() -> None:
    measured = [with_outcomes(m, lambda i, o: o.apart("a broken database") if i < 3 else o) for m in study()]
    text = told(summarize(FACTS, measured, resamples=FEW), sources(measured))
    assert "3 questions of Spider (a broken database)" in text
    assert f"{BASE} (3-shot) is the base model prompted otherwise (3-shot)" in text


def test_what_the_template_gets_is_json() -> None:
    data = paper_data(
        summarize(FACTS, study(), resamples=FEW), sources(study(), settings=SETTINGS), figures=["accuracy"]
    )
    assert json.loads(json.dumps(data)) == data
