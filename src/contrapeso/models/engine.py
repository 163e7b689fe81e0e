"""The seam between tasks and models: what an engine must do, and what a variant is.

An engine loads the base once and answers for any variant of it. `local` (transformers + PEFT) is one; others are one
file and one line in `models/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from contrapeso.names import checkpoint_name, scaled_name
from contrapeso.tasks.base import Generation, OptionScores, Prompt, TextScores


@dataclass(frozen=True)
class Variant:
    """A model under evaluation.

    Attributes:
        name: display name, e.g. `Baseline Model`, `Fine-Tuned Run 1`.
        adapter: folder of the LoRA adapter in PEFT format; None is the base itself.
        scale: what the adapter's update is multiplied by: W + scale (alpha / r) B A. 1 is the adapter as trained.
    """

    name: str
    adapter: Path | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Point:
    """Where a variant with an adapter lies on the way from the base to the end of training.

    Attributes:
        origin: display name of the run, or of the adapter trained elsewhere.
        step: the optimizer step of a checkpoint; None is the end.
        scale: what the update is multiplied by; 1 is the update as trained.
        imported: whether it was trained elsewhere.
        probe: whether it is measured on the probe items alone.
    """

    origin: str
    step: int | None = None
    scale: float = 1.0
    imported: bool = False
    probe: bool = False

    @property
    def adapter(self) -> str:
        """Display name of the adapter's folder: the origin, or one of its checkpoints."""
        return self.origin if self.step is None else checkpoint_name(self.origin, self.step)

    @property
    def name(self) -> str:
        """Display name of the variant."""
        return scaled_name(self.adapter, self.scale)

    @property
    def intermediate(self) -> bool:
        """Whether it lies on the way, and is not the run or the imported adapter itself."""
        return self.step is not None or self.scale != 1


class Engine(Protocol):
    """Answers prompts for variants of one base model.

    All methods yield `(indices, replies)` batch by batch; `indices` point into `prompts`. The division into batches
    depends on `prompts` alone, and `skip` (indices already answered) only leaves out batches that lie wholly inside
    it: so a resumed run computes the very same batches and ends in the same bits. `skip.issuperset` is asked exactly
    once for every batch, in the order of the plan (`models.sharded.Share` counts on it).
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
        """Greedy generation.

        Args:
            variant: which adapter answers, if any.
            prompts: what is asked.
            max_new_tokens: most tokens of an answer.
            stop: strings that end an answer, as end-of-sequence does; the text is cut before the first of them.
            skip: prompts already answered.
        """

    def score_options(
        self, variant: Variant, prompts: Sequence[Prompt], *, letters: Sequence[str], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[OptionScores]]]:
        """Log-probability of each letter as the next token. Prompts with equal `prefix` share its computation.

        Args:
            variant, prompts, skip: as in `generate`.
            letters: the options, e.g. `("A", "B", "C", "D")`.
        """

    def score_texts(
        self, variant: Variant, prompts: Sequence[Prompt], *, texts: Sequence[Sequence[str]], skip: frozenset[int]
    ) -> Iterator[tuple[list[int], list[TextScores]]]:
        """Log-likelihood of each of a prompt's texts after it.

        Args:
            variant, skip: as in `generate`.
            prompts: what stands before the texts; one without a token lends the first of the text's.
            texts: of each prompt, at least one, none empty.
        """

    def lent(self, variant: Variant) -> AbstractContextManager[tuple[Any, Any]]:
        """The variant's very model and its tokenizer, for another harness to ask within the block."""
