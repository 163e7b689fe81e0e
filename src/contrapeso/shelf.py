"""The adapters in a study folder: which checkpoints are still missing, and copies of those trained elsewhere; and what
the base said of itself, for runs that replay it.

Points and imported adapters enter; what has to be trained for, and folders in PEFT format with their key, leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from contrapeso.materials import Materials
from contrapeso.models.adapter_import import copy_adapter
from contrapeso.report.record import adapter_is_whole
from contrapeso.settings import RunSettings
from contrapeso.store import StudyFolder, fingerprint, read_json, still_valid, write_json
from contrapeso.training.checkpoints import Kept, write_folder
from contrapeso.training.examples import Example


def missing_checkpoints(folder: StudyFolder, materials: Materials, run: RunSettings, seed: int) -> tuple[Kept, ...]:
    """The checkpoints of a run that are to be measured and do not lie there, whole and made from these inputs.

    Args:
        folder: the study folder.
        materials: names the points and their keys.
        run: the run.
        seed: of the study.
    """
    wanted: Iterable[Kept] = (
        Kept(point.step, folder.adapter(point.adapter), materials.point_key(point, run, seed))
        for point in materials.points
        if point.origin == run.name and point.step is not None
    )
    return tuple(k for k in wanted if not (adapter_is_whole(k.folder) and still_valid(k.folder, k.key)))


def bring_adapters(folder: StudyFolder, materials: Materials, *, base: str, say: Callable[[str], None]) -> None:
    """Copy the adapters trained elsewhere into the folder, so that it holds all it speaks of.

    Args:
        folder: the study folder.
        materials: names them.
        base: name of the study's base model.
        say: told when an adapter names another base.

    Raises:
        ResourceError: the disk is full or not writable.
    """
    for adapter in materials.imported.values():
        copy, key = folder.adapter(adapter.name), {"imported": adapter.identity}
        if not (adapter_is_whole(copy) and still_valid(copy, key)):
            write_folder(copy, partial(copy_adapter, adapter.folder, key=key))
        if adapter.trained_on and adapter.trained_on != base:
            say(
                f"{adapter.name} names {adapter.trained_on} as its base and is measured on {base}: layers and shapes "
                "fit, but on weights of another base its numbers would mean nothing"
            )


def said_by_base(
    folder: StudyFolder,
    materials: Materials,
    pool: Sequence[Example],
    *,
    ask: Callable[[Sequence[Example]], list[Example]],
) -> list[Example]:
    """What the base answers to the prompts of a pool: asked once, filed, and read from then on.

    Args:
        folder: the study folder.
        materials: names the base.
        pool: prompts without an answer.
        ask: puts them to the base; see `training.replay.answered_by`.
    """
    key = {**materials.base_key, "prompts": fingerprint([(e.item, e.prompt.text, e.prompt.chat) for e in pool])}
    path = folder.root / "replay" / f"{fingerprint(key)[:16]}.json"
    filed = read_json(path)
    if not isinstance(filed, dict) or filed.get("key") != key:
        filed = {"key": key, "answers": {example.item: example.completion for example in ask(pool)}}
        write_json(path, filed)
    answers = filed["answers"]
    return [replace(example, completion=answers[example.item]) for example in pool if example.item in answers]
