"""Replayed examples: where they come from, how many, and that nothing evaluated is among them."""

from dataclasses import replace

import pytest
from tiny import tiny_tokenizer

from contrapeso.data import load_mmlu, mmlu_folder
from contrapeso.errors import DataError
from contrapeso.evidence import leaked_into
from contrapeso.models.engine import Variant
from contrapeso.settings import ReplaySettings
from contrapeso.tasks.base import Generation
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.training.examples import IGNORED, tokenize_examples
from contrapeso.training.replay import answered_by, replay_pool, replayed


@pytest.fixture(scope="module")
def general():
    mmlu = load_mmlu(mmlu_folder("pocket"))
    return MultipleChoice(mmlu.test, mmlu.dev, shots=5)


def test_general_replays_every_dev_question_with_its_letter_and_no_shot(general):
    pool = replay_pool(ReplaySettings(data="general"), general)
    dev = [item for items in general.dev_shots.values() for item in items]
    assert [example.item for example in pool] == [item.id for item in dev]
    assert [example.completion for example in pool] == [f" {item.gold}" for item in dev]
    text = pool[0].prompt.text
    assert dev[0].question in text and text.endswith("Answer:") and text.count("Answer:") == 1


def test_nothing_that_is_evaluated_is_among_the_dev_questions(general):
    pool = replay_pool(ReplaySettings(), general)
    texts = [example.prompt.text for example in pool]
    assert leaked_into({item.id: (item.question, *item.choices) for item in general.items}, texts) == []


def test_an_evaluated_question_in_a_replayed_text_is_found_whatever_its_case_and_marks():
    item = {"a": ("Which planet comes seventh from the Sun?", "Neptune", "Uranus")}
    assert leaked_into(item, ["x", "... WHICH planet\n comes seventh from the sun: (a) uranus, (b) neptune."]) == ["a"]
    assert leaked_into(item, ["Which planet comes seventh from the Sun? Neptune"]) == []  # an option is missing
    assert leaked_into({"b": ("Who won?",)}, ["they asked who won"]) == ["b"]
    assert leaked_into({"b": ("Who won?",)}, ["they asked who wonders"]) == []


def test_an_evaluated_question_with_an_option_that_is_but_a_sign_is_found_all_the_same():
    item = {"a": ("Which sign is it that adds two numbers?", "+", "the minus")}
    assert leaked_into(item, ["Which sign is it that adds two numbers? A. + B. the minus"]) == ["a"]
    assert leaked_into(item, ["Which sign is it that adds two numbers? A. +"]) == []
    assert leaked_into({"b": ("?", "+")}, ["? +"]) == []  # nothing to look up


@pytest.mark.parametrize(
    ("content", "letters"),
    [
        ('{"question": "2 + 2?", "choices": ["3", "4", "5"], "answer": 1}\n', " B"),
        ('{"question": "2 + 2?", "choices": {"text": ["3", "4"], "label": ["1", "2"]}, "answerKey": "2"}\n', " B"),
        ('{"ctx": "She sat", "endings": ["on it.", "it on.", "sat."], "label": "0"}\n', " A"),
    ],
)
def test_a_file_of_questions_is_replayed_in_the_layouts_in_circulation(content, letters, general, tmp_path):
    file = tmp_path / "more.jsonl"
    file.write_text(content, encoding="utf-8")
    (example,) = replay_pool(ReplaySettings(data=str(file)), general)
    assert example.completion == letters and example.item == "more/0000"


def test_passages_of_a_text_are_learnt_whole_and_end(general, tmp_path):
    file = tmp_path / "book.txt"
    file.write_text("One day.\r\n\r\n\r\nIt rained,\nand rained.\n", encoding="utf-8")
    pool = replay_pool(ReplaySettings(data=str(file)), general)
    assert [example.completion for example in pool] == ["One day.", "It rained,\nand rained."]
    tokenizer = tiny_tokenizer()
    row = tokenize_examples(tokenizer, pool)[0]
    assert row["labels"][0] == IGNORED and IGNORED not in row["labels"][1:]
    assert row["input_ids"] == [tokenizer.bos_token_id, *tokenizer("One day.")["input_ids"][1:], tokenizer.eos_token_id]


@pytest.mark.parametrize(
    ("name", "content"), [("no.txt", None), ("empty.txt", " \n"), ("x.jsonl", "{}"), ("x.md", "a")]
)
def test_a_file_that_cannot_be_replayed_is_a_data_error_that_names_it(name, content, general, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=name):
        replay_pool(ReplaySettings(data=str(tmp_path / name)), general)


class Parrot:
    """An engine that repeats the last word, and says nothing to one prompt."""

    def generate(self, variant, prompts, *, max_new_tokens, stop, skip):
        for place in reversed(range(len(prompts))):
            word = prompts[place].text.split()[-1]
            yield [place], [Generation("" if place == 1 else f" {word}", True, 1, 1, "0")]


def test_a_general_task_without_solved_questions_has_nothing_to_replay():
    with pytest.raises(DataError, match="nothing to replay"):
        replay_pool(ReplaySettings(), MultipleChoice((), {}, shots=0))


def test_self_replays_what_the_base_itself_says_and_not_the_gold_answer(general):
    pool = replay_pool(ReplaySettings(data="self"), general)
    assert {example.completion for example in pool} == {""}
    answered = answered_by(Parrot(), Variant("Baseline Model"), pool[:3])
    assert answered == [replace(pool[0], completion=" Answer:"), replace(pool[2], completion=" Answer:")]


def test_the_share_is_of_all_examples_and_nothing_comes_twice_before_everything_came_once(general):
    pool = replay_pool(ReplaySettings(), general)[:7]
    drawn = replayed(pool, among=190, share=0.05, seed=0)
    assert len(drawn) / (len(drawn) + 190) == pytest.approx(0.05)
    assert len({example.item for example in drawn[:7]}) == 7
    assert drawn == replayed(pool, among=190, share=0.05, seed=0) != replayed(pool, among=190, share=0.05, seed=1)
