"""What a report needs beside outcomes, filed before the first measurement, so that a folder speaks for itself.

`Record` and the items enter a study folder; measurements and sources leave it again, with no model, no data set and
no database at hand. Outcomes count only while they fit the keys that the record names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contrapeso.errors import StoreError
from contrapeso.models.adapters import ADAPTER_FILES, adapter_identity
from contrapeso.models.engine import Point
from contrapeso.report.measurement import Axis, Measurement, Sources, StudyFacts
from contrapeso.store import Key, StudyFolder, key_file, read_json, read_outcomes, still_valid, write_atomically
from contrapeso.tasks.base import Item, Kind


@dataclass(frozen=True)
class Planned:
    """One measurement that the study plans.

    Attributes:
        variant, task, kind, prompt_note: as in `Measurement`.
        key: what its outcomes depend on, apart from the adapter.
        adapter_key: what the adapter depends on; None for the base model.
        point: which adapter, and how strongly it acts; None for the base model, and for runs filed before it was kept.
        axis: what the task is when it is neither target nor general; else None.
    """

    variant: str
    task: str
    kind: Kind
    prompt_note: str
    key: Key
    adapter_key: Key | None
    point: Point | None = None
    axis: Axis | None = None


def outcome_key(key: Key, identity: str, point: Point | None) -> Key:
    """What the outcomes of a measurement are filed under.

    Args:
        key: what they depend on apart from the adapter.
        identity: of the adapter, `none` for the base model.
        point: how strongly the adapter acts.
    """
    scale = {} if point is None or point.scale == 1 else {"scale": f"{point.scale:g}"}
    return {**key, "adapter": identity, **scale}


@dataclass(frozen=True)
class Record:
    """The plan of a study and what its data and prompts showed.

    Attributes:
        facts: what the study is about.
        plan: the measurements, in order.
        gold_verdicts, schema_shown, evaluated, leaked: as in `audit.Evidence`.
        schemas: group of the target task -> its schema as the prompts show it.
        tolerated: names of audit checks whose failure withholds nothing.
        language: of page and paper.
        asking: how the target task asks its first counted item: `item`, `question`, `schema`, `text`, `turns`, `chat`,
            `stop`, `max_new_tokens`; empty in folders filed before it was kept.
        probes: task -> ids of the items on which checkpoints and scaled adapters are measured, where not on all.
        trained_on: name of an adapter trained elsewhere -> the base model it names ("" when it names none).
    """

    facts: StudyFacts
    plan: tuple[Planned, ...]
    gold_verdicts: Mapping[str, bool]
    schema_shown: Mapping[str, bool]
    evaluated: int
    leaked: tuple[str, ...]
    schemas: Mapping[str, str]
    tolerated: tuple[str, ...] = ()
    language: str = "en"
    asking: Mapping[str, Any] = field(default_factory=dict)
    probes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trained_on: Mapping[str, str] = field(default_factory=dict)


def write_record(folder: StudyFolder, record: Record, items: Mapping[str, Iterable[Item]] | None = None) -> None:
    """File a record, and the items of every task where they are given.

    Raises:
        ResourceError: a file cannot be written.
    """
    for task, of_task in (items or {}).items():
        lines = [json.dumps(_item_json(item), ensure_ascii=False) for item in of_task]
        write_atomically(folder.items(task), "".join(f"{line}\n" for line in lines))
    write_atomically(folder.record, json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n")


def read_record(folder: StudyFolder) -> Record:
    """The record of a study folder.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    filed = read_json(folder.record)
    if filed is None:
        raise StoreError(f"{folder.root} holds no {folder.record.name}; `contrapeso run STUDY --out {folder.root}` it")
    try:
        return Record(
            **filed
            | {
                "facts": StudyFacts(**filed["facts"]),
                "plan": tuple(map(_planned, filed["plan"])),
                "leaked": tuple(filed["leaked"]),
                "tolerated": tuple(filed["tolerated"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise StoreError(f"{folder.record} is damaged or of another version ({error!r}); run the study") from error


def read_sources(folder: StudyFolder, record: Record) -> Sources:
    """Everything measured so far; a planned measurement that is not complete, or out of date, is left out.

    Raises:
        StoreError: a file is damaged.
    """
    items = {task: _read_items(folder.items(task)) for task in dict.fromkeys(planned.task for planned in record.plan)}
    found = [
        _measurement(folder, planned, items[planned.task], record.probes.get(planned.task, ()))
        for planned in record.plan
    ]
    runs = dict.fromkeys(planned.variant for planned in record.plan if planned.adapter_key)
    training = {run: read_json(folder.adapter(run) / "training.json") for run in runs}
    measured = [measurement for measurement in found if measurement]
    return Sources(
        measurements=[measurement for measurement in measured if not measurement.axis],
        axes=[measurement for measurement in measured if measurement.axis],
        items=items,
        schemas=record.schemas,
        training={run: result["history"] for run, result in training.items() if result},
        provenance=_provenance(read_json(folder.manifest) or {}),
        language=record.language,
    )


def _planned(row: Mapping[str, Any]) -> Planned:
    point, axis = row.get("point"), row.get("axis")
    return Planned(**{**row, "point": Point(**point) if point else None, "axis": Axis(**axis) if axis else None})


def _provenance(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers were made with; not what the writing of a report changes."""
    shown = ("seed", "inputs", "versions", "hardware", "timings_seconds", "peak_memory")
    provenance = {key: manifest[key] for key in shown if key in manifest}
    timings = provenance.get("timings_seconds", {})
    return provenance | {"timings_seconds": {step: seconds for step, seconds in timings.items() if step != "report"}}


def _measurement(
    folder: StudyFolder, planned: Planned, items: Mapping[str, Item], probes: Sequence[str]
) -> Measurement | None:
    path, identity, point = folder.outcomes(planned.variant, planned.task), "none", planned.point
    if planned.adapter_key is not None:
        adapter = folder.adapter(point.adapter if point else planned.variant)
        if not (adapter_is_whole(adapter) and still_valid(adapter, planned.adapter_key)):
            return None
        identity = adapter_identity(adapter)
    if read_json(key_file(path)) != outcome_key(planned.key, identity, point):
        return None
    known = {outcome.item: outcome for outcome in read_outcomes(path)}
    asked = probes if point and point.probe else items
    if not all(item in known and item in items for item in asked):
        return None
    outcomes = [known[item].apart(items[item].left_out) for item in asked]
    return Measurement(planned.variant, planned.task, planned.kind, outcomes, planned.prompt_note, point, planned.axis)


def adapter_is_whole(adapter: Path) -> bool:
    """Whether the folder holds every file of an adapter."""
    return all((adapter / name).is_file() for name in ADAPTER_FILES)


def _item_json(item: Item) -> dict[str, Any]:
    row = {name: getattr(item, name) for name in ("id", "group", "question", "gold", "choices", "left_out")}
    return {name: value for name, value in row.items() if value}


def _read_items(path: Path) -> dict[str, Item]:
    try:
        # Only "\n" ends a line: questions may hold any other separator.
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return {row["id"]: Item(**{"gold": ""} | row | {"choices": tuple(row.get("choices", ()))}) for row in rows}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path} is missing or damaged ({error!r}); run the study again") from error
