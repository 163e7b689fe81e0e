from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studies import repeated_questions
from tiny import tiny_tokenizer

from contrapeso.data import load_spider
from contrapeso.errors import ModelError
from contrapeso.models.prompts import encode
from contrapeso.sql import Sandbox
from contrapeso.tasks import Prompt, TextToSQL
from contrapeso.tasks.base import Item
from contrapeso.training.examples import IGNORED, tokenize_examples, training_examples

ITEM = Item("train/0000", "zoo", "How many animals?", " SELECT count(*)  FROM animal ; ")


@pytest.fixture(scope="module", params=["tiny", "mistral"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    if request.param == "tiny":
        return tiny_tokenizer()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(request.getfixturevalue("shared_data") / "mistral-tokenizer")


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "chat"])
def task(request: pytest.FixtureRequest, shared_data: Path) -> Iterator[TextToSQL]:
    items = load_spider(shared_data / "spider", "train")[::100]
    with Sandbox(1) as sandbox:
        yield TextToSQL(items, sandbox, chat=request.param)


def ask(item: Item) -> Prompt:
    return Prompt("Question: ", f"{item.question}\nSQL:")


def test_a_completion_is_a_blank_and_the_gold_query_without_its_semicolon() -> None:
    (example,) = training_examples([ITEM], ask)
    assert (example.item, example.prompt, example.completion) == (
        "train/0000",
        ask(ITEM),
        " SELECT count(*)  FROM animal",
    )


def test_items_left_out_are_not_learnt() -> None:
    assert training_examples([replace(ITEM, left_out="broken gold")], ask) == []


def test_the_prompt_in_training_is_the_prompt_in_evaluation_token_by_token(tokenizer: Any, task: TextToSQL) -> None:
    rows = tokenize_examples(tokenizer, training_examples(task.items, task.prompt))
    assert len(rows) == 70
    for item, row in zip(task.items, rows, strict=True):
        prompt = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label == IGNORED]
        assert prompt == encode(tokenizer, task.prompt(item)) == row["input_ids"][: len(prompt)]
        assert row["input_ids"].count(tokenizer.bos_token_id) == 1


def test_the_loss_falls_on_the_query_and_the_end_of_sequence(tokenizer: Any, task: TextToSQL) -> None:
    for item, row in zip(
        task.items, tokenize_examples(tokenizer, training_examples(task.items, task.prompt)), strict=True
    ):
        learnt = [label for label in row["labels"] if label != IGNORED]
        assert learnt[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(learnt[:-1]).strip() == item.gold.rstrip("; ")
        assert row["labels"][-len(learnt) :] == row["input_ids"][-len(learnt) :] == learnt


def test_appending_the_completion_gives_the_tokens_of_the_joined_text(tokenizer: Any, task: TextToSQL) -> None:
    # The border is one at which the tokenizer cuts by itself, so what is learnt is what a reader of text would write.
    for example in training_examples(task.items, task.prompt):
        (row,) = tokenize_examples(tokenizer, [example])
        if example.prompt.chat:
            turn = [
                {"role": "user", "content": example.prompt.text},
                {"role": "assistant", "content": example.completion[1:]},
            ]
            assert row["input_ids"] == tokenizer.apply_chat_template(turn, return_dict=True)["input_ids"]
        else:
            joined = tokenizer(example.prompt.text + example.completion)["input_ids"]
            assert row["input_ids"] == [*joined, tokenizer.eos_token_id]


def test_the_trainer_keeps_the_rows_as_they_are(tmp_path: Path) -> None:
    from datasets import Dataset
    from tiny import save_tiny_mistral
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = tiny_tokenizer()
    rows = tokenize_examples(tokenizer, training_examples([ITEM], ask))
    arguments = SFTConfig(
        output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[]
    )
    model = AutoModelForCausalLM.from_pretrained(save_tiny_mistral(tmp_path / "model"))
    trainer = SFTTrainer(model, arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    (batch,) = trainer.get_train_dataloader()
    assert batch["input_ids"].tolist() == [rows[0]["input_ids"]]
    assert batch["labels"].tolist() == [rows[0]["labels"]]


def test_a_tokenizer_without_an_end_of_sequence_is_refused(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tiny_tokenizer().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="end-of-sequence"):
        tokenize_examples(tokenizer, training_examples([ITEM], ask))


def test_a_question_about_the_same_database_in_other_spelling_leaks_and_about_another_does_not() -> None:
    evaluated = [replace(ITEM, id="dev/0000")]
    same = [
        replace(ITEM, question=question)
        for question in ("how many  ANIMALS", "How many animals?", "How many\nanimals.")
    ]
    other = [replace(ITEM, group="farm"), replace(ITEM, question="How many zebras?")]
    assert repeated_questions([*same, *other], evaluated) == same
    assert repeated_questions(other, evaluated) == []


def test_spiders_train_and_dev_questions_do_not_overlap(shared_data: Path) -> None:
    train, dev = load_spider(shared_data / "spider", "train"), load_spider(shared_data / "spider", "dev")
    assert repeated_questions(train, dev) == []
    assert repeated_questions(dev[:3], dev) == list(dev[:3])
