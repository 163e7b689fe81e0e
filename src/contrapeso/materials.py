"""A study made concrete: its tasks, its train set, and the keys its results are filed under.

A `Study` enters, with the sandbox that runs SQL; plain values leave. No weights are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contrapeso.data import CATEGORY_OF_SUBJECT, load_mmlu, load_questions, mmlu_folder, spider_folder
from contrapeso.errors import ModelError
from contrapeso.evidence import leaked_between
from contrapeso.models.choice import LOCAL, Choice, choose_for_study
from contrapeso.models.loading import (
    load_tokenizer,
    require_quantization,
    resolve_device,
    resolve_dtype,
    weights_identity,
)
from contrapeso.models.prompts import render
from contrapeso.names import model_name
from contrapeso.report.measurement import StudyFacts
from contrapeso.report.record import Planned, Record
from contrapeso.settings import GeneralSettings, LoraSettings, ModelSettings, RunSettings, TargetSettings
from contrapeso.sql import Sandbox, judge_sql
from contrapeso.sql.schema import quoted, read_schema
from contrapeso.store import fingerprint
from contrapeso.study import Study
from contrapeso.tasks.base import Item, Task
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.tasks.text_to_sql import TextToSQL, choose_shots
from contrapeso.training.examples import Example, training_examples

WITHOUT_EFFECT = frozenset(("checkpoint_steps", "max_length", "report_to"))
"""Run settings that move no weight: how often to save, a guard that refuses, who is told."""
OF_PACKING = frozenset(("pack_tokens", "databases_per_step"))
"""Run settings that move no weight without packing."""


@dataclass(frozen=True)
class Step:
    """One measurement of a study: a variant on a task.

    Attributes:
        variant: display name.
        task: what is asked.
        run: the fine-tuning run whose adapter is measured; None for the base model.
        prompt_note: how the prompts differ from the baseline's on purpose.
    """

    variant: str
    task: Task
    run: RunSettings | None = None
    prompt_note: str = ""


@dataclass(frozen=True)
class Materials:
    """What a study works with.

    Attributes:
        target: the text-to-SQL task with the prompt every variant gets.
        few_shot: the same items with shots in the prompt, for one more measurement of the base; or None.
        general: the multiple-choice task.
        train: train items of the target.
        examples: the same as prompt and completion, without shots.
        base_key: what every result depends on: weights, arithmetic, quantization, chat markup.
        engine: what answers the prompts, and why.
    """

    target: TextToSQL
    few_shot: TextToSQL | None
    general: MultipleChoice
    train: tuple[Item, ...]
    examples: tuple[Example, ...]
    base_key: Mapping[str, str]
    engine: Choice = LOCAL

    @property
    def commit(self) -> str | None:
        """The commit of a hub model that results are filed under; None for a folder."""
        return _commit(self.base_key)

    @property
    def examples_hash(self) -> str:
        """Hash of what the runs learn."""
        return fingerprint([(e.prompt.text, e.prompt.chat, e.completion) for e in self.examples])

    def outcome_key(self, task: Task) -> dict[str, str]:
        """Key of outcomes apart from the adapter: the base, the task, and the engine where its arithmetic differs."""
        engine = {} if self.engine.engine == "local" else {"engine": self.engine.engine}
        return {**self.base_key, **engine, "task": task.fingerprint}

    def adapter_key(self, run: RunSettings, seed: int) -> dict[str, str]:
        """Key of an adapter: the base, every setting that moves a weight, the examples, the seed."""
        idle = WITHOUT_EFFECT | (OF_PACKING if run.packing == "none" else frozenset())
        settings = {name: getattr(run, name) for name in LoraSettings.model_fields if name not in idle}
        return {
            **self.base_key,
            "settings": fingerprint(settings),
            "examples": self.examples_hash,
            "seed": str(seed),
        }

    def record(self, study: Study, steps: Sequence[Step], *, tolerated: tuple[str, ...]) -> Record:
        """The plan of the study, and what the audit asks of data and prompts: gold against itself, schema, leaks."""
        target, general = self.target, self.general
        counted = [item for item in target.items if not item.left_out]
        triples = [(item.database, item.gold, item.gold) for item in counted if item.database]
        verdicts = judge_sql(target.sandbox, triples)
        one_a_database = {item.group: item for item in target.items}
        shots = {item.id: item for task in (target, self.few_shot) if task for item in task.shots}
        dev = (item for items in general.dev_shots.values() for item in items[: general.shots])
        evaluated = {item.id: _content(item) for item in (*counted, *general.items)}
        seen = {item.id: _content(item) for item in (*self.train, *shots.values(), *dev) if not item.left_out}
        return Record(
            facts=StudyFacts(
                name=study.name,
                seed=study.seed,
                categories={item.group: CATEGORY_OF_SUBJECT.get(item.group, "Other") for item in general.items},
                margin=study.evaluate.margin_points / 100,
                base_model=model_name(study.model.id),
                train_examples=len(self.train),
            ),
            plan=tuple(self._planned(step, study.seed) for step in steps),
            gold_verdicts={item.id: v.rules["unordered"] for item, v in zip(counted, verdicts, strict=True)},
            schema_shown={item.id: _shows_schema(target, item) for item in one_a_database.values()},
            evaluated=len(evaluated),
            leaked=tuple(leaked_between(evaluated, seen)),
            schemas={group: target.schema(item) for group, item in one_a_database.items()},
            tolerated=tolerated,
            language=study.report.language,
        )

    def _planned(self, step: Step, seed: int) -> Planned:
        return Planned(
            variant=step.variant,
            task=step.task.name,
            kind=step.task.kind,
            prompt_note=step.prompt_note,
            key=self.outcome_key(step.task),
            adapter_key=self.adapter_key(step.run, seed) if step.run else None,
        )


def _shows_schema(task: TextToSQL, item: Item) -> bool:
    """Whether the prompt names every table and column of the item's database."""
    text = task.prompt(item).text
    schema = read_schema(item.database) if item.database else None
    if schema is None or not schema.tables:
        return False
    names = (name for table in schema.tables for name in (table.name, *(column.name for column in table.columns)))
    return all(name in text or quoted(name) in text for name in names)


def _content(item: Item) -> str:
    """What makes two items one question: group (a shot is shown to its own subject only), text and options."""
    return "\n".join((item.group, item.question, *item.choices))


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
    mmlu = load_mmlu(folder, subjects=settings.subjects, limit_per_subject=settings.limit_per_subject)
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
        chat=_use_chat(study.model, tokenizer),
        max_new_tokens=target.max_new_tokens,
    )

    def with_shots(count: int) -> TextToSQL:
        return replace(zero_shot, shots=choose_shots(train, count, seed=study.seed))

    target_task = with_shots(target.shots)
    few_shot = with_shots(target.baseline_shots) if target.baseline_shots else None
    every_run: list[Task] = [target_task, general]
    once: list[Task] = [few_shot] if few_shot else []
    return Materials(
        target=target_task,
        few_shot=few_shot,
        general=general,
        train=train,
        examples=tuple(training_examples(train, zero_shot.prompt)),
        base_key={**base_key, "markup": fingerprint(render(tokenizer, zero_shot.prompt(items[0])))},
        engine=choose_for_study(
            study.evaluate.engine,
            study.model,
            commit=_commit(base_key),
            dtype=base_key["dtype"],
            tasks=every_run * (1 + len(study.runs)) + once,
        ),
    )


def _commit(base_key: Mapping[str, str]) -> str | None:
    """The commit of a hub model; None for a folder."""
    identity = base_key["model"]
    return None if identity.startswith("sha256:") else identity


def _use_chat(model: ModelSettings, tokenizer: Any) -> bool:
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if model.chat == "always" and not has_template:
        raise ModelError(f'model.chat is "always" but the tokenizer of {model.id} has no chat template: set "auto"')
    return has_template and model.chat != "never"
