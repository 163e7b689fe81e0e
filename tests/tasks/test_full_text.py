"""Full-text multiple choice: no letter is shown, length does not count, the right words win."""

import pytest

from contrapeso.errors import DataError, ModelError
from contrapeso.tasks.base import Item, Outcome, TextScores
from contrapeso.tasks.full_text import FullText

MARS = Item("a/0", "a", "Which planet is red?", "B", choices=("Venus", "Mars", "the great Jupiter itself"))
SHOT = Item("dev/a/0", "a", "Which planet is nearest?", "A", choices=("Mercury", "Pluto"))


def reply(*values):
    return TextScores(values, tuple(1 for _ in values), 9, "sha")


def test_a_prompt_shows_neither_letters_nor_options_and_a_shot_shows_the_right_words():
    prompt = FullText((MARS,), "cloze", dev_shots={"a": [SHOT]}, shots=1).prompt(MARS)
    assert (
        prompt.text == "Question: Which planet is nearest?\nAnswer: Mercury\n\nQuestion: Which planet is red?\nAnswer:"
    )
    assert prompt.prefix.endswith("Mercury\n\n")


def test_a_template_of_the_question_alone_lets_the_options_go_on_with_it():
    assert FullText((MARS,), "cloze", template="{question}").prompt(MARS).text == "Which planet is red?"
    braces = FullText((Item("x", "x", "f(x) = {x}", "A", choices=("1", "2")),), "cloze")
    assert "f(x) = {x}" in braces.prompt(braces.items[0]).text


def test_the_likeliest_option_a_character_wins_and_not_the_shortest():
    (outcome,) = FullText((MARS,), "cloze").score([MARS], [reply(-4.0, -3.0, -12.0)])
    # a character: Venus -0.8, Mars -0.75, Jupiter -0.5
    assert (outcome.answer, outcome.correct, outcome.reason) == ("C", False, "wrong_option")
    (outcome,) = FullText((MARS,), "cloze").score([MARS], [reply(-4.0, -1.0, -24.0)])
    assert (outcome.answer, outcome.correct) == ("B", True)
    assert outcome.log_probabilities == (-0.8, -0.25, -1.0)
    assert Outcome.from_json(outcome.to_json()) == outcome


def test_a_template_without_the_question_and_a_number_that_is_none_are_refused():
    with pytest.raises(DataError, match="question"):
        FullText((MARS,), "cloze", template="Answer:")
    with pytest.raises(ModelError, match="float32"):
        FullText((MARS,), "cloze").score([MARS], [reply(-1.0, float("nan"), -1.0)])


def test_the_fingerprint_knows_options_template_and_shots():
    base = FullText((MARS,), "cloze", dev_shots={"a": [SHOT]}, shots=1)
    others = [
        FullText((MARS,), "cloze", dev_shots={"a": [SHOT]}),
        FullText((MARS,), "cloze", template="{question}"),
        FullText((Item("a/0", "a", MARS.question, "B", choices=("Venus", "Mars", "Jupiter")),), "cloze"),
    ]
    assert len({task.fingerprint for task in (base, *others)}) == 4
