"""What every engine does around the model, so that all of them ask and answer alike.

Prompts and a tokenizer enter; token ids cut to what the model holds, the tokens of option letters and, from generated
token ids, replies leave. No model is needed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from contrapeso.errors import ModelError
from contrapeso.models.prompts import encode_all, render
from contrapeso.tasks.base import Generation, OptionScores, Prompt, TextScores

MOST_KEPT = 16
"""Lists of prompts whose tokens are kept: more than a study has tasks, so that only a session of questions forgets."""


@dataclass(frozen=True)
class Encoded:
    """One prompt as the model gets it.

    Attributes:
        tokens: what the model sees, cut when the prompt does not fit.
        length: tokens of the whole prompt.
        sha: first 16 hex digits of the SHA-256 of the whole prompt's token ids.
        truncated: whether it was cut.
    """

    tokens: list[int]
    length: int
    sha: str
    truncated: bool

    def option_scores(self, values: Sequence[float], *, likeliest: bool) -> OptionScores:
        """The reply about options.

        Args:
            values: log-probability of each.
            likeliest: whether the likeliest of all tokens is one of them.
        """
        return OptionScores(tuple(values), likeliest, self.length, self.sha, self.truncated)

    def text_scores(self, values: Sequence[float], texts: Sequence[Sequence[int]]) -> TextScores:
        """The reply about texts.

        Args:
            values: log-likelihood of each.
            texts: token ids of each; where no token stands before them, nothing foretells the first.
        """
        counted = tuple(len(tokens) - (not self.tokens) for tokens in texts)
        return TextScores(tuple(values), counted, self.length, self.sha, self.truncated)


def encode_prompts(tokenizer: Any, prompts: Sequence[Prompt], *, limit: int | None, room: int) -> list[Encoded]:
    """Token ids of every prompt, cut at the front where they do not fit.

    Args:
        tokenizer: a transformers tokenizer.
        prompts: what is asked.
        limit: most tokens the model holds; None when it says nothing.
        room: tokens to leave free for the answer.

    Raises:
        ModelError: `room` leaves nothing for the prompt.
    """
    if limit is not None and limit <= room:
        raise ModelError(f"max_new_tokens is {room}, but the model holds {limit} tokens: lower target.max_new_tokens")
    encoded = []
    for tokens in encode_all(tokenizer, prompts):
        sha = hashlib.sha256(np.asarray(tokens, dtype="<u4").tobytes()).hexdigest()[:16]
        truncated = limit is not None and len(tokens) + room > limit
        # The question stands at the end of a prompt, so the end is what is kept.
        kept = tokens[len(tokens) + room - limit :] if limit is not None and truncated else tokens
        encoded.append(Encoded(kept, len(tokens), sha, truncated))
    return encoded


class Encodings:
    """Prompts as token ids, kept for the next variant, which is asked the same: all of MMLU takes one core 20 s.

    Args:
        tokenizer: a transformers tokenizer.
        limit: most tokens the model holds; None when it says nothing.
    """

    def __init__(self, tokenizer: Any, limit: int | None) -> None:
        self._tokenizer, self._limit = tokenizer, limit
        self._known: dict[tuple[int, tuple[Prompt, ...]], list[Encoded]] = {}

    def of(self, prompts: Sequence[Prompt], *, room: int) -> list[Encoded]:
        """See `encode_prompts`."""
        key = (room, tuple(prompts))
        if key not in self._known:
            if len(self._known) == MOST_KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = encode_prompts(self._tokenizer, prompts, limit=self._limit, room=room)
        return self._known[key]


def letter_tokens(
    tokenizer: Any, prompts: Sequence[Prompt], encoded: Sequence[Encoded], letters: Sequence[str]
) -> list[list[int]]:
    """The token of every letter after every prompt.

    Args:
        tokenizer: a transformers tokenizer.
        prompts: what is asked.
        encoded: the same prompts as token ids.
        letters: the options, e.g. `("A", "B", "C", "D")`.

    Raises:
        ModelError: a letter is not a single token after a prompt.
    """
    # A letter's token depends on what stands before it, in practice on the last token of the prompt alone.
    known: dict[int, list[int]] = {}
    for prompt, tokens in zip(prompts, encoded, strict=True):
        if tokens.tokens[-1] not in known:
            text = render(tokenizer, prompt)
            known[tokens.tokens[-1]] = [_letter_token(tokenizer, text, letter) for letter in letters]
    return [known[prompt.tokens[-1]] for prompt in encoded]


def _letter_token(tokenizer: Any, text: str, letter: str) -> int:
    answer = letter if text[-1:].isspace() else " " + letter
    before: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    after: list[int] = tokenizer(text + answer, add_special_tokens=False)["input_ids"]
    if after[:-1] != before:
        raise ModelError(
            f"with this tokenizer the option {answer!r} is not a single token after a prompt that ends in "
            f"{text[-20:]!r}, so options cannot be compared by one next-token probability"
        )
    return after[-1]


def sharing(prompts: Sequence[Prompt], encoded: Sequence[Encoded], *, allowed: bool) -> list[Hashable]:
    """What each prompt has in common with others: equal keys share; None shares with nobody.

    Args:
        prompts: what is asked.
        encoded: the same prompts as token ids.
        allowed: whether any may share.
    """
    # A cut prompt has lost its beginning.
    return [
        (prompt.prefix, prompt.turns, prompt.chat) if allowed and not tokens.truncated else None
        for prompt, tokens in zip(prompts, encoded, strict=True)
    ]


class Ending:
    """When a generation ends, and the text that is left of it.

    Args:
        tokenizer: a transformers tokenizer.
        end_tokens: the model's own end-of-sequence tokens, as its generation configuration gives them: one, a list or
            None. The tokenizer's counts too.
        stop: strings that end an answer.
    """

    def __init__(self, tokenizer: Any, end_tokens: int | Sequence[int] | None, stop: Sequence[str]) -> None:
        own = [end_tokens] if isinstance(end_tokens, int) else list(end_tokens or ())
        self.tokens = frozenset({tokenizer.eos_token_id, *own} - {None})
        self.stop = [text for text in stop if text]
        self._tokenizer = tokenizer
        self._closes: dict[int, bool] = {}

    def reached(self, generated: list[int]) -> bool:
        """Whether the newest token ends the generation."""
        newest = generated[-1]
        if newest in self.tokens:
            return True
        return self._may_close(newest) and any(stop in self._decode(generated) for stop in self.stop)

    def reply(self, prompt: Encoded, generated: list[int]) -> Generation:
        """The generation as a reply, its text cut before the first stop string."""
        text = self._decode(generated)
        cut = min((text.index(stop) for stop in self.stop if stop in text), default=len(text))
        stopped = cut < len(text) or generated[-1] in self.tokens
        return Generation(text[:cut], stopped, len(generated), prompt.length, prompt.sha, prompt.truncated)

    def _may_close(self, token: int) -> bool:
        # Decoding every row after every token would take longer than the model: only a token that holds the last
        # character of a stop string (or a piece of a character) can complete one.
        if token not in self._closes:
            text = self._tokenizer.decode([token])
            self._closes[token] = any(stop[-1] in text for stop in self.stop) or "\ufffd" in text
        return self._closes[token]

    def _decode(self, generated: list[int]) -> str:
        text: str = self._tokenizer.decode(generated, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def text_tokens(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that follows a prompt, tokenized by itself, as training and generation append answers.

    Args:
        tokenizer: a transformers tokenizer.
        text: with its leading blank.

    Raises:
        ModelError: it has no token.
    """
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not tokens:
        raise ModelError(f"the tokenizer makes nothing of the text {text!r}: leave it out")
    return tokens
