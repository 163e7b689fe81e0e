"""The seam between tasks and models: what an engine must do, and what a variant is.

An engine loads the base once and answers for any variant of it. `local` (transformers + PEFT) is one; others are one
file and one line in `models/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contrapeso.tasks.base import Generation, OptionScores, Prompt


@dataclass(frozen=True)
class Variant:
    """A model under evaluation.

    Attributes:
        name: display name, e.g. `Baseline Model`, `Fine-Tuned Run 1`.
        adapter: folder of the LoRA adapter in PEFT format; None is the base itself.
    """

    name: str
    adapter: Path | None = None


class Engine(Protocol):
    """Answers prompts for variants of one base model.

    Both methods yield `(indices, replies)` batch by batch; `indices` point into `prompts`. The division into batches
    depends on `prompts` alone, and `skip` (indices already answered) only leaves out batches that lie wholly inside
    it: so a resumed run computes the very same batches and ends in the same bits.
    """

    def generate(
        self,
        variant: Variant,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: Sequence[str],
        skip: frozenset[int],
    ) -> Iterator[tuple[list[int], list[Generation]]]:
        """Greedy generation, ended by end-of-sequence or by any string in `stop` (which is cut off)."""

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token. Prompts with equal `prefix` share its computation."""
