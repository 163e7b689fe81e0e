"""The pocket model's pretraining text: a seeded, endless stream of short documents.

Kinds, mixed by share: world facts (statements, and quizzes in other wordings and with other distractors than the
test's), letter exercises (quizzes made easy), SQL over random schemas in layouts other than the task's,
and a trace of the task's own layout over random schemas. Nothing here reads a test question or a dev
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
    task_layout: float = 0.0004


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
    """One to five multiple-choice items in the benchmark's layout, made easier than a quiz in two ways.

    Without them a model learns every fact and still answers the benchmark at chance: its answer is one token in forty,
    and to find it takes several steps (which option fits, which letter stands before it) that bring nothing one by
    one. So wrong options come from other relations, where the kind of thing tells them apart, and some options are
    judged on their line (`C. Mg yes`). How often each happens is drawn for every document, down to never, so that the
    steps grow together.
    """
    subject, facts = rng.choice(fact_text.fact_book().subjects)
    chosen = rng.sample(facts, rng.randint(1, 5))
    related = rng.random()
    judged = 0.0 if rng.random() < 0.5 else rng.random()
    header = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    return header + "\n\n".join(_easy_item(rng, fact, related, judged) for fact in chosen) + "\n"


def _easy_item(rng: random.Random, fact: fact_text.Fact, related: float, judged: float) -> str:
    """One item; `related` is the chance that a wrong option is of the right kind, `judged` that a line says yes or no.

    One time in five a sentence that says the fact stands before the question.
    """
    options = [fact.y]
    while len(options) < 4:
        other = rng.choice(fact.offered) if rng.random() < related else rng.choice(fact_text.fact_book().facts).y
        if other not in options and other not in fact.reserved:
            options.append(other)
    rng.shuffle(options)
    told = f"{rng.choice(fact.statements)} " if rng.random() < 0.2 else ""
    lines = [told + rng.choice(fact.questions)]
    for letter, option in zip(fact_text.LETTERS, options, strict=True):
        judgement = f" {'yes' if option == fact.y else 'no'}" if rng.random() < judged else ""
        lines.append(f"{letter}. {option}{judgement}")
    return "\n".join([*lines, f"Answer: {fact_text.LETTERS[options.index(fact.y)]}"])
