"""A study, read from TOML and refused at the door when it makes no sense.

In: a preset's name or a TOML file, and `key=value` overrides. Out: a frozen `Study`. Every setting is a typed field
with a sentence and a default; unknown keys are refused with the nearest name. Nothing below `experiment.py` sees a
`Study`: other rooms take plain values.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from contrapeso.errors import StudyError
from contrapeso.names import slug
from contrapeso.settings import (
    EvaluateSettings,
    GeneralSettings,
    LeaveOut,
    LoraSettings,
    ModelSettings,
    ReportSettings,
    RunSettings,
    Settings,
    TargetSettings,
)

BASELINE = "Baseline Model"
LONGEST_NAME_BYTES = 120  # as part of a file name, which may have 255
PATHS = ("model.id", "target.data", "general.data")


class Study(Settings):
    """One study: base model, target task, general task, runs."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name of the study; also the default folder below `results/`."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    """Seeds training order, dropout, initial matrices, shots and resampling."""
    model: ModelSettings = ModelSettings()
    target: TargetSettings = TargetSettings()
    general: GeneralSettings = GeneralSettings()
    runs: Annotated[tuple[RunSettings, ...], Field(min_length=1)]
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()

    @field_validator("runs")
    @classmethod
    def _distinct_names(cls, runs: tuple[RunSettings, ...]) -> tuple[RunSettings, ...]:
        names = [slug(run.name).casefold() for run in runs]  # they become folders, also where case does not count
        for run, name in zip(runs, names, strict=True):
            if not run.name.isprintable() or len(name.encode()) > LONGEST_NAME_BYTES:
                raise ValueError(f"run names are printable and at most {LONGEST_NAME_BYTES} bytes: {run.name!r}")
            if names.count(name) > 1 or name.startswith(slug(BASELINE).casefold()):
                raise ValueError(f"run names must differ from each other and not start like {BASELINE!r}: {run.name!r}")
        return runs

    @model_validator(mode="after")
    def _no_contradictions(self) -> Study:
        if self.target.shots and self.target.shots == self.target.baseline_shots:
            raise ValueError("target.baseline_shots equals target.shots: the extra variant would repeat the baseline")
        return self

    def to_toml(self) -> str:
        """The study with every setting written out; `load_study` reads it back to an equal study."""
        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def presets() -> list[str]:
    """Names of the studies that ship with contrapeso."""
    return sorted(p.name.removesuffix(".toml") for p in _preset_folder().iterdir() if p.name.endswith(".toml"))


def preset_text(name: str) -> str:
    """The commented TOML of a preset.

    Raises:
        StudyError: there is no such preset.
    """
    if name not in presets():
        raise StudyError(f"no preset {name!r}{_nearest(name, presets())}; presets: {', '.join(presets())}")
    return (_preset_folder() / f"{name}.toml").read_text(encoding="utf-8")


def load_study(name_or_file: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study.

    Args:
        name_or_file: a preset's name, or the path of a TOML file; paths inside the file are relative to it.
        overrides: `dotted.key=value` strings, values in TOML; e.g. `model.id=my/model`, `runs.0.epochs=2`.

    Raises:
        StudyError: no such preset or file, broken TOML, an unknown key, a value out of range, a contradiction.
    """
    path = Path(name_or_file)
    if str(name_or_file) in presets() and not path.is_file():
        text, folder, origin = preset_text(str(name_or_file)), Path.cwd(), f"preset {name_or_file}"
    else:
        text, folder, origin = _read(path), path.resolve().parent, str(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{origin} is not valid TOML: {error}") from error
    for override in overrides:
        _override(table, override)
    return _validated(_spread_training(table, origin), origin, folder)


def _read(path: Path) -> str:
    if not path.is_file():
        raise StudyError(
            f"{path} is neither a study file nor a preset{_nearest(str(path), presets())}; "
            f"presets: {', '.join(presets())}; `contrapeso init` writes a commented file to start from"
        )
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is not UTF-8 text: {error}") from error


def _validated(table: dict[str, Any], origin: str, folder: Path) -> Study:
    try:
        study = Study.model_validate(table)
    except ValidationError as error:
        raise StudyError(f"{origin}: " + "; ".join(_sentence(e) for e in error.errors())) from error
    return study.model_copy(
        update={
            "model": study.model.model_copy(update={"id": _located(study.model.id, folder)}),
            "target": study.target.model_copy(update={"data": _located(study.target.data, folder)}),
            "general": study.general.model_copy(update={"data": _located(study.general.data, folder)}),
        }
    )


def _located(value: str, folder: Path) -> str:
    """A path relative to the study file becomes absolute when it exists there; names and hub ids stay."""
    candidate = (folder / Path(value).expanduser()).resolve()
    looks_like_path = value.startswith((".", "/", "~")) or candidate.exists()
    return str(candidate) if looks_like_path and value != "pocket" else value


def _spread_training(table: dict[str, Any], origin: str) -> dict[str, Any]:
    """Copy `[training]` into every run; a run's own value wins. Unnamed runs get the original's display names."""
    table = dict(table)
    shared = table.pop("training", {})
    runs = table.get("runs", [])
    if not isinstance(shared, dict) or not isinstance(runs, list) or not all(isinstance(r, dict) for r in runs):
        raise StudyError(f"{origin}: [training] must be a table and [[runs]] a list of tables")
    for key in shared:
        if key not in LoraSettings.model_fields:
            raise StudyError(f"{origin}: unknown setting training.{key}{_nearest(key, LoraSettings.model_fields)}")
    table["runs"] = [{"name": f"Fine-Tuned Run {i}", **shared, **run} for i, run in enumerate(runs, start=1)]
    return table


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key.strip():
        raise StudyError(f"--set wants key=value, for example model.id=my-org/my-model; got {override!r}")
    if key.strip() in PATHS and Path(value).expanduser().exists():
        value = json.dumps(str(Path(value).expanduser().resolve()))  # relative to where the command runs
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value  # a bare word is a string
    *parents, last = key.strip().split(".")
    node: Any = table
    for part in parents:
        node = _child(node, part, override)
    if isinstance(node, list):
        node[_index(node, last, override)] = parsed
    elif isinstance(node, dict):
        node[last] = parsed
    else:
        raise StudyError(f"--set {override}: {key} is not a table")


def _child(node: Any, part: str, override: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, override)]
    if isinstance(node, dict):
        return node.setdefault(part, {})
    raise StudyError(f"--set {override}: {part!r} is below a value that is not a table")


def _index(node: list[Any], part: str, override: str) -> int:
    if not part.isdecimal() or int(part) >= len(node):
        raise StudyError(f"--set {override}: {part!r} is not an index below {len(node)}")
    return int(part)


def _sentence(error: Mapping[str, Any]) -> str:
    """One pydantic error as a clause with the dotted key and, for unknown keys, the nearest known one."""
    where = [str(part) for part in error["loc"]]
    key = ".".join(where) or "study"
    if error["type"] == "extra_forbidden":
        return f"unknown setting {key}{_nearest(where[-1], _fields_at(where[:-1]))}"
    if error["type"] == "missing":
        return f"{key} is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message if error["type"] == "value_error" else f"{key} = {error['input']!r}: {message}"


def _fields_at(parts: list[str]) -> list[str]:
    sections: dict[str, type[BaseModel]] = {
        "model": ModelSettings,
        "target": TargetSettings,
        "general": GeneralSettings,
        "runs": RunSettings,
        "evaluate": EvaluateSettings,
    }
    if not parts:
        return [*Study.model_fields, "training"]
    known = LeaveOut if "leave_out" in parts else sections.get(parts[0], Study)
    return list(known.model_fields)


def _nearest(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def _preset_folder() -> Path:
    return Path(__file__).parent / "presets"
