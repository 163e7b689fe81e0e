import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contrapeso.data import load_mmlu
from contrapeso.errors import DataError, ModelError
from contrapeso.models.engine import Variant
from contrapeso.tasks import MultipleChoice, Prompt
from contrapeso.tasks.base import Generation, Item, OptionScores

UNITS = ("joule", "newton", "watt", "volt")
SHOTS = (
    Item("dev/high_school_physics/0000", "high_school_physics", "Unit of force?", "B", UNITS),
    Item("dev/high_school_physics/0001", "high_school_physics", "Unit of power?", "C", UNITS),
)
QUESTION = Item(
    "high_school_physics/0000", "high_school_physics", " Unit of work?\n", "A", ("joule", "newton", "watt", "None")
)
TASK = MultipleChoice((QUESTION,), {"high_school_physics": SHOTS}, shots=2)


def scores(*log_probabilities: float, is_option: bool = True) -> OptionScores:
    return OptionScores(log_probabilities, is_option, prompt_tokens=50, prompt_sha="0123456789abcdef")


def test_the_prompt_is_the_customary_text() -> None:
    # As lm-evaluation-harness 0.4 asks: its description, `{question.strip()}`, `A. ` to `D. `, `Answer:`, target " B",
    # shots in dev order with a blank line between.
    prompt = TASK.prompt(QUESTION)
    assert prompt.prefix == (
        "The following are multiple choice questions (with answers) about high school physics.\n"
        "\n"
        "Unit of force?\n"
        "A. joule\n"
        "B. newton\n"
        "C. watt\n"
        "D. volt\n"
        "Answer: B\n"
        "\n"
        "Unit of power?\n"
        "A. joule\n"
        "B. newton\n"
        "C. watt\n"
        "D. volt\n"
        "Answer: C\n"
        "\n"
    )
    assert prompt.body == "Unit of work?\nA. joule\nB. newton\nC. watt\nD. None\nAnswer:"
    assert not prompt.chat and prompt.turns == ()


def test_without_shots_the_prompt_is_instruction_and_question() -> None:
    task = replace(TASK, shots=0)
    assert task.prompt(QUESTION).prefix == (
        "The following are multiple choice questions (with answers) about high school physics.\n\n"
    )


@pytest.mark.parametrize(
    ("log_probabilities", "letter"),
    [
        ((-1.0, -2.0, -3.0, -4.0), "A"),
        ((-4.0, -3.0, -2.0, -1.0), "D"),
        ((-2.0, -1.0, -1.0, -1.0), "B"),
        ((-math.inf, -math.inf, -9.0, -math.inf), "C"),
    ],
)
def test_the_most_likely_letter_answers_and_of_equals_the_first(
    log_probabilities: tuple[float, ...], letter: str
) -> None:
    (outcome,) = TASK.score([QUESTION], [scores(*log_probabilities)])
    assert outcome.answer == letter
    assert (outcome.correct, outcome.reason) == ((True, "ok") if letter == "A" else (False, "wrong_option"))
    assert outcome.log_probabilities == log_probabilities


def test_whether_free_generation_would_give_a_letter_is_kept_apart_from_correctness() -> None:
    (outcome,) = TASK.score([replace(QUESTION, left_out="why")], [scores(-5.0, -6.0, -7.0, -8.0, is_option=False)])
    assert outcome.correct and not outcome.stopped and outcome.left_out == "why"


@pytest.mark.parametrize("values", [(math.nan, -1.0, -1.0, -1.0), (-math.inf,) * 4])
def test_log_probabilities_that_are_no_numbers_are_refused_by_item(values: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match="high_school_physics/0000"):
        TASK.score([QUESTION], [scores(*values)])


def test_generated_text_is_no_reply_to_a_multiple_choice_task() -> None:
    with pytest.raises(TypeError, match="Generation"):
        TASK.score([QUESTION], [Generation("A", True, 1, 1, "")])


def test_too_few_shots_are_refused_by_subject() -> None:
    with pytest.raises(DataError, match="'high_school_physics' has 2 dev questions, fewer than the 5"):
        MultipleChoice((QUESTION,), {"high_school_physics": SHOTS})


def test_a_question_without_four_options_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="high_school_physics/0000 has 3 options"):
        MultipleChoice((replace(QUESTION, choices=("a", "b", "c")),), {}, shots=0)


def test_the_fingerprint_moves_with_questions_golds_and_shots() -> None:
    tasks = [
        TASK,
        replace(TASK, shots=1),
        replace(TASK, items=(replace(QUESTION, gold="B"),)),
        replace(TASK, items=(replace(QUESTION, question="Unit of heat?"),)),
        replace(TASK, dev_shots={"high_school_physics": SHOTS[::-1]}),
    ]
    assert len({task.fingerprint for task in tasks}) == len(tasks)
    assert TASK.fingerprint == MultipleChoice((QUESTION,), {"high_school_physics": SHOTS}, shots=2).fingerprint


def test_the_engine_is_asked_every_prompt_once_for_the_four_letters() -> None:
    asked: dict[str, Any] = {}

    class Recorder:
        def score_options(
            self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
        ) -> Iterator[tuple[list[int], list[OptionScores]]]:
            asked.update(prompts=prompts, letters=tuple(letters), skip=skip)
            yield [0], [scores(-1.0, -2.0, -3.0, -4.0)]

        def generate(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("multiple choice never generates")

    ((indices, replies),) = TASK.ask(Recorder(), Variant("Baseline Model"), skip=frozenset({3}))
    assert asked == {"prompts": [TASK.prompt(QUESTION)], "letters": ("A", "B", "C", "D"), "skip": frozenset({3})}
    assert indices == [0] and TASK.score(TASK.items, replies)[0].correct


def test_every_real_question_gets_a_prompt_that_shares_its_subjects_prefix(shared_data: Path) -> None:
    mmlu = load_mmlu(shared_data / "mmlu")
    task = MultipleChoice(mmlu.test, mmlu.dev)
    prompts = [task.prompt(item) for item in task.items]
    assert len({prompt.prefix for prompt in prompts}) == 57
    assert all(prompt.prefix.count("\nAnswer: ") == 5 for prompt in prompts)
    assert all(prompt.body.endswith("\nAnswer:") for prompt in prompts)
