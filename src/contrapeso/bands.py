"""Where public measurements of a base model agree: what a study of that model should find too.

Nothing enters; bands leave, by the name of the base model. `audit.published_band` holds measurements against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contrapeso.report.measurement import Measurement, StudyFacts

WHOLE_SPIDER_TRAIN = 6_500
"""Training examples from which a run counts as trained on all of Spider (7,000 in the common file)."""


@dataclass(frozen=True)
class Band:
    """Accuracy where several public measurements agree: 5-shot for the base model, after QLoRA for tuned ones."""

    task: str
    low: float
    high: float
    tuned: bool

    def speaks_of(self, measurement: Measurement, facts: StudyFacts) -> bool:
        """Whether the band is about such a measurement: of the base or a run, prompted as all are."""
        point = measurement.point
        if measurement.prompt_note or (point and (point.intermediate or point.imported)):
            return False
        if self.tuned:
            return measurement.variant != facts.baseline and facts.train_examples >= WHOLE_SPIDER_TRAIN
        return measurement.variant == facts.baseline


PUBLISHED_BANDS: Mapping[str, tuple[Band, ...]] = {
    "mistralai/Mistral-7B-Instruct-v0.2": (
        Band("mmlu", 0.58, 0.61, tuned=False),
        Band("spider", 0.65, 0.75, tuned=True),
    ),
}
