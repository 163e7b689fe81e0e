"""A study made concrete: its tasks, its train set, and the keys its results are filed under.

A `Study` enters, with the sandbox that runs SQL; plain values leave. No weights are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contrapeso.data import CATEGORY_OF_SUBJECT
from contrapeso.evidence import leaked_between, leaked_into
from contrapeso.models.adapter_import import Imported
from contrapeso.models.choice import LOCAL, Choice
from contrapeso.models.engine import Point
from contrapeso.names import model_name
from contrapeso.report.measurement import Axis, StudyFacts
from contrapeso.report.record import Planned, Record
from contrapeso.settings import LoraSettings, RunSettings
from contrapeso.sql import judge_sql
from contrapeso.sql.schema import quoted, read_schema
from contrapeso.store import fingerprint
from contrapeso.study import Study
from contrapeso.tasks.base import Item, Task
from contrapeso.tasks.multiple_choice import MultipleChoice
from contrapeso.tasks.text_to_sql import TextToSQL
from contrapeso.training.examples import Example
from contrapeso.training.replay import ANSWER_TOKENS

WITHOUT_EFFECT = frozenset(("checkpoint_steps", "max_length", "report_to"))
"""Run settings that move no weight: how often to save, a guard that refuses, who is told."""
APART = frozenset(("replay",))
"""Run settings with a part of their own in the key."""
OF_PACKING = frozenset(("pack_tokens", "databases_per_step"))
"""Run settings that move no weight without packing."""


@dataclass(frozen=True)
class Step:
    """One measurement of a study: a variant on a task.

    Attributes:
        variant: display name.
        task: what is asked.
        run: the fine-tuning run whose adapter is measured; None for the base model and adapters trained elsewhere.
        prompt_note: how the prompts differ from the baseline's on purpose.
        point: which adapter, and how strongly it acts; None for the base model.
        axis: what the task is when it is neither target nor general; else None.
    """

    variant: str
    task: Task
    run: RunSettings | None = None
    prompt_note: str = ""
    point: Point | None = None
    axis: Axis | None = None


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
        points: every variant with an adapter, in the order they are measured.
        imported: the adapters trained elsewhere, by display name.
        replay: name of a run -> the examples it may replay; with `self` prompts without an answer.
        probes: name of a task -> the part of it on which checkpoints and scaled adapters are measured; may be empty.
        axes: the further axes, each with what it is.
    """

    target: TextToSQL
    few_shot: TextToSQL | None
    general: MultipleChoice
    train: tuple[Item, ...]
    examples: tuple[Example, ...]
    base_key: Mapping[str, str]
    engine: Choice = LOCAL
    points: tuple[Point, ...] = ()
    imported: Mapping[str, Imported] = field(default_factory=dict)
    probes: Mapping[str, Task] = field(default_factory=dict)
    replay: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    axes: tuple[tuple[Task, Axis], ...] = ()

    @property
    def commit(self) -> str | None:
        """The commit of a hub model that results are filed under; None for a folder."""
        return commit_of(self.base_key)

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
        idle = WITHOUT_EFFECT | APART | (OF_PACKING if run.packing == "none" else frozenset())
        if not run.kl_to_base:
            idle |= {"kl_to_base", "kl_on"}
        settings = {name: getattr(run, name) for name in LoraSettings.model_fields if name not in idle}
        return {
            **self.base_key,
            "settings": fingerprint(settings),
            "examples": self.examples_hash,
            "seed": str(seed),
            **self.replay_key(run),
        }

    def replay_key(self, run: RunSettings) -> dict[str, str]:
        """Key of what a run replays; empty when it replays nothing."""
        if run.replay is None:
            return {}
        pool = [(e.prompt.text, e.prompt.chat, e.completion) for e in self.replay[run.name]]
        # A passage that is too long is cut. A token has a byte at least, so shorter ones are whole at any length.
        longest = max(len(f"{text}{completion}".encode()) for text, _, completion in pool) + ANSWER_TOKENS
        cut = [run.max_length] if longest > run.max_length else []
        return {"replay": fingerprint([run.replay.share, run.replay.data == "self", pool, *cut])}

    def point_key(self, point: Point, run: RunSettings | None, seed: int) -> dict[str, str]:
        """Key of the adapter of a point: of the run, of one of its checkpoints, or of the adapter trained elsewhere."""
        if run is None:
            return {"imported": self.imported[point.origin].identity}
        step = {} if point.step is None else {"step": str(point.step)}
        return {**self.adapter_key(run, seed), **step}

    def record(self, study: Study, steps: Sequence[Step], *, tolerated: tuple[str, ...]) -> Record:
        """The plan of the study, and what the audit asks of data and prompts: gold against itself, schema, leaks."""
        target, general = self.target, self.general
        counted = [item for item in target.items if not item.left_out]
        triples = [(item.database, item.gold, item.gold) for item in counted if item.database]
        verdicts = judge_sql(target.sandbox, triples)
        one_a_database = {item.group: item for item in target.items}
        shots = {item.id: item for task in (target, self.few_shot) if task for item in task.shots}
        evaluated = {item.id: _content(item) for item in (*counted, *self._general_items())}
        shown = (*self.train, *shots.values(), *self._dev_shots())
        seen = {item.id: _content(item) for item in shown if not item.left_out}
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
            evaluated=len(evaluated) + len(self._axis_items()),
            leaked=tuple(dict.fromkeys([*leaked_between(evaluated, seen), *self._leaked_texts(counted)])),
            schemas={group: target.schema(item) for group, item in one_a_database.items()},
            tolerated=tolerated,
            language=study.report.language,
            probes={name: [item.id for item in task.items] for name, task in self.probes.items()},
            trained_on={name: imported.trained_on for name, imported in self.imported.items()},
            asking=_asking(target, counted[0]) if counted else {},
        )

    def _leaked_texts(self, counted: Sequence[Item]) -> list[str]:
        """Evaluated items in what a run may replay, and items of axes in anything that was learnt or shown."""
        pools = dict.fromkeys(self.replay.values())
        replayed = [example.prompt.text + example.completion for pool in pools for example in pool]
        asked = {item.id: (item.question, *item.choices) for item in (*counted, *self._general_items())}
        if not self.axes:
            return leaked_into(asked, replayed)
        learnt = [f"{item.question}\n{item.gold}" for item in self.train]
        shown = ["\n".join((shot.question, *shot.choices)) for shot in self._dev_shots()]
        own = {item.id: (item.question, *item.choices) for item in self._axis_items()}
        return [*leaked_into(asked, replayed), *leaked_into(own, [*replayed, *learnt, *shown])]

    def _general_items(self) -> list[Item]:
        return [item for item in self.general.items if not item.left_out]

    def _axis_items(self) -> list[Item]:
        """Items of axes that ask something of their own."""
        return [item for task, axis in self.axes if not axis.again for item in task.items]

    def _dev_shots(self) -> list[Item]:
        """Solved questions of the general task that stand in a prompt."""
        most = max([self.general.shots, *(getattr(task, "shots", 0) for task, _ in self.axes)])
        return [shot for shots in self.general.dev_shots.values() for shot in shots[:most]]

    def _planned(self, step: Step, seed: int) -> Planned:
        return Planned(
            variant=step.variant,
            task=step.task.name,
            kind=step.task.kind,
            prompt_note=step.prompt_note,
            key=self.outcome_key(step.task),
            adapter_key=self.point_key(step.point, step.run, seed) if step.point else None,
            point=step.point,
            axis=step.axis,
        )


def _asking(task: TextToSQL, item: Item) -> dict[str, Any]:
    """How the task asks an item, for the card of an adapter."""
    prompt = task.prompt(item)
    return {
        "item": item.id,
        "question": item.question,
        "schema": task.schema(item),
        "text": prompt.text,
        "turns": [list(turn) for turn in prompt.turns],
        "chat": prompt.chat,
        "stop": list(task.stop),
        "max_new_tokens": task.max_new_tokens,
    }


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


def commit_of(base_key: Mapping[str, str]) -> str | None:
    """The commit of a hub model; None for a folder."""
    identity = base_key["model"]
    return None if identity.startswith("sha256:") else identity
