"""What further axes say in the summary: compared, priced, and told apart into forgetting and format."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from math import exp

import numpy as np
import pytest
from made_up_study import BASE, FACTS, RUN_1, RUN_2, mmlu, sources, spider, study

from contrapeso.report.axis_text import forgetting_sentences
from contrapeso.report.markdown import to_markdown
from contrapeso.report.measurement import Axis, Check, Measurement
from contrapeso.report.page import render_page
from contrapeso.report.page_words import words_in
from contrapeso.report.paper import paper_data
from contrapeso.report.summary import summarize
from contrapeso.report.tables import csv_files
from contrapeso.tasks.base import Outcome

WORDS, SHUFFLED = Axis("full_text", again="mmlu"), Axis("shuffled", again="mmlu")


def asked_again(measurement: Measurement, name: str, axis: Axis, kept: Sequence[bool] | None = None) -> Measurement:
    """The same questions another way; `kept` says which of them are right."""
    outcomes = [
        replace(outcome, correct=outcome.correct if kept is None else kept[place])
        for place, outcome in enumerate(measurement.outcomes)
    ]
    return Measurement(measurement.variant, name, "texts", outcomes, axis=axis)


def passages(variant: str, more: float, *, count: int = 40) -> Measurement:
    """A text of passages of which each has `more` nats a token than the base's, give or take."""
    generator = np.random.default_rng(len(variant))
    outcomes = []
    for place in range(count):
        tokens = 20 + 7 * place % 90
        nats = tokens * (2.0 + 0.01 * (place % 5) + (more + 0.02 * generator.normal() if more else 0.0))
        outcomes.append(
            Outcome(
                item=f"axes/wiki/{place:04d}",
                group="wiki",
                gold="",
                answer="",
                correct=False,
                reason="text",
                prompt_sha="same",
                prompt_tokens=1,
                truncated=False,
                stopped=True,
                value=nats,
                weight=tokens,
            )
        )
    return Measurement(variant, "wiki", "texts", outcomes, axis=Axis("perplexity"))


def letters(variant: str, right: int, n: int = 800) -> Measurement:
    """A general task of which the first so many questions are right."""
    whole = mmlu(variant, 1.0, seed=1)
    outcomes = [replace(outcome, correct=place < right) for place, outcome in enumerate(whole.outcomes[:n])]
    return replace(whole, outcomes=outcomes)


def told(by_letter: tuple[int, int], in_words: tuple[int, int], n: int = 800) -> dict:
    """The row of `forgetting` when base and run have so many right each way, the lost ones at the end."""
    measured = [spider(BASE, 0.3, seed=1), letters(BASE, by_letter[0], n)]
    measured += [spider(RUN_1, 0.5, seed=3), letters(RUN_1, by_letter[1], n)]
    axes = [
        asked_again(measured[1], "words", WORDS, [place < in_words[0] for place in range(n)]),
        asked_again(measured[3], "words", WORDS, [place < in_words[1] for place in range(n)]),
    ]
    (row,) = summarize(FACTS, measured, axes=axes, resamples=500)["forgetting"]
    return row


def test_axes_enter_no_number_of_target_and_general_task() -> None:
    axes = [asked_again(m, "words", WORDS) for m in study() if m.task == "mmlu"]
    bare, with_axes = summarize(FACTS, study()), summarize(FACTS, study(), axes=axes)
    assert {key: with_axes[key] for key in bare} == bare
    assert set(with_axes) - set(bare) == {"axes", "axes_tradeoff", "forgetting"}


def test_an_axis_of_questions_is_compared_as_the_general_task_is() -> None:
    axes = [asked_again(m, "words", WORDS) for m in study() if m.task == "mmlu"]
    summary = summarize(FACTS, study(), axes=axes)
    general = [row for row in summary["comparisons"] if row["task"] == "mmlu"]
    for row, same in zip(summary["axes"], general, strict=True):
        for key in ("variant", "n", "delta", "lost", "gained", "p", "p_holm"):
            assert row[key] == same[key]
        assert row["verdict"].split(" (")[0] == same["verdict"].split(" (")[0]
        assert row["base"] == pytest.approx(summary["variants"][BASE]["mmlu"]["accuracy"])
        assert row["value"] == pytest.approx(summary["variants"][row["variant"]]["mmlu"]["accuracy"])


def test_a_text_is_compared_in_nats_a_token_over_all_its_tokens() -> None:
    axes = [passages(BASE, 0.0), passages(RUN_1, 0.05), passages(RUN_2, 0.0)]
    rows = {row["variant"]: row for row in summarize(FACTS, study(), axes=axes)["axes"]}
    before, after = (sum(o.value for o in m.outcomes) for m in axes[:2])
    tokens = sum(o.weight for o in axes[0].outcomes)
    assert rows[RUN_1]["unit"] == "nats per token"
    assert rows[RUN_1]["delta"] == pytest.approx((after - before) / tokens)
    assert rows[RUN_1]["base_perplexity"] == pytest.approx(exp(before / tokens))
    assert rows[RUN_1]["perplexity"] == pytest.approx(exp(after / tokens))
    assert rows[RUN_1]["verdict"] == "loss" and rows[RUN_1]["ci"][0] > 0  # more nats are worse
    assert rows[RUN_2]["delta"] == 0 and rows[RUN_2]["verdict"].startswith("not distinguishable")


def test_the_mean_counts_questions_of_its_own_once_and_no_question_twice() -> None:
    own, again = Axis("choices"), Axis("choices", again="arc")
    axes = [
        asked_again(m, name, axis)
        for name, axis in (("words", WORDS), ("arc", own), ("arc-letters", again))
        for m in study()
        if m.task == "mmlu"
    ]
    summary = summarize(FACTS, study(), axes=axes)
    rows = {row["axis"]: row for row in summary["axes_tradeoff"] if row["variant"] == RUN_2}
    assert list(rows) == ["words", "arc", "arc-letters", "mean"]
    assert rows["mean"]["averaged"] == ["mmlu", "arc"]
    (trade,) = [row for row in summary["tradeoff"] if row["variant"] == RUN_2]
    assert rows["mean"]["loss"] == pytest.approx((trade["loss"] + rows["arc"]["loss"]) / 2)
    assert rows["arc"]["exchange_rate"] == pytest.approx(trade["exchange_rate"])


@pytest.mark.parametrize(
    ("by_letter", "in_words", "word"),
    [
        ((720, 560), (560, 420), "knowledge"),  # the same share of what was known above guessing
        ((720, 560), (560, 556), "letter habit"),
        ((720, 300), (560, 500), "both"),
        ((720, 719), (560, 559), "no loss to explain"),
        ((720, 712), (560, 556), "not distinguishable at this n"),
        ((720, 560), (210, 205), "not distinguishable at this n"),  # in words the base is guessing
    ],
)
def test_the_word_follows_from_what_was_lost_by_letter_and_in_words(
    by_letter: tuple[int, int], in_words: tuple[int, int], word: str
) -> None:
    row = told(by_letter, in_words)
    assert row["word"] == word
    assert row["letters"]["loss"] == pytest.approx((by_letter[0] - by_letter[1]) / 800)
    assert row["words"]["loss"] == pytest.approx((in_words[0] - in_words[1]) / 800)
    assert row["difference"]["value"] == pytest.approx(row["letters"]["loss"] - row["words"]["loss"])
    assert row["words"]["above_guessing"] is (row["shares"] is not None)


def test_shares_are_losses_over_what_the_base_knew_above_guessing() -> None:
    row = told((720, 560), (560, 500))
    assert row["shares"]["letters"] == pytest.approx(160 / (720 - 200))
    assert row["shares"]["words"] == pytest.approx(60 / (560 - 200))
    assert row["shares"]["value"] == pytest.approx(160 / 520 - 60 / 360)


def test_a_few_questions_conclude_nothing() -> None:
    assert told((18, 14), (15, 15), n=20)["word"] == "not distinguishable at this n"


def test_shuffled_options_alone_say_what_the_order_did_and_no_more() -> None:
    axes = [asked_again(m, "order", SHUFFLED) for m in study() if m.task == "mmlu"]
    summary = summarize(FACTS, study(), axes=axes)
    row = summary["forgetting"][0]
    assert row["word"] == "not asked in words" and row["order"]["value"] == 0
    assert "full_text would tell" in forgetting_sentences(summary, words_in("en"))[0]


def test_without_the_general_questions_there_is_nothing_to_tell_apart() -> None:
    summary = summarize(FACTS, study(), axes=[passages(BASE, 0.0), passages(RUN_1, 0.05)])
    assert "forgetting" not in summary and summary["axes"]


def test_a_number_that_the_audit_withholds_is_withheld_here_too() -> None:
    axes = [asked_again(m, "words", WORDS) for m in study() if m.task == "mmlu"]
    failed = Check("different_prompts", "fail", "asked otherwise", affects=((RUN_1, "words"),))
    summary = summarize(FACTS, study(), axes=axes, checks=[failed])
    row, fine = summary["axes"]
    assert not row["valid"] and row["verdict"].startswith("not valid: ") and fine["valid"]
    assert [r["valid"] for r in summary["forgetting"]] == [False, True]
    assert [r["valid"] for r in summary["axes_tradeoff"]] == [False, True]
    assert f"{RUN_1} cannot be weighed" in forgetting_sentences(summary, words_in("en"))[0]
    (line,) = [line for line in csv_files(summary, sources(study()))["axes.csv"].splitlines() if RUN_1 in line]
    assert line.count("not valid") == 10  # every number and the verdict
    (cells,) = [line for line in to_markdown(summary).splitlines() if line.startswith(f"| {RUN_1} | words | general")]
    assert "%" not in cells


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_page_and_paper_say_it_in_their_language(language: str) -> None:
    axes = [asked_again(m, "words", WORDS) for m in study() if m.task == "mmlu"]
    axes += [passages(BASE, 0.0), passages(RUN_1, 0.05), passages(RUN_2, 0.5)]
    summary, told_of = summarize(FACTS, study(), axes=axes), replace(sources(study()), language=language)
    page, words = render_page(summary, told_of), words_in(language)
    section = page[page.index('<section id="axes">') :].partition("</section>")[0]
    for name in ("axes", "prices", "forgetting", "kind_full_text", "kind_perplexity"):
        assert words.page[name] in section
    for sentence in forgetting_sentences(summary, words):
        assert sentence in section
    english = re.compile(r"not distinguishable|full_text|general, in words")
    assert language == "en" or not english.search(section)
    data = str(paper_data(summary, told_of, figures=[]))
    assert words.page["axes"] in data and words.page["forgetting"] in data


def test_a_study_without_axes_has_no_section() -> None:
    summary = summarize(FACTS, study())
    assert 'id="axes"' not in render_page(summary, sources(study()))
    assert "axes.csv" not in csv_files(summary, sources(study()))
    assert "Other things" not in to_markdown(summary)


def test_the_csv_has_the_numbers_of_the_summary() -> None:
    summary = summarize(FACTS, study(), axes=[passages(BASE, 0.0), passages(RUN_1, 0.05)])
    (row,) = csv.DictReader(io.StringIO(csv_files(summary, sources(study()))["axes.csv"]))
    (want,) = summary["axes"]
    assert (row["axis"], row["kind"], row["variant"], row["lost"]) == ("wiki", "perplexity", RUN_1, "")
    assert [float(row[name]) for name in ("base", "delta", "ci_low", "p_holm")] == pytest.approx(
        [want["base"], want["delta"], want["ci"][0], want["p_holm"]]
    )
