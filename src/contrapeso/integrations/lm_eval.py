"""Any task of lm-evaluation-harness as an axis of a study: asked of the study's own model, judged by the harness.

A task's name, or a folder of task files, enters; a `Task` leaves whose items are the harness' documents and whose
outcomes are right or wrong by the first measure of the task that is one of `METRICS`. The harness writes every prompt
once, when the study is read, so that base and variants are asked the same whatever part of it was answered before.

Needs the extra `lm-eval`. A named task fetches its data set from the Hugging Face hub; a folder's own files work
offline. Task files may hold code, which runs when they are read: name only folders you trust.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contrapeso.errors import DataError, ResourceError
from contrapeso.points import probe_items
from contrapeso.tasks.base import Item, Judged, Outcome, Prompt, Reply, option_letters

if TYPE_CHECKING:
    from contrapeso.models.engine import Engine, Variant

METRICS = ("acc", "acc_norm", "exact_match")
"""Measures of the harness that say of every document whether its answer is right."""
TOGETHER = 64
"""Documents asked before their outcomes are filed; what a kill costs."""
BATCH = 16


@dataclass(frozen=True)
class Asked:
    """What the harness asks about one item.

    Attributes:
        task: the harness' own task object.
        document: the document, as the task has it.
        instances: the requests to the model, in the order that the task judges them.
    """

    task: Any
    document: Any
    instances: Sequence[Any]


@dataclass(frozen=True)
class HarnessTask:
    """A task of the harness; meets the `Task` protocol.

    Attributes:
        name: key of the task in files.
        items: one a document.
        asked: what is asked about each item, by id.
        metrics: name of a harness task -> the measure that says who is right.
        judge: what else decides who is right: the version of the harness, and the content of task files.
    """

    name: str
    items: tuple[Item, ...]
    asked: dict[str, Asked] = field(repr=False)
    metrics: dict[str, str]
    judge: str = ""

    @property
    def kind(self) -> Literal["model"]:
        """`model`: the engine lends its model."""
        return "model"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything a score depends on apart from the model: every request, gold, measure, judge."""
        content = [[item.id, item.gold, _requests(self.asked[item.id])] for item in self.items]
        everything = [self.name, self.metrics, self.judge, content]
        return hashlib.sha256(json.dumps(everything, default=str).encode()).hexdigest()

    def prompt(self, item: Item) -> Prompt:
        """What stands before the answer, as the harness writes it."""
        return Prompt(prefix="", body=_context(self.asked[item.id]))

    def ask(
        self, engine: Engine, variant: Variant, *, skip: frozenset[int]
    ) -> Iterator[tuple[Sequence[int], Sequence[Reply]]]:
        """Let the harness ask the model; see `Task.ask`."""
        waiting = iter([place for place in range(len(self.items)) if place not in skip])
        while places := list(islice(waiting, TOGETHER)):
            with engine.lent(variant) as (model, tokenizer):
                harness = _harness(model, tokenizer)
                yield places, [_judged(harness, self.asked[self.items[place].id], self.metrics) for place in places]

    def score(self, items: Sequence[Item], replies: Sequence[Reply]) -> list[Outcome]:
        """What the harness said, as outcomes."""
        return [_outcome(item, reply) for item, reply in zip(items, replies, strict=True)]


def harness_task(name: str, source: str, *, shots: int | None, limit: int | None, seed: int) -> HarnessTask:
    """Read a task of lm-evaluation-harness.

    Args:
        name: of the axis.
        source: a task, group or tag of the harness, or a folder of task files, of which all are taken.
        shots: solved documents in a prompt; as the task says by default.
        limit: only so many documents, drawn by `seed`.
        seed: of shots and of the draw.

    Raises:
        ResourceError: the harness is not installed.
        DataError: there is no such task, its data cannot be read, or no measure says right or wrong.
    """
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError as error:
        raise ResourceError(
            f"axis {name} is a task of lm-evaluation-harness and {error.name} is not installed: "
            'pip install "contrapeso[lm-eval]", or take the axis out of the study'
        ) from error
    folder = Path(source)
    try:
        if folder.is_dir():
            manager = TaskManager(include_path=str(folder), include_defaults=False)
            loaded = manager.load(sorted(manager.all_subtasks))["tasks"]
        else:
            loaded = TaskManager().load([source])["tasks"]
        for task in loaded.values():
            _prepare(task, shots, seed)
    except Exception as error:  # the harness and what it reads with raise whatever they like
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise DataError(
            f"axis {name}: lm-evaluation-harness cannot read the task {source}: {reason}; `lm_eval ls tasks` names all "
            "tasks, and their data sets come from the Hugging Face hub"
        ) from error
    if not loaded:
        raise DataError(f"axis {name}: no task file lies in {folder}; expected .yaml files of lm-evaluation-harness")
    metrics = {task_name: _metric(name, task_name, task) for task_name, task in loaded.items()}
    items, asked = _documents(name, loaded)
    chosen = items if limit is None else probe_items(items, limit, seed)
    return HarnessTask(name, tuple(chosen), asked, metrics, _judge(folder))


def _prepare(task: Any, shots: int | None, seed: int) -> None:
    """Settings as `simple_evaluate` would set them, and every request of every document."""
    own = task.get_config("num_fewshot")
    if shots is not None and own != 0:  # a task that says 0 cannot have any
        task.set_config(key="num_fewshot", value=shots)
    elif own is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=seed)
    task.build_all_requests()


def _judge(folder: Path) -> str:
    """What no request shows: filters and measures are in task files, or in the harness itself."""
    import lm_eval

    files = sorted(file for file in folder.rglob("*") if file.suffix in (".yaml", ".py")) if folder.is_dir() else []
    content = [[str(file.relative_to(folder)), hashlib.sha256(file.read_bytes()).hexdigest()] for file in files]
    return json.dumps([getattr(lm_eval, "__version__", ""), content])


def _metric(axis: str, name: str, task: Any) -> str:
    measured: list[str] = list(task.aggregation())
    metric = next((metric for metric in measured if metric in METRICS), None)
    if metric is None:
        raise DataError(
            f"axis {axis}: the task {name} measures {', '.join(measured) or 'nothing'}, and none of it says of a "
            f"document whether its answer is right; take a task with {', '.join(METRICS)}"
        )
    return metric


def _documents(axis: str, tasks: dict[str, Any]) -> tuple[list[Item], dict[str, Asked]]:
    items: list[Item] = []
    asked: dict[str, Asked] = {}
    for name, task in tasks.items():
        of_document: dict[int, list[Any]] = {}
        for instance in task.instances:
            of_document.setdefault(instance.doc_id, []).append(instance)
        for instances in of_document.values():
            document = instances[0].doc
            item = _item(f"axes/{axis}/{len(items):04d}", name, task, document)
            items.append(item)
            asked[item.id] = Asked(task, document, sorted(instances, key=lambda instance: int(instance.idx)))
    return items, asked


def _item(name: str, group: str, task: Any, document: Any) -> Item:
    text, target = task.doc_to_text(document), task.doc_to_target(document)
    choices: Sequence[Any] = ()
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = task.doc_to_choice(document)
        if isinstance(target, int) and 0 <= target < len(choices):
            target = _letter(target)
    question = text if isinstance(text, str) else json.dumps(document, default=str, ensure_ascii=False)
    return Item(name, group, question, str(target), choices=tuple(map(str, choices)))


def _harness(model: Any, tokenizer: Any) -> Any:
    from lm_eval.models.huggingface import HFLM

    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH)


def _judged(harness: Any, asked: Asked, metrics: dict[str, str]) -> Judged:
    """Ask about one document and have the task judge it, with the first of its filters."""
    task, instances = asked.task, [copy.copy(instance) for instance in asked.instances]
    for instance in instances:
        instance.resps, instance.filtered_resps = [], {}
    for kind in dict.fromkeys(instance.request_type for instance in instances):
        requests = [i for i in instances if i.request_type == kind for _ in range(i.repeats or 1)]
        for request, response in zip(requests, getattr(harness, kind)(requests, disable_tqdm=True), strict=True):
            request.resps.append(response)
    first, *_ = task._filters
    first.apply(instances)
    replies = [instance.filtered_resps[first.name] for instance in instances]
    metric = metrics[task.task_name]
    value = task.process_results(asked.document, replies)[metric]
    if value not in (0, 1):
        raise DataError(f"{metric} of the task {task.task_name} is {value!r}, neither right nor wrong")
    context = _context(asked)
    tokens = len(harness.tok_encode(context))
    sha = hashlib.sha256(json.dumps(_requests(asked), default=str).encode()).hexdigest()[:16]
    return Judged(bool(value), _answer(task, replies), metric, prompt_tokens=tokens, prompt_sha=sha)


def _answer(task: Any, replies: Sequence[Any]) -> str:
    """The likeliest option's letter, or the text that was written."""
    if task.OUTPUT_TYPE == "multiple_choice":
        values = [reply[0] for reply in replies]
        return _letter(values.index(max(values)))
    return str(replies[0])


def _letter(place: int) -> str:
    return option_letters(place + 1)[-1]


def _context(asked: Asked) -> str:
    return str(asked.instances[0].args[0])


def _requests(asked: Asked) -> list[Any]:
    return [[instance.request_type, *instance.args] for instance in asked.instances]


def _outcome(item: Item, reply: Reply) -> Outcome:
    if not isinstance(reply, Judged):
        raise TypeError(f"the harness judges its own replies, not a {type(reply).__name__}")
    return Outcome(
        item=item.id,
        group=item.group,
        gold=item.gold,
        answer=reply.answer,
        correct=reply.correct,
        reason="ok" if reply.correct else "wrong_option" if item.choices else "wrong_answer",
        prompt_sha=reply.prompt_sha,
        prompt_tokens=reply.prompt_tokens,
        truncated=reply.truncated,
        stopped=True,
        detail=f"by {reply.metric}",
        left_out=item.left_out,
    )
