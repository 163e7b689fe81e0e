"""SQL as the page shows it: coloured by kind of token, with the difference between two queries marked.

Queries enter, run codes leave. A code names kind and length of each stretch of text, `k6n1n4s5`: six characters of
keyword, and so on; a capital letter marks a stretch that the other query lacks. So the page carries each text once,
needs no lexer of its own, and never gets markup from a model. Pygments cuts the tokens because it takes any text;
a parser would refuse the broken queries that one most wants to look at.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby

from pygments.lexers.sql import SqlLexer
from pygments.token import Comment, Keyword, Number, String, Token, Whitespace

# Kind of token -> its letter in a code; whatever else there is (names, operators) is plain text, `n`.
_LETTERS = ((Whitespace, "w"), (Comment, "c"), (Keyword, "k"), (String, "s"), (Number, "m"), (Token, "n"))
_LEXER = SqlLexer()

Tokens = tuple[tuple[str, str], ...]


@lru_cache(maxsize=4096)
def tokens(sql: str) -> Tokens:
    """Cut a query into (letter, text) pairs: `k` keyword, `s` string, `m` number, `c` comment, `w` space, `n` else.

    The texts joined together are the query again, whatever it contains.
    """
    return tuple((_letter(kind), text) for _, kind, text in _LEXER.get_tokens_unprocessed(sql))


def code(sql: str) -> str:
    """The run code of a query on its own."""
    return _encode((letter, text, False) for letter, text in tokens(sql))


def marked_codes(gold: str, predicted: str) -> tuple[str, str]:
    """Run codes of two queries, each with what the other lacks in capitals.

    Tokens are matched in order (`difflib`); space never counts, nor does case outside literals.

    Args:
        gold: the query to compare with.
        predicted: the query a model wrote.

    Returns:
        The codes of `gold` and of `predicted`.
    """
    if gold == predicted:
        return code(gold), code(gold)
    sides = [tokens(gold), tokens(predicted)]
    first_words, second_words = ([_word(*token) for token in side if token[0] != "w"] for side in sides)
    alone: tuple[set[int], set[int]] = (set(), set())
    for what, *spans in SequenceMatcher(None, first_words, second_words, autojunk=False).get_opcodes():
        if what != "equal":
            alone[0].update(range(spans[0], spans[1]))
            alone[1].update(range(spans[2], spans[3]))
    first, second = (_encode(_mark(side, marks)) for side, marks in zip(sides, alone, strict=True))
    return first, second


def _letter(kind: object) -> str:
    return next(letter for family, letter in _LETTERS if kind in family)


def _word(letter: str, text: str) -> str:
    return text if letter == "s" else text.lower()


def _mark(side: Tokens, marks: set[int]) -> Iterable[tuple[str, str, bool]]:
    """(letter, text, marked) of every token; the space between two marked tokens is marked with them."""
    position = -1
    for letter, text in side:
        position += letter != "w"
        inside = position in marks and (letter != "w" or position + 1 in marks)
        yield letter, text, inside


def _encode(runs: Iterable[tuple[str, str, bool]]) -> str:
    """The code of a text; neighbours of one kind and mark are one run, and unmarked space counts as plain text."""
    parts = []
    plain = (((("n" if letter == "w" else letter), marked), len(text)) for letter, text, marked in runs)
    for (letter, marked), group in groupby(plain, key=lambda run: run[0]):
        parts.append(f"{letter.upper() if marked else letter}{sum(length for _, length in group)}")
    return "".join(parts)
