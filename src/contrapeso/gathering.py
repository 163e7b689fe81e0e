"""From a study to its materials: read the data, look at the model and at adapters trained elsewhere, plan the variants.

A `Study` enters, with the sandbox that runs SQL; `Materials` leave. No weights are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contrapeso.axes import read_axes
from contrapeso.data import load_mmlu, load_questions, mmlu_folder, spider_folder
from contrapeso.errors import ModelError
from contrapeso.materials import Materials, commit_of
from contrapeso.models.adapter_import import Imported, inspect_adapter
from contrapeso.models.choice import choose_for_study
from contrapeso.models.engine import Point
from contrapeso.models.loading import (
    load_tokenizer,
    local_folder,
    require_quantization,
    resolve_device,
    resolve_dtype,
    weights_identity,
)
from contrapeso.models.prompts import render
from contrapeso.models.scaling import require_scalable
from contrapeso.models.served_start import without_weights
from contrapeso.points import points_of, probe_items
from contrapeso.settings import GeneralSettings, ModelSettings, RunSettings, TargetSettings
from contrapeso.sql import Sandbox
from contrapeso.store import fingerprint
from contrapeso.study import Study
from contrapeso.tasks.base import Item, Task
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.tasks.text_to_sql import TextToSQL, choose_shots
from contrapeso.training.examples import training_examples
from contrapeso.training.replay import replay_count, replay_pool


def read_target(settings: TargetSettings) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Train items and evaluated items of the target task.

    Raises:
        DataError: a file is missing or malformed; the message names it.
    """
    folder = spider_folder(settings.data)
    reasons = {item: entry.reason for entry in settings.leave_out for item in entry.items}
    train = load_questions(folder, "train", limit=settings.train_limit)
    return train, load_questions(folder, "dev", limit=settings.limit, leave_out=reasons)


def read_general(settings: GeneralSettings) -> MultipleChoice:
    """The general task.

    Raises:
        DataError: a file is missing or malformed; the message names it.
    """
    folder = mmlu_folder(settings.data)
    reasons = {item: entry.reason for entry in settings.leave_out for item in entry.items}
    limit = settings.limit_per_subject
    mmlu = load_mmlu(folder, subjects=settings.subjects, limit_per_subject=limit, leave_out=reasons)
    return MultipleChoice(mmlu.test, mmlu.dev, shots=settings.shots)


def name_base(settings: ModelSettings) -> dict[str, str]:
    """What every result depends on: the exact weights, their arithmetic, their quantization.

    Raises:
        ModelError, ResourceError: the model is not there, or this machine cannot run it so.
    """
    device = resolve_device(settings.device)
    require_quantization(settings.quantization, device, asked=settings.device)
    return {
        "model": weights_identity(settings.id, settings.revision),
        "dtype": resolve_dtype(settings.dtype, device),
        "quantization": settings.quantization,
    }


def gather(study: Study, sandbox: Sandbox) -> Materials:
    """Load and check everything a study needs except weights.

    Raises:
        DataError, ModelError, ResourceError: something is missing or malformed; the message names it.
    """
    target = study.target
    train, items = read_target(target)
    general = read_general(study.general)
    base_key = name_base(study.model)
    tokenizer = load_tokenizer(study.model.id, study.model.revision)
    zero_shot = TextToSQL(
        items,
        sandbox,
        schema_style=target.schema_style,
        chat=use_chat(study.model, tokenizer),
        max_new_tokens=target.max_new_tokens,
    )

    examples = tuple(training_examples(train, zero_shot.prompt))

    def with_shots(count: int) -> TextToSQL:
        return replace(zero_shot, shots=choose_shots(train, count, seed=study.seed))

    target_task = with_shots(target.shots)
    few_shot = with_shots(target.baseline_shots) if target.baseline_shots else None
    every_run: list[TextToSQL | MultipleChoice] = [target_task, general]
    once: list[Task] = [few_shot] if few_shot else []
    points = plan_points(study, len(examples))
    probes = _probes(every_run, study.evaluate.probe_items, study.seed)
    measured = [probes.get(task.name, task) if point.probe else task for point in points for task in every_run]
    axes = read_axes(study.axes, general, seed=study.seed)
    return Materials(
        target=target_task,
        few_shot=few_shot,
        general=general,
        train=train,
        examples=examples,
        base_key={**base_key, "markup": fingerprint(render(tokenizer, zero_shot.prompt(items[0])))},
        engine=choose_for_study(
            study.evaluate.engine,
            study.model,
            commit=commit_of(base_key),
            dtype=base_key["dtype"],
            tasks=[*every_run, *once, *measured, *(task for task, _ in axes)],
        ),
        points=points,
        imported=look_at_imported(study, commit_of(base_key)),
        probes=probes,
        axes=axes,
        replay={run.name: replay_pool(run.replay, general) for run in study.runs if run.replay},
    )


def _learnt(run: RunSettings, examples: int) -> int:
    """How many examples a run learns from, replayed ones included."""
    return examples + (replay_count(examples, run.replay.share) if run.replay else 0)


def plan_points(study: Study, examples: int) -> tuple[Point, ...]:
    """Every variant with an adapter.

    Args:
        study: its runs, adapters, and which checkpoints and scales are wanted.
        examples: of the train set.

    Raises:
        StudyError: a run has no such step as `evaluate.checkpoints` names.
    """
    learnt = [(run, _learnt(run, examples)) for run in study.runs]
    return points_of(learnt, [adapter.name for adapter in study.adapters], study.evaluate)


def _probes(tasks: Sequence[TextToSQL | MultipleChoice], count: int | None, seed: int) -> dict[str, Task]:
    """The part of every task on which checkpoints and scaled adapters are measured; empty when that is all of it."""
    if count is None:
        return {}
    return {task.name: replace(task, items=probe_items(task.items, count, seed)) for task in tasks}


def look_at_imported(study: Study, commit: str | None) -> dict[str, Imported]:
    """Look at every adapter trained elsewhere; a stranger's file is not believed to fit.

    Raises:
        ModelError: one is missing or damaged, does not fit the base, or cannot be scaled as the study asks.
    """
    if not study.adapters:
        return {}
    folder = local_folder(study.model.id)
    shapes, _ = without_weights(str(folder or study.model.id), None if folder else commit)
    found = {adapter.name: inspect_adapter(adapter.name, Path(adapter.path), shapes) for adapter in study.adapters}
    if any(scale != 1 for scale in study.evaluate.scales):
        for imported in found.values():
            require_scalable(imported.folder)
    return found


def use_chat(model: ModelSettings, tokenizer: Any) -> bool:
    """Whether text-to-SQL prompts go through the chat template.

    Raises:
        ModelError: the template is asked for and there is none.
    """
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if model.chat == "always" and not has_template:
        raise ModelError(f'model.chat is "always" but the tokenizer of {model.id} has no chat template: set "auto"')
    return has_template and model.chat != "never"
