"""How tables and columns are spoken of: the objects that fill the slots of wordings and of SQL.

A column of a world enters; a `Mention` (`{number.phrase}`, `{number.over}`, `{label.literal}`) leaves.
Attributes are computed when a template asks for them, which keeps the text stream fast.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tools.pocket.worlds.lexicon import FAMILY_WORDS, is_person, plural_of
from tools.pocket.worlds.model import Column, Table, Value


@dataclass(frozen=True)
class Noun:
    """A table as a question speaks of it."""

    table: Table

    @property
    def name(self) -> str:
        """The identifier."""
        return self.table.name

    @property
    def noun(self) -> str:
        """Singular."""
        return self.table.noun

    @property
    def plural(self) -> str:
        """Plural."""
        return self.table.plural

    @property
    def key(self) -> str:
        """The primary key's identifier."""
        return self.table.key.name

    @property
    def a(self) -> str:
        """Singular with its indefinite article."""
        return with_article(self.table.noun)

    @property
    def its(self) -> str:
        """The possessive pronoun."""
        return "their" if is_person(self.table.noun) else "its"


@dataclass(frozen=True)
class Mention:
    """A column in one question, with the phrase chosen for it and one value drawn from it."""

    table: Table
    column: Column
    phrase: str
    value: Value
    quoted: bool

    @property
    def name(self) -> str:
        """The identifier."""
        return self.column.name

    @property
    def full(self) -> str:
        """The identifier with its table."""
        return f"{self.table.name}.{self.column.name}"

    @property
    def phrases(self) -> str:
        """The column's English in the plural."""
        return self.phrase.replace("number of", "numbers of") if self._counts else plural_of(self.phrase)

    @property
    def a(self) -> str:
        """The column's English with its indefinite article."""
        return with_article(self.phrase)

    @property
    def literal(self) -> str:
        """The value as SQL writes it."""
        return literal(self.value)

    @property
    def said(self) -> str:
        """The value as the question writes it: verbatim, in quotes or not."""
        return f"'{self.value}'" if self.quoted else str(self.value)

    @property
    def start(self) -> str:
        """The first letter of a text value."""
        return str(self.value)[0]

    @property
    def part(self) -> str:
        """The last word of a text value."""
        return str(self.value).rpartition(" ")[2]

    @property
    def top(self) -> str:
        """highest, latest."""
        return FAMILY_WORDS[self.column.word.family][0]

    @property
    def bottom(self) -> str:
        """lowest, earliest."""
        return FAMILY_WORDS[self.column.word.family][1]

    @property
    def over(self) -> str:
        """What follows a noun for more than the value: "older than 30", "with more than 30 pages"."""
        return self._compared(0)

    @property
    def under(self) -> str:
        """What follows a noun for less than the value."""
        return self._compared(1)

    @property
    def best_one(self) -> str:
        """The noun that ranks first: "oldest singer", "book with the most pages"."""
        return self._ranked(0, self.table.noun)

    @property
    def least_one(self) -> str:
        """The noun that ranks last."""
        return self._ranked(1, self.table.noun)

    @property
    def best_many(self) -> str:
        """The nouns that rank first."""
        return self._ranked(0, self.table.plural)

    @property
    def least_many(self) -> str:
        """The nouns that rank last."""
        return self._ranked(1, self.table.plural)

    @property
    def downward(self) -> str:
        """The order from the top: "from oldest to youngest"."""
        return self._ordered(0, 1)

    @property
    def upward(self) -> str:
        """The order from the bottom."""
        return self._ordered(1, 0)

    @property
    def _counts(self) -> bool:
        return self.column.word.family == "count"

    @property
    def _counted(self) -> str:
        return self.phrase.removeprefix("number of ")

    def _compared(self, side: int) -> str:
        word = self.column.word
        if word.adjectives:
            return (
                f"{word.adjectives[side]} than {self.said}"
                if word.family != "year"
                else (f"from {('after', 'before')[side]} {self.said}")
            )
        if self._counts:
            return f"with {('more', 'fewer')[side]} than {self.said} {self._counted}"
        return f"with {self.a} {FAMILY_WORDS[word.family][2 + side]} {self.said}"

    def _ranked(self, side: int, noun: str) -> str:
        word = self.column.word
        if word.adjectives:
            return f"{word.adjectives[2 + side]} {noun}"
        if self._counts:
            return f"{noun} with the {('most', 'fewest')[side]} {self._counted}"
        return f"{noun} with the {FAMILY_WORDS[word.family][side]} {self.phrase}"

    def _ordered(self, first: int, last: int) -> str:
        word = self.column.word
        if word.adjectives:
            return f"from {word.adjectives[2 + first]} to {word.adjectives[2 + last]}"
        words = FAMILY_WORDS[word.family]
        return f"from {words[first]} to {words[last]} {self.phrase}"


def speak(table: Table, column: Column, rng: random.Random) -> Mention:
    """Draw a phrase and a value for a column.

    Args:
        table: the column's table.
        column: what is spoken of; numbers give an inner value, so that both sides of it hold rows.
        rng: where the choices come from.

    Returns:
        The mention.
    """
    values = column.values
    if column.role == "number":
        values = tuple(sorted(set(values)))[1:-1] or values
    value = rng.choice(values) if values else 0
    phrases = column.word.phrases
    phrase = phrases[0] if len(phrases) == 1 or rng.random() < 0.75 else rng.choice(phrases[1:])
    text = isinstance(value, str)
    quoted = text and (column.role == "label" or rng.random() < 0.5)
    return Mention(table, column, phrase, value, quoted)


def literal(value: Value) -> str:
    """A value as SQL writes it; texts in single quotes."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    vowel = phrase[0] in "aeio" or phrase.startswith(("un", "up", "ug", "hour"))
    return f"an {phrase}" if vowel else f"a {phrase}"
