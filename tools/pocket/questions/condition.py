"""How conditions are spoken of: `{condition.words}` and `{condition.sql}`.

A mention of a column with a value enters; a comparison leaves, worded from the study's set or the pretraining set.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tools.pocket.questions.mention import Mention, literal
from tools.pocket.worlds.lexicon import FAMILY_WORDS


@dataclass(frozen=True)
class Condition:
    """One comparison of a column with a value, in words and in SQL."""

    mention: Mention
    words: str
    comparison: str

    @property
    def sql(self) -> str:
        """The comparison, for queries over one table."""
        return f"{self.mention.name} {self.comparison}"

    @property
    def full(self) -> str:
        """The comparison with the table named, for joins."""
        return f"{self.mention.full} {self.comparison}"


@dataclass(frozen=True)
class Fragments:
    """Ways to say a comparison: those of the study's questions and those of the pretraining text."""

    comparison: str
    study: tuple[str, ...]
    pretraining: tuple[str, ...]


TEXT_CONDITIONS = (
    Fragments(
        "= {m.literal}",
        ("whose {m.phrase} is {m.said}", "with {m.said} as {m.phrase}", "with the {m.phrase} {m.said}"),
        ("that have the {m.phrase} {m.said}", "where the {m.phrase} is {m.said}", "of {m.phrase} {m.said}"),
    ),
    Fragments(
        "= {m.literal}",
        ("whose {m.phrase} is {m.said}", "for which the {m.phrase} is {m.said}"),
        ("having {m.said} as {m.phrase}", "where {m.phrase} equals {m.said}"),
    ),
    Fragments(
        "!= {m.literal}",
        ("whose {m.phrase} is not {m.said}", "with {m.a} other than {m.said}"),
        ("where the {m.phrase} is not {m.said}", "that have another {m.phrase} than {m.said}"),
    ),
)
PLACE_CONDITION = Fragments(
    "= {m.literal}",
    ("{place} {m.said}",),
    ("that are {place} {m.said}", "that come {place} {m.said}"),
)
NUMBER_CONDITIONS = (
    Fragments(
        "> {m.literal}",
        ("{m.over}", "whose {m.phrase} is {above} {m.said}", "with {m.a} greater than {m.said}"),
        (
            "where the {m.phrase} is {above} {m.said}",
            "having {m.a} of more than {m.said}",
            "that have {m.a} over {m.said}",
        ),
    ),
    Fragments(
        "< {m.literal}",
        ("{m.under}", "whose {m.phrase} is {below} {m.said}", "with {m.a} less than {m.said}"),
        (
            "where the {m.phrase} is {below} {m.said}",
            "having {m.a} of less than {m.said}",
            "that have {m.a} under {m.said}",
        ),
    ),
    Fragments(
        ">= {m.literal}",
        ("whose {m.phrase} is at least {m.said}", "with {m.a} of {m.said} or more"),
        ("that have {m.a} of at least {m.said}", "where the {m.phrase} is {m.said} or higher"),
    ),
    Fragments(
        "<= {m.literal}",
        ("whose {m.phrase} is at most {m.said}", "with {m.a} of {m.said} or less"),
        ("that have {m.a} of at most {m.said}", "where the {m.phrase} is {m.said} or lower"),
    ),
    Fragments(
        "BETWEEN {m.literal} AND {high}",
        ("whose {m.phrase} is between {m.said} and {high}", "with {m.a} from {m.said} to {high}"),
        ("where the {m.phrase} lies between {m.said} and {high}", "that have {m.a} between {m.said} and {high}"),
    ),
)


def condition_on(mention: Mention, rng: random.Random, *, pretraining: bool) -> Condition:
    """Turn a mention into a comparison with its value, worded from one of the two sets."""
    word = mention.column.word
    if mention.column.role == "number":
        fragments = NUMBER_CONDITIONS[int(rng.random() * 7) % 5]  # > and < twice as often as the rest
    elif word.place and rng.random() < 0.4:
        fragments = PLACE_CONDITION
    else:
        fragments = TEXT_CONDITIONS[int(rng.random() * 5) // 2]  # != half as often
    family = FAMILY_WORDS.get(word.family, ("", "", "", ""))
    fields = {"m": mention, "place": word.place, "above": family[2], "below": family[3], "high": ""}
    if fragments.comparison.startswith("BETWEEN"):
        larger = [value for value in mention.column.values if value > mention.value]  # type: ignore[operator]
        fields["high"] = literal(rng.choice(larger)) if larger else mention.literal
    words = rng.choice(fragments.pretraining if pretraining else fragments.study)
    return Condition(mention, words.format(**fields), fragments.comparison.format(**fields))
