"""The one loop: ask a variant every item of a task, score the replies, journal the outcomes."""

from __future__ import annotations

from contrapeso.models.engine import Engine, Variant
from contrapeso.progress import Reporter, Silent
from contrapeso.store import Journal
from contrapeso.tasks.base import Outcome, Task


def evaluate(
    engine: Engine, variant: Variant, task: Task, *, journal: Journal, reporter: Reporter | None = None
) -> list[Outcome]:
    """Measure one variant on one task, resuming from the journal.

    Args:
        engine: answers prompts.
        variant: who is asked.
        task: what is asked, and how it is judged.
        journal: holds the outcomes already known and takes every new batch at once.
        reporter: where progress goes; nowhere by default.

    Returns:
        One outcome for every item, in the order of `task.items`.
    """
    items = task.items
    done = frozenset(index for index, item in enumerate(items) if item.id in journal.outcomes)
    label = f"{variant.name}: {task.name}"
    with (reporter or Silent()).track(label, total=len(items), done=len(done)) as advance:
        if len(done) < len(items):
            for indices, replies in task.ask(engine, variant, skip=done):
                journal.append(task.score([items[index] for index in indices], replies))
                advance(sum(index not in done for index in indices))
    return [journal.outcomes[item.id] for item in items]
