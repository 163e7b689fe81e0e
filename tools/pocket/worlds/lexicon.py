"""The words of every pocket database and of every invented one: table nouns, column words and their English.

A column's identifier enters `word_for`; a `Word` leaves, with the phrase for the column ("number of pages"), how it
compares ("older than") and what it ranks ("oldest"). One lexicon serves the databases and the pretraining text, so a
small model meets each word often, in other combinations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tools.pocket.worlds.words import GROUP_WORDS, LABEL_WORDS, MODIFIERS, NUMBER_WORDS, PEOPLE, THINGS

IRREGULAR_PLURALS = {
    "child": "children",
    "person": "people",
    "wife": "wives",
    "shelf": "shelves",
    "knife": "knives",
    "weather": "kinds of weather",
}


@cache
def plural_of(noun: str) -> str:
    """The plural of an English noun or noun group, by rule and a short list of exceptions."""
    head, _, last = noun.rpartition(" ")
    if last in IRREGULAR_PLURALS:
        last = IRREGULAR_PLURALS[last]
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    elif last.endswith(("s", "x", "ch", "sh")):
        last += "es"
    else:
        last += "s"
    return f"{head} {last}".strip()


@dataclass(frozen=True)
class Word:
    """A column's English.

    Attributes:
        role: key, link, label, group or number.
        phrases: ways to say the column, the plain one first.
        family: of a number: year, level (not summed), amount (summed) or count (a plural noun).
        adjectives: of a number: (more, less, most, least), e.g. older, younger, oldest, youngest; or ().
        low, high: the usual range of a number; floats mean one decimal.
        place: of a group: the preposition that replaces "whose ... is" ("from" for a country), or "".
    """

    role: str
    phrases: tuple[str, ...]
    family: str = ""
    adjectives: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    place: str = ""


FAMILY_WORDS = {
    "year": ("latest", "earliest", "after", "before"),
    "level": ("highest", "lowest", "above", "below"),
    "amount": ("highest", "lowest", "above", "below"),
    "count": ("highest", "lowest", "above", "below"),
}
"""Of each family: the words for its top, its bottom, over a threshold and under it."""

RESERVED = {"order", "case", "group", "match", "table", "index", "release"}
"""Words SQLite keeps for itself; never used as identifiers."""


def _fields(text: str) -> list[list[str]]:
    return [[part.strip() for part in line.split(";")] for line in text.strip().splitlines()]


def _number_word(name: str, other: str, family: str, limits: str, adjectives: str) -> Word:
    low, high = ((float if "." in limits else int)(part) for part in limits.split("-"))
    if family == "count":
        phrases = (f"number of {name}",)
    elif name in {"founded", "opened", "built", "born", "joined", "started"}:
        phrases = (other,)
    else:
        phrases = (name, other) if other else (name,)
    return Word("number", phrases, family, tuple(adjectives.split()), low, high)


NUMBERS = {row[0]: _number_word(*row) for row in _fields(NUMBER_WORDS)}
GROUPS = {
    name: Word("group", (name, other) if other else (name,), place=place)
    for name, other, place in _fields(GROUP_WORDS)
    if name not in RESERVED and name not in LABEL_WORDS
}
LABELS = {name: Word("label", (name,)) for name in LABEL_WORDS}
NOUNS = tuple(noun for noun in dict.fromkeys(PEOPLE + THINGS) if noun not in RESERVED)
_PEOPLE_SET = frozenset(PEOPLE)


def is_person(noun: str) -> bool:
    """Whether the noun names people, so that "who" follows it."""
    return noun.rpartition(" ")[2] in _PEOPLE_SET


@cache
def word_for(name: str) -> Word:
    """The English of a column identifier.

    Args:
        name: a lexicon word (`salary`), a modifier and a lexicon word (`home_city`), or a key (`singer_id`).

    Returns:
        The word; a modified word keeps role, family and range, but not the adjectives.

    Raises:
        KeyError: the identifier is not made of lexicon words.
    """
    for words in (NUMBERS, GROUPS, LABELS):
        if name in words:
            return words[name]
    if name.endswith("_id"):
        return Word("key", (name[:-3].replace("_", " ") + " id",))
    modifier, _, base = name.partition("_")
    if modifier not in MODIFIERS:
        raise KeyError(f"{name!r} is not made of lexicon words: add the word to lexicon.py")
    word = word_for(base)
    phrases = tuple(
        f"number of {modifier} {p[10:]}" if p.startswith("number of ") else f"{modifier} {p}" for p in word.phrases
    )
    return Word(word.role, phrases, word.family, (), word.low, word.high)
