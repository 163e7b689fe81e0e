"""A held-out text: passages, and nats a token against a hand-worked sum."""

import math

import pytest

from contrapeso.errors import DataError, ModelError
from contrapeso.tasks.base import Outcome, TextScores
from contrapeso.tasks.perplexity import LONGEST_CHARACTERS, Perplexity, load_passages


def test_passages_are_divided_by_blank_lines_and_long_ones_cut_between_words(tmp_path):
    file = tmp_path / "book.txt"
    long = "word " * 1000
    file.write_text(f"One day.\n\n\n\nIt rained.\nAgain.\n\n{long}", encoding="utf-8")
    items = load_passages(file)
    assert [item.question for item in items[:2]] == ["One day.", "It rained.\nAgain."]
    assert items[0].id == "book/0000" and items[0].group == "book"
    assert all(len(item.question) <= LONGEST_CHARACTERS for item in items)
    assert " ".join(item.question for item in items[2:]).split() == long.split()


def test_an_unbroken_passage_is_cut_too(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("x" * (2 * LONGEST_CHARACTERS + 1), encoding="utf-8")
    assert [len(item.question) for item in load_passages(file)] == [LONGEST_CHARACTERS, LONGEST_CHARACTERS, 1]


def test_outcomes_hold_nats_and_tokens_whose_quotient_is_the_logarithm_of_the_perplexity(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("a\n\nb", encoding="utf-8")
    task = Perplexity(load_passages(file), "book")
    replies = [TextScores((-math.log(8),), (3,), 1, "s"), TextScores((-math.log(2),), (1,), 1, "s")]
    outcomes = task.score(task.items, replies)
    nats, tokens = sum(o.value for o in outcomes), sum(o.weight for o in outcomes)
    assert math.exp(nats / tokens) == pytest.approx(2)
    assert Outcome.from_json(outcomes[0].to_json()) == outcomes[0]


def test_a_value_of_nothing_is_kept_apart_from_no_value():
    outcome = Outcome("i", "g", "", "", False, "text", "s", 1, False, True, value=0.0)
    assert Outcome.from_json(outcome.to_json()).value == 0.0
    assert "value" not in Outcome("i", "g", "", "", False, "text", "s", 1, False, True).to_json()


def test_a_text_that_is_none_and_a_number_that_is_none_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n", encoding="utf-8")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("empty.txt", "bytes.txt", "no.txt"):
        with pytest.raises(DataError, match=name):
            load_passages(tmp_path / name)
    (tmp_path / "x.txt").write_text("a", encoding="utf-8")
    task = Perplexity(load_passages(tmp_path / "x.txt"), "x")
    with pytest.raises(ModelError, match="x/0000"):
        task.score(task.items, [TextScores((-math.inf,), (1,), 1, "s")])
