"""From a `Prompt` to what a tokenizer and a model get.

Evaluation and training both go through `encode`, so "the same prompt" means the same token ids. A prompt begins with
one beginning-of-sequence token, never two: a chat template writes its own (or, as some models want, none), and plain
text gets the one the tokenizer puts there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contrapeso.errors import ModelError
from contrapeso.tasks.base import Prompt


def render(tokenizer: Any, prompt: Prompt) -> str:
    """The full text of a prompt, with chat markup and beginning-of-sequence marker.

    Args:
        tokenizer: a transformers tokenizer.
        prompt: what is asked.

    Raises:
        ModelError: a chat prompt, and the tokenizer has no chat template or its template refuses the messages.
    """
    if prompt.chat:
        return _chat_text(tokenizer, prompt)
    return _leading_marker(tokenizer) + prompt.text


def encode(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of a prompt: what the model sees, in training as in evaluation.

    Args:
        tokenizer: a transformers tokenizer.
        prompt: what is asked.

    Raises:
        ModelError: as in `render`.
    """
    return encode_all(tokenizer, [prompt])[0]


def encode_all(tokenizer: Any, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Token ids of many prompts, as `encode` gives them one by one: fast tokenizers use all cores for a list.

    Args:
        tokenizer: a transformers tokenizer.
        prompts: what is asked.

    Raises:
        ModelError: as in `render`.
    """
    encoded: dict[int, list[int]] = {}
    for chat in (True, False):
        places = [place for place, prompt in enumerate(prompts) if prompt.chat is chat]
        if places:
            texts = [_chat_text(tokenizer, prompts[place]) if chat else prompts[place].text for place in places]
            # Not `render` and then tokenize: after a marker written as text, a SentencePiece tokenizer leaves out the
            # blank it puts before the first word ("Hello" is then another token).
            # It would warn of long prompts in words of its own; that is for whoever asked.
            rows: list[list[int]] = tokenizer(texts, add_special_tokens=not chat, verbose=False)["input_ids"]
            encoded |= dict(zip(places, rows if chat else [_open(tokenizer, ids) for ids in rows], strict=True))
    return [encoded[place] for place in range(len(prompts))]


def _open(tokenizer: Any, ids: list[int]) -> list[int]:
    # Some saved tokenizers also append the end-of-sequence token, after which there is nothing to answer.
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def _chat_text(tokenizer: Any, prompt: Prompt) -> str:
    if not tokenizer.chat_template:
        raise ModelError('the tokenizer has no chat template: set model.chat = "never", or use an instruct model')
    messages = []
    for user, assistant in prompt.turns:
        messages += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
    messages.append({"role": "user", "content": prompt.text})
    try:
        text: str = tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=True,
            # For templates that know it: a base that thinks aloud past the token limit, beside a tuned model that does
            # not, would make a gain out of a setting. Others ignore it.
            enable_thinking=False,
        )
    except Exception as error:  # whatever a template from elsewhere raises; chained, so nothing is hidden
        raise ModelError(
            f'the tokenizer\'s chat template refuses the prompt: {error}; set model.chat = "never"'
        ) from error
    return text


def _leading_marker(tokenizer: Any) -> str:
    ids = tokenizer("")["input_ids"]
    return tokenizer.bos_token if ids and ids[0] == tokenizer.bos_token_id else ""
