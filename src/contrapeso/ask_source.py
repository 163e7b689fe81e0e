"""Which model answers questions: the base and the runs of a study folder, or a model with or without an adapter.

Options of the command line enter; a `Source` leaves: the model's settings, the prompt's, and the variants. Nothing is
loaded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contrapeso.errors import StudyError
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.engine import Variant
from contrapeso.models.loading import POCKET
from contrapeso.models.variants import FoundVariant, find_variant, ready_variants
from contrapeso.settings import ModelSettings, TargetSettings
from contrapeso.study import BASELINE, Study, load_study
from contrapeso.tasks.base import Item


@dataclass(frozen=True)
class Source:
    """Who may answer, and how they are asked.

    Attributes:
        model: the base model.
        target: how prompts are written, and which data set is at hand.
        variants: the base first.
        chosen: who answers when nobody is named.
        shots: solved questions before each question, as in the study.
        folder: the study folder, where there is one.
    """

    model: ModelSettings
    target: TargetSettings
    variants: tuple[Variant, ...]
    chosen: Variant
    shots: tuple[Item, ...] = ()
    folder: Path | None = None

    def named(self, name: str) -> Variant:
        """The variant of that name, whatever the case of its letters; of a study also a checkpoint or a scaled one.

        Raises:
            StudyError: there is none.
            StoreError: the study plans it, but it is not trained yet.
        """
        if self.folder:
            return _variant(find_variant(self.folder, name))
        for variant in self.variants:
            if variant.name.casefold() == name.strip().casefold():
                return variant
        there = ", ".join(variant.name for variant in self.variants)
        raise StudyError(f"there is no variant {name!r}; there are: {there}")


def study_source(folder: Path, *, variant: str | None = None, overrides: Sequence[str] = ()) -> Source:
    """The variants of a study folder, as the study asks them.

    Args:
        folder: what `contrapeso run --out` wrote.
        variant: who is asked; the first run by default.
        overrides: settings, as for `load_study`.

    Raises:
        StoreError: this is no study folder, or the variant is not trained yet.
        StudyError: an override is wrong, or the study has no such variant.
        DataError: the study's prompts hold train examples and its data is gone.
    """
    variants = tuple(map(_variant, ready_variants(folder)))
    study = load_study(folder / "study.toml", overrides)
    chosen = _variant(find_variant(folder, variant)) if variant else variants[min(1, len(variants) - 1)]
    return Source(study.model, study.target, variants, chosen=chosen, shots=_shots(study), folder=folder.resolve())


def model_source(model: str | None = None, *, adapter: Path | None = None, overrides: Sequence[str] = ()) -> Source:
    """A model, with one adapter at most; the pocket model by default.

    Args:
        model: a hub id, a folder or `pocket`.
        adapter: a folder in PEFT format.
        overrides: settings, as for `load_study`.

    Raises:
        ModelError: the adapter's folder is not one.
        StudyError: an override is wrong.
    """
    usual = TargetSettings()
    settings = () if model in (None, POCKET) else (
        f"model.id={model}",
        f"target.schema_style={usual.schema_style}",
        f"target.max_new_tokens={usual.max_new_tokens}",
    )  # fmt: skip
    study = load_study(POCKET, (*settings, *overrides))
    variants = [Variant(BASELINE)]
    if adapter:
        adapter_identity(adapter)
        variants.append(Variant(adapter.resolve().name, adapter.resolve()))
    return Source(study.model, study.target, tuple(variants), chosen=variants[-1])


def _variant(found: FoundVariant) -> Variant:
    return Variant(found.name, found.adapter, found.scale)


def _shots(study: Study) -> tuple[Item, ...]:
    if not study.target.shots:
        return ()
    from contrapeso.gathering import read_target
    from contrapeso.tasks.text_to_sql import choose_shots

    return choose_shots(read_target(study.target)[0], study.target.shots, seed=study.seed)
