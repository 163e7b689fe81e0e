"""MMLU as lm-evaluation-harness asks and scores it: the same text to the byte, the same answers question by question.

The harness is no dependency: `pip install lm_eval==0.4.13` beside contrapeso runs the whole file. Without it the prompt
text is still held to what the harness' own `mmlu` tasks write, by a hash recorded from them.
"""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from tiny import save_tiny_mistral

from benchmarks.choices import accuracy, ask_harness, ask_ours, differences
from contrapeso.data import load_mmlu, mmlu_folder
from contrapeso.data.mmlu import MMLU
from contrapeso.models.loading import load_model
from contrapeso.tasks.base import Item
from contrapeso.tasks.multiple_choice import MultipleChoice

# SHA-256 of all prompts lm_eval 0.4.13 writes, in the order of our items, joined by a zero byte.
POCKET_PROMPTS = "d50868266f6f20a455167f6dde7d9fb5f3c116b974e22f8161596720124e7563"
REAL_PROMPTS = "56a5c8069586f065e885df1d2bd2a9e2906854dc8cfd657605a543a9a5a3c623"


def prompts_hash(questions: MMLU, shots: int) -> str:
    task = MultipleChoice(questions.test, questions.dev, shots=shots)
    return hashlib.sha256("\0".join(task.prompt(item).text for item in task.items).encode()).hexdigest()


def test_the_prompt_is_instruction_first_shots_and_question_byte_for_byte() -> None:
    def item(name: str, gold: str, question: str, *choices: str) -> Item:
        return Item(name, "us_foreign_policy", question, gold, choices=choices)

    shots = [
        item("dev/0", "C", " Who won?\n", "None", "x ", " y", "5"),
        item("dev/1", "A", "First line\nsecond?", "p", "q", "r", "s"),
        item("dev/2", "B", "Never shown?", "p", "q", "r", "s"),
    ]
    asked = item("0", "D", "  What then?  ", "é", "{{ b }}", "%s", "d\n")
    task = MultipleChoice((asked,), {"us_foreign_policy": shots}, shots=2)
    assert task.prompt(asked).text == (
        "The following are multiple choice questions (with answers) about us foreign policy.\n\n"
        "Who won?\nA. None\nB. x \nC.  y\nD. 5\nAnswer: C\n\n"
        "First line\nsecond?\nA. p\nB. q\nC. r\nD. s\nAnswer: A\n\n"
        "What then?\nA. é\nB. {{ b }}\nC. %s\nD. d\n\nAnswer:"
    )


def test_the_pocket_prompts_are_those_the_harness_writes() -> None:
    assert prompts_hash(load_mmlu(mmlu_folder("pocket")), 4) == POCKET_PROMPTS


def test_all_prompts_of_the_real_set_are_those_the_harness_writes(shared_data: Path) -> None:
    questions = load_mmlu(shared_data / "mmlu")
    assert len(questions.test) == 14_042
    assert prompts_hash(questions, 5) == REAL_PROMPTS


def assert_parity(loaded: Any, questions: MMLU, *, shots: int, folder: Path) -> None:
    ours = ask_ours(loaded.model, loaded.tokenizer, questions, shots=shots, batch_size=16).by_item
    harness = ask_harness(loaded.model, loaded.tokenizer, questions, shots=shots, batch_size=16, folder=folder).by_item
    found = differences(ours, harness)
    assert found["questions"] == len(questions.test)
    assert found["prompts"] == []
    assert found["letters"] == [], f"closest calls: {found['closest_calls']}"
    assert found["largest_gap"] < 1e-4
    assert accuracy(ours, questions) == accuracy(harness, questions)
    assert len({answer.letter for answer in ours.values()}) > 1, "one letter for all would prove little"


def test_the_pocket_model_answers_every_question_as_under_the_harness(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
    questions = load_mmlu(mmlu_folder("pocket"), limit_per_subject=4)
    assert_parity(load_model("pocket", device="cpu"), questions, shots=4, folder=tmp_path)


@pytest.mark.parametrize(
    ("subjects", "limit"),
    [((), 1), (("astronomy", "miscellaneous", "high_school_us_history"), 15)],
    ids=["all 57 subjects", "three subjects"],
)
def test_a_random_mistral_answers_real_questions_as_under_the_harness(
    tmp_path: Path, shared_data: Path, subjects: tuple[str, ...], limit: int
) -> None:
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
    # Prompts of the history subjects are longer than the model: both cut them at the front.
    folder = save_tiny_mistral(tmp_path / "model", max_position_embeddings=2048)
    questions = load_mmlu(shared_data / "mmlu", subjects=subjects, limit_per_subject=limit)
    (tmp_path / "tasks").mkdir()
    assert_parity(load_model(str(folder), device="cpu"), questions, shots=5, folder=tmp_path / "tasks")
