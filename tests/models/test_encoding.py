"""Many prompts are tokenized as one by one."""

from pathlib import Path

from contrapeso.models.encoding import encode_prompts
from contrapeso.models.loading import load_tokenizer
from contrapeso.models.prompts import encode, encode_all
from contrapeso.tasks.base import Prompt


def test_chat_and_plain_prompts_together_are_encoded_as_one_by_one(tiny_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_folder))
    prompts = [Prompt("schema ", f"question {'x' * n}?", chat=n % 3 == 0) for n in range(9)]
    assert encode_all(tokenizer, prompts) == [encode(tokenizer, prompt) for prompt in prompts]
    chat, plain = encode_all(tokenizer, prompts[:2])
    assert tokenizer.decode(chat).startswith("<s>[INST]")
    assert tokenizer.decode(plain) == "<s>schema question x?"
    assert encode_all(tokenizer, []) == []


def test_a_prompt_that_does_not_fit_loses_its_beginning(tiny_folder: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_folder))
    [whole] = encode_prompts(tokenizer, [Prompt("schema ", "question")], limit=None, room=4)
    [cut] = encode_prompts(tokenizer, [Prompt("schema ", "question")], limit=10, room=4)
    assert (whole.truncated, cut.truncated) == (False, True)
    assert cut.tokens == whole.tokens[-6:]
    assert (cut.length, cut.sha) == (whole.length, whole.sha)
