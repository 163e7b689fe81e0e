"""The pocket model's pretraining text: a seeded, endless stream of short documents.

Three kinds, mixed by share: world facts (statements, and quizzes in other wordings and with other distractors than
the test's), SQL over random schemas in layouts other than the task's, and a trace of the task's own layout over
random schemas. Nothing here reads a test question or a dev database.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tools.pocket import fact_text, sql_text


@dataclass(frozen=True)
class Mixture:
    """Shares of documents by kind; they need not add up to one."""

    statements: float = 0.22
    quizzes: float = 0.20
    sql: float = 0.57
    task_layout: float = 0.01


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
        "sql": lambda: sql_text.sql_document(rng, rng.choice(sql_text.LAYOUTS)),
        "task_layout": lambda: sql_text.task_layout_document(rng),
    }
    kinds = list(writers)
    shares = [getattr(mixture, kind) for kind in kinds]
    while True:
        yield writers[rng.choices(kinds, shares)[0]]()
