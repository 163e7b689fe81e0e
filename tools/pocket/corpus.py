"""The pocket model's pretraining text: a seeded, endless stream of short documents.

Kinds, mixed by share: world facts (statements, and quizzes in other wordings and with other distractors than the
test's), letter exercises (items whose answer is given away), SQL over random schemas in layouts other than the task's,
and, where asked for, a trace of the task's own layout over random schemas. Nothing here reads a test question or a dev
database.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tools.pocket import fact_text, sql_text


@dataclass(frozen=True)
class Mixture:
    """Shares of documents by kind; they need not add up to one."""

    statements: float = 0.10
    quizzes: float = 0.50
    letters: float = 0.24
    sql: float = 0.28
    task_layout: float = 0.0


def documents(seed: int, mixture: Mixture) -> Iterator[str]:
    """Yield documents without end.

    Args:
        seed: two streams with one seed are equal.
        mixture: shares of the kinds.
    """
    rng = random.Random(seed)
    writers = {
        "statements": lambda: fact_text.fact_document(rng, "statements"),
        "quizzes": lambda: fact_text.fact_document(rng, "quiz"),
        "letters": lambda: letter_document(rng),
        "sql": lambda: sql_text.sql_document(rng, rng.choice(sql_text.LAYOUTS)),
        "task_layout": lambda: sql_text.task_layout_document(rng),
    }
    kinds = list(writers)
    shares = [getattr(mixture, kind) for kind in kinds]
    while True:
        yield writers[rng.choices(kinds, shares)[0]]()


def letter_document(rng: random.Random) -> str:
    """One to five multiple-choice items that give their answer away, so that what is learnt is to name its letter.

    Without them a model learns every fact and still answers the benchmark at chance: the letter is one token in forty,
    and finding it takes two steps (which option holds, which letter stands before it) that bring nothing one by one.
    """
    subject, facts = rng.choice(fact_text.fact_book().subjects)
    kind, item = rng.choice(_EXERCISES)
    lines = [item(rng, fact) for fact in rng.sample(facts, rng.randint(1, 5))]
    header = f"The following are {kind} about {subject}.\n\n"
    return header + "\n\n".join(lines) + "\n"


def _named_item(rng: random.Random, fact: fact_text.Fact) -> str:
    """The question names the option."""
    options = rng.sample(sorted({fact.y, *fact.offered}), 4)
    place = rng.randrange(4)
    return _item(f"Which option says {options[place]}?", options, place)


def _told_item(rng: random.Random, fact: fact_text.Fact) -> str:
    """A sentence that says the fact stands before the question."""
    options = rng.sample(fact.offered, 3)
    place = rng.randrange(4)
    options.insert(place, fact.y)
    return _item(f"{rng.choice(fact.statements)} {rng.choice(fact.questions)}", options, place)


def _item(question: str, options: list[str], place: int) -> str:
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(fact_text.LETTERS, options, strict=True))
    return f"{question}\n{listed}\nAnswer: {fact_text.LETTERS[place]}"


def _open_item(rng: random.Random, fact: fact_text.Fact) -> str:
    """No options: after `Answer:` the answer itself is recalled."""
    return f"{rng.choice(fact.questions)}\nAnswer: {fact.y}"


def _spelled_item(rng: random.Random, fact: fact_text.Fact) -> str:
    """The answer in words and then its letter: recalled, found among the options, named."""
    options = rng.sample(fact.offered, 3)
    place = rng.randrange(4)
    options.insert(place, fact.y)
    item = _item(rng.choice(fact.questions), options, place)
    return f"{item[:-1]}{fact.y} ({item[-1]})"


_EXERCISES = (
    ("multiple choice questions (with answers)", _named_item),
    ("multiple choice questions (with answers)", _told_item),
    ("open questions (with answers)", _open_item),
    ("multiple choice questions (with answers in words)", _spelled_item),
    ("multiple choice questions (with answers in words)", _spelled_item),
)
