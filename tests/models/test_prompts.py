from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_tokenizer

from contrapeso.errors import ModelError
from contrapeso.models.prompts import encode, render
from contrapeso.tasks.base import Prompt

PLAIN = Prompt("Hello schema.\n\nQuestion: ", "How many?\nSQL:")
CHAT = Prompt("Hello schema.\n\nQuestion: ", "How many?", turns=(("And who?", "SELECT name"),), chat=True)


@pytest.fixture(scope="module", params=["tiny", "mistral"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    if request.param == "tiny":
        return tiny_tokenizer()
    from transformers import AutoTokenizer

    shared_data: Path = request.getfixturevalue("shared_data")
    return AutoTokenizer.from_pretrained(shared_data / "mistral-tokenizer")


@pytest.mark.parametrize("prompt", [PLAIN, CHAT], ids=["plain", "chat"])
def test_a_prompt_begins_with_exactly_one_beginning_of_sequence(tokenizer: Any, prompt: Prompt) -> None:
    ids = encode(tokenizer, prompt)
    assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1
    assert render(tokenizer, prompt).startswith("<s>") and render(tokenizer, prompt).count("<s>") == 1


def test_chat_ids_are_those_of_the_tokenizers_own_template(tokenizer: Any) -> None:
    messages = [
        {"role": "user", "content": "And who?"},
        {"role": "assistant", "content": "SELECT name"},
        {"role": "user", "content": CHAT.text},
    ]
    expected = tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=True)
    assert encode(tokenizer, CHAT) == expected["input_ids"]


def test_plain_ids_are_those_of_the_tokenizers_own_call(tokenizer: Any) -> None:
    assert encode(tokenizer, PLAIN) == tokenizer(PLAIN.text)["input_ids"]


def test_the_rendered_text_holds_the_markup_and_the_prompt_word_for_word() -> None:
    assert render(tiny_tokenizer(), PLAIN) == f"<s>{PLAIN.text}"
    assert render(tiny_tokenizer(), CHAT) == f"<s>[INST] And who? [/INST] SELECT name</s>[INST] {CHAT.text} [/INST]"


def fresh_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    tiny_tokenizer().save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_a_model_without_a_beginning_of_sequence_gets_none(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = fresh_tokenizer(tmp_path)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    tokenizer.chat_template = "{% for message in messages %}[INST]{{ message['content'] }}[/INST]{% endfor %}"
    for prompt in (PLAIN, CHAT):
        assert tokenizer.bos_token_id not in encode(tokenizer, prompt)
        assert not render(tokenizer, prompt).startswith("<s>")


def test_an_end_of_sequence_the_tokenizer_appends_is_taken_off(tmp_path: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = fresh_tokenizer(tmp_path)
    markers = [("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=markers)
    assert tokenizer(PLAIN.text)["input_ids"][-1] == tokenizer.eos_token_id
    assert encode(tokenizer, PLAIN) == encode(tiny_tokenizer(), PLAIN)


@pytest.mark.parametrize(
    ("template", "complaint"),
    [(None, "has no chat template"), ("{{ raise_exception('no shots please') }}", "no shots please")],
)
def test_a_chat_prompt_the_template_cannot_take_is_refused_with_the_way_out(
    tmp_path: Path, template: str | None, complaint: str
) -> None:
    tokenizer = fresh_tokenizer(tmp_path)
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match=f'{complaint}.*model.chat = "never"'):
        encode(tokenizer, CHAT)
