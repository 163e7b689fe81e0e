"""What travels in the page: every item once, whatever text it holds, in less room than it is given."""

import json
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_study import BASE, FACTS, RUN_1, RUN_2, SHOTS, mmlu, sources, spider, study, with_outcomes

from contrapeso.report.explorer import ANSWER_LIMIT, PERCENT_ZERO, explorer
from contrapeso.report.highlight import code, marked_codes, tokens
from contrapeso.report.measurement import Measurement, Sources
from contrapeso.report.packing import cut, pack, unpack, visible
from contrapeso.report.page_words import words_in
from contrapeso.report.summary import summarize

ENGLISH = words_in("en")
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a\u2028b",
    "nul\x00nul",
    "half \ud800",
    "\u202egnp.exe",
]


def data_of(measurements: list[Measurement], *, limit: int = 10_000_000, **other) -> dict:  # type: ignore[no-untyped-def]
    made = explorer(summarize(FACTS, measurements, resamples=100), sources(measurements, **other), ENGLISH, limit=limit)
    return unpack(made.packed)


def stretches(text: str, codes: str) -> list[tuple[str, str]]:
    """(letter, text) of every run, read the way the page reads them."""
    found, at = [], 0
    for letter, length in re.findall(r"([a-zA-Z])(\d+)", codes):
        found.append((letter, text[at : at + int(length)]))
        at += int(length)
    assert at == len(text)
    return found


def test_every_item_travels_with_every_answer() -> None:
    measurements = study()
    task, other = data_of(measurements)["tasks"]
    assert (task["name"], other["name"]) == ("Spider", "MMLU")
    assert task["variants"][0] == BASE and set(task["variants"][1:]) == {
        m.variant for m in measurements if m.task == "spider"
    } - {BASE}
    for measurement in measurements:
        column = task if measurement.task == "spider" else other
        place = column["variants"].index(measurement.variant)
        assert column["id"] == [o.item for o in measurement.outcomes]
        assert column["correct"][place] == "".join(str(int(o.correct)) for o in measurement.outcomes)
        if column is task:
            assert [reply[0] for reply in task["reply"][place]] == [o.answer for o in measurement.outcomes]
            assert [task["reasons"][reply[3]] for reply in task["reply"][place]] == [
                o.reason.replace("_", " ") for o in measurement.outcomes
            ]
    assert [task["groups"][place] for place in task["group"]] == [o.group for o in measurements[0].outcomes]


def test_runs_come_before_baselines_prompted_otherwise() -> None:
    base, shots, run = spider(BASE, 0.3, seed=1), spider(SHOTS, 0.4, seed=2, note="3-shot"), spider(RUN_1, 0.5, seed=3)
    (task,) = data_of([shots, base, run])["tasks"]
    assert task["variants"] == [BASE, RUN_1, SHOTS]


def test_probabilities_are_the_softmax_of_the_options() -> None:
    measurement = mmlu(BASE, 0.6, seed=2)
    (task,) = data_of([measurement])["tasks"]
    for outcome, reply in zip(measurement.outcomes, task["reply"][0], strict=True):
        total = sum(math.exp(value) for value in outcome.log_probabilities)
        shares = [math.exp(value) / total for value in outcome.log_probabilities]
        assert reply[0] == outcome.answer and reply[1] == "1"
        assert [ord(character) - PERCENT_ZERO for character in reply[2:]] == pytest.approx(
            [100 * s for s in shares], abs=0.51
        )


def test_probabilities_that_are_no_numbers_are_left_out_and_the_letter_stays() -> None:
    broken = with_outcomes(mmlu(BASE, 0.6, seed=2), lambda i, o: replace(o, log_probabilities=(math.nan,) * 4))
    (task,) = data_of([broken])["tasks"]
    assert {len(reply) for reply in task["reply"][0]} == {2}


def test_items_that_one_variant_lacks_are_marked_unknown_and_those_left_out_say_why() -> None:
    whole = spider(BASE, 0.3, seed=1)
    short = replace(spider(RUN_1, 0.5, seed=2), outcomes=spider(RUN_1, 0.5, seed=2).outcomes[5:])
    apart = with_outcomes(whole, lambda i, o: replace(o, left_out="no rows") if i == 7 else o)
    (task,) = data_of([apart, short])["tasks"]
    assert task["correct"][1][:5] == "-----" and "-" not in task["correct"][1][5:]
    assert task["reply"][1][:5] == [None] * 5
    assert [i for i, reason in enumerate(task["left_out"]) if reason] == [7]


def test_without_items_the_explorer_still_shows_what_the_outcomes_know() -> None:
    measurement = spider(BASE, 0.3, seed=1)
    made = explorer(summarize(FACTS, [measurement]), Sources([measurement]), ENGLISH, limit=10_000_000)
    (task,) = unpack(made.packed)["tasks"]
    assert set(task["question"]) == {""} and task["gold"][3] == measurement.outcomes[3].gold


def test_schemas_and_results_travel_once_a_database_and_once_an_item() -> None:
    result = {"rows": [["1", "a\u202eb"]], "row_count": 9, "column_count": 2}
    rich = with_outcomes(spider(BASE, 0.3, seed=1), lambda i, o: replace(o, results={"gold": result} if i == 0 else {}))
    (task,) = data_of([rich], schemas={"db_01": "CREATE TABLE t (a TEXT)"})["tasks"]
    assert task["gold_rows"][0] == [[["1", "a⟨U+202E⟩b"]], 9, 2] and task["gold_rows"][1] is None
    assert task["schemas"][task["groups"].index("db_01")][0] == "CREATE TABLE t (a TEXT)"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back_visible_and_the_packed_form_holds_no_markup(text: str) -> None:
    hostile = with_outcomes(spider(BASE, 0.3, seed=1), lambda i, o: replace(o, answer=text, detail=text, correct=False))
    summary = summarize(FACTS, [hostile])
    made = explorer(summary, sources([hostile]), ENGLISH, limit=10_000_000)
    (task,) = unpack(made.packed)["tasks"]
    assert task["reply"][0][0][0] == visible(text) and task["reply"][0][0][4] == visible(text)
    assert "<" not in made.packed and made.packed.isascii() and made.packed.isprintable()


def test_an_enormous_answer_is_cut_with_a_mark() -> None:
    huge = with_outcomes(spider(BASE, 0.3, seed=1), lambda i, o: replace(o, answer="SELECT " + "x" * 100_000))
    (task,) = data_of([huge])["tasks"]
    answer = task["reply"][0][0][0]
    assert answer.endswith("[cut: 100007 characters in all]") and len(answer) < ANSWER_LIMIT + 60


def test_too_long_questions_are_shortened_only_where_all_variants_agree() -> None:
    measurements = [mmlu(BASE, 0.6, seed=2), mmlu(RUN_2, 0.45, seed=6)]
    made_of = sources(measurements)
    # Numbers that do not compress, so that room is scarce.
    items = {
        i: replace(item, question=json.dumps([hash((i, n)) for n in range(60)]))
        for i, item in made_of.items["mmlu"].items()
    }
    made_of = replace(made_of, items={"mmlu": items})
    summary = summarize(FACTS, measurements, resamples=100)
    whole = explorer(summary, made_of, ENGLISH, limit=10_000_000)
    assert whole.shortened == 0
    small = explorer(summary, made_of, ENGLISH, limit=len(whole.packed) // 2)
    (task,) = unpack(small.packed)["tasks"]
    assert len(small.packed) <= len(whole.packed) // 2 and 0 < small.shortened < len(items)
    for i, length in enumerate(task["full"]):
        question, agreed = items[task["id"][i]].question, task["correct"][0][i] == task["correct"][1][i]
        assert bool(length) == agreed
        assert (
            (len(task["question"][i]) == small.question_limit and length == len(question))
            if agreed
            else task["question"][i] == question
        )


@given(st.text())
@settings(max_examples=60, deadline=None)
def test_any_text_packs_and_tokens_join_to_the_query_again(text: str) -> None:
    shown = visible(text)
    assert unpack(pack([shown])) == [shown]
    assert "".join(piece for _, piece in tokens(shown)) == shown
    assert "".join(piece for _, piece in stretches(shown, code(shown))) == shown


def test_keywords_literals_and_numbers_are_told_apart() -> None:
    sql = "SELECT a FROM t WHERE b = 'x' AND c > 5 -- why"
    kinds = {piece.strip(): letter for letter, piece in stretches(sql, code(sql))}
    assert (kinds["SELECT"], kinds["'x'"], kinds["5"], kinds["-- why"]) == ("k", "s", "m", "c")


@pytest.mark.parametrize(
    ("gold", "predicted", "missing", "added"),
    [
        ("SELECT a FROM t", "select  A from T", [], []),
        ("SELECT a FROM t WHERE b = 'X'", "SELECT a FROM t WHERE b = 'x'", ["'X'"], ["'x'"]),
        ("SELECT a, b FROM t", "SELECT a FROM t LIMIT 3", [", b"], ["LIMIT 3"]),
        ("SELECT a FROM t", "", ["SELECT a FROM t"], []),
    ],
)
def test_what_two_queries_do_not_share_is_marked_on_either_side(
    gold: str, predicted: str, missing: list[str], added: list[str]
) -> None:
    for text, codes, expected in zip((gold, predicted), marked_codes(gold, predicted), (missing, added), strict=True):
        marked = re.sub(
            r"\0+", "\0", "".join(piece if letter.isupper() else "\0" for letter, piece in stretches(text, codes))
        )
        assert [part for part in marked.split("\0") if part] == expected


def test_cut_counts_the_characters_of_the_whole() -> None:
    assert cut("abcdef", 3, "… {length}") == "abc… 6" and cut("abc", 3, "…") == "abc"
