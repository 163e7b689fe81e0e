"""What reports and audit speak about: the facts of a study and its measurements. Plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from contrapeso.models.engine import Point
from contrapeso.tasks.base import Item, Kind, Outcome


@dataclass(frozen=True)
class Axis:
    """What a further axis is, beside target and general task.

    Attributes:
        kind: as in the setting: `choices`, `shuffled`, `full_text`, `perplexity`, `lm_eval`.
        again: the task, or the axis before it, whose very questions it asks another time; "" for questions of its own.
    """

    kind: str
    again: str = ""


@dataclass(frozen=True)
class Measurement:
    """One variant measured on one task.

    Attributes:
        variant: display name, e.g. `Fine-Tuned Run 1`.
        task: key of the task, e.g. `spider`.
        kind: `generation` (free text), `options` (letters by log-probability), `texts` (their log-likelihoods) or
            `model` (asked by another harness).
        outcomes: one per item, in data-set order.
        prompt_note: how the prompts differ from the baseline's on purpose, e.g. `3-shot`; "" means identical prompts.
        point: where the variant lies between the base and the end of training; None for the base.
        axis: what the task is when it is neither target nor general; else None.
    """

    variant: str
    task: str
    kind: Kind
    outcomes: Sequence[Outcome]
    prompt_note: str = ""
    point: Point | None = None
    axis: Axis | None = None

    @property
    def counted(self) -> list[Outcome]:
        """The outcomes that make the headline numbers."""
        return [outcome for outcome in self.outcomes if not outcome.left_out]

    @property
    def left_out(self) -> list[Outcome]:
        """The outcomes reported apart."""
        return [outcome for outcome in self.outcomes if outcome.left_out]


@dataclass(frozen=True)
class StudyFacts:
    """What the numbers of a study are computed from, apart from the outcomes.

    Attributes:
        name: name of the study.
        baseline: the variant every other one is compared with.
        target: task the runs were tuned for.
        general: task that stands for what the model knew before.
        seed: seed of every resampling.
        categories: group of the general task (subject) -> category, in standard English names.
        chance: task -> accuracy of guessing, fraction.
        margin: largest difference that would not matter, fraction.
        base_model: name of the base model, e.g. `mistralai/Mistral-7B-Instruct-v0.2`.
        train_examples: how many examples every run learnt from.
    """

    name: str
    baseline: str = "Baseline Model"
    target: str = "spider"
    general: str = "mmlu"
    seed: int = 0
    categories: Mapping[str, str] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=lambda: {"mmlu": 0.25})
    margin: float = 0.02
    base_model: str = ""
    train_examples: int = 0


@dataclass(frozen=True)
class Check:
    """Verdict of one audit check.

    Attributes:
        check: name of the check, e.g. `below_chance`.
        status: `ok`, `warn` or `fail`.
        detail: what was found, in a sentence.
        affects: (variant, task) of the numbers that a `fail` makes worthless, or that a `warn` speaks of.
        reasons: why, for each of `affects`; empty when `detail` speaks for all.
        warns: (variant, task) of the numbers that a check which fails for others only warns of.
    """

    check: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    affects: tuple[tuple[str, str], ...] = ()
    reasons: tuple[str, ...] = ()
    warns: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Sources:
    """What a report is made from, beside the summary. None of it needs the model or the data sets.

    Attributes:
        measurements: one per variant and task, target and general.
        items: task -> item id -> item; items lack their database here.
        schemas: group of the target task (`db_id`) -> its schema as the prompts show it.
        training: run -> one dict an optimizer step: `step`, `loss`, `learning_rate`, ...
        provenance: JSON-ready facts on versions, data, hardware and settings, shown as they are.
        language: of the page and the paper, `en` or `pt-BR`.
        settings: the study as its file says it, JSON-ready (`model`, `target`, `runs`, ...); empty when unknown.
        axes: one per variant and further axis.
    """

    measurements: Sequence[Measurement]
    items: Mapping[str, Mapping[str, Item]] = field(default_factory=dict)
    schemas: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    language: str = "en"
    settings: Mapping[str, Any] = field(default_factory=dict)
    axes: Sequence[Measurement] = ()
