"""Cut SQL text into tokens as SQLite does, far enough to ask simple questions about a statement.

SQL text enters; tokens, the first word, or the number of statements leaves. Nothing here runs or validates SQL.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

# Each alternative is linear on hostile text; an unclosed quote or comment runs to the end, as in SQLite.
_TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+|--[^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<quoted>'[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?)
      | (?P<word>[^\W\d][\w$]*)
      | (?P<number>\d[\w.]*)
      | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """One token: its kind (`space`, which includes comments, `quoted`, `word`, `number`, `sign`) and its text."""

    kind: str
    text: str


def tokenize(sql: str) -> list[Token]:
    """Cut SQL text into tokens; joined together they are the text again.

    A doubled quote inside a literal (`'it''s'`) gives two neighbouring `quoted` tokens, which no question below minds.
    """
    return [Token(match.lastgroup or "sign", match.group()) for match in _TOKEN.finditer(sql)]


def first_word(tokens: list[Token]) -> str:
    """The first token that is no space, comment or semicolon, in lower case; "" when there is none."""
    return next((token.text.lower() for token in tokens if token.kind != "space" and token.text != ";"), "")


def statements(tokens: list[Token]) -> int:
    """How many statements the text holds; lone semicolons are none."""
    count, inside = 0, False
    for token in tokens:
        if token.text == ";":
            inside = False
        elif token.kind != "space" and not inside:
            count, inside = count + 1, True
    return count


def orders_rows(tokens: list[Token]) -> bool:
    """Whether the statement itself ends in ORDER BY, as opposed to a subquery or window inside parentheses."""
    depth = 0
    words = [token.text.lower() for token in tokens if token.kind != "space"]
    for word, following in pairwise(words):
        depth += (word == "(") - (word == ")")
        if depth == 0 and word == "order" and following == "by":
            return True
    return False
