"""A study, read from TOML and refused at the door when it makes no sense.

In: a preset's name or a TOML file, and `key=value` overrides. Out: a frozen `Study`. Every setting is a typed field
with a sentence and a default; unknown keys are refused with the nearest name. Nothing below `experiment.py` sees a
`Study`: other rooms take plain values.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from contrapeso.errors import StudyError
from contrapeso.located import located
from contrapeso.names import scaled_name, slug
from contrapeso.settings import (
    AdapterSettings,
    AxisSettings,
    EvaluateSettings,
    GeneralSettings,
    LeaveOut,
    LoraSettings,
    ModelSettings,
    ReplaySettings,
    ReportSettings,
    RunSettings,
    Settings,
    TargetSettings,
)

BASELINE = "Baseline Model"
LONGEST_NAME_BYTES = 120  # as part of a file name, which may have 255
PATHS = ("model.id", "target.data", "general.data")
NOT_AXES = ("spider", "mmlu", "mean")


POINT = re.compile(r"(__\d+)?(_x[-+.\de]+)?")
"""What `names.checkpoint_name` and `names.scaled_name` add, as a file name has it."""


class Study(Settings):
    """One study: base model, target task, general task, runs, adapters trained elsewhere."""

    later: ClassVar[frozenset[str]] = frozenset(("adapters", "axes"))

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Name of the study; also the default folder below `results/`."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    """Seeds training order, dropout, initial matrices, shots and resampling."""
    model: ModelSettings = ModelSettings()
    target: TargetSettings = TargetSettings()
    general: GeneralSettings = GeneralSettings()
    runs: tuple[RunSettings, ...] = ()
    adapters: tuple[AdapterSettings, ...] = ()
    """Adapters trained elsewhere, measured beside the runs or in place of them."""
    axes: tuple[AxisSettings, ...] = ()
    """Further things the model knew before, each weighed by itself."""
    evaluate: EvaluateSettings = EvaluateSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _distinct_names(self) -> Study:
        origins: tuple[RunSettings | AdapterSettings, ...] = (*self.runs, *self.adapters)
        if not origins:
            raise ValueError("a study needs at least one run ([[runs]]) or adapter trained elsewhere ([[adapters]])")
        names = [slug(origin.name).casefold() for origin in origins]  # they become folders, also where case counts not
        for origin, name in zip(origins, names, strict=True):
            kind = "run" if isinstance(origin, RunSettings) else "adapter"
            if not origin.name.isprintable() or len(name.encode()) > LONGEST_NAME_BYTES:
                raise ValueError(f"{kind} names are printable and at most {LONGEST_NAME_BYTES} bytes: {origin.name!r}")
            if names.count(name) > 1 or name.startswith(slug(BASELINE).casefold()):
                raise ValueError(
                    f"{kind} names must differ from each other and not start like {BASELINE!r}: {origin.name!r}"
                )
            if any(name.startswith(other) and POINT.fullmatch(name[len(other) :]) for other in names if other != name):
                raise ValueError(f"{origin.name!r} is what a checkpoint or scaled variant of another would be called")
        return self

    @model_validator(mode="after")
    def _no_contradictions(self) -> Study:
        if self.target.shots and self.target.shots == self.target.baseline_shots:
            raise ValueError("target.baseline_shots equals target.shots: the extra variant would repeat the baseline")
        if self.model.sharding == "fsdp" and self.model.quantization != "none":
            raise ValueError('model.sharding = "fsdp" divides whole weights: set model.quantization = "none"')
        scales = [scaled_name("", scale) for scale in self.evaluate.scales]
        if len(set(scales)) < len(scales):
            raise ValueError(f"evaluate.scales names a scale twice: {list(self.evaluate.scales)}")
        between = self.evaluate.checkpoints not in ("last", ()) or any(scale != 1 for scale in self.evaluate.scales)
        if self.evaluate.probe_items is not None and not between:
            raise ValueError("evaluate.probe_items means nothing without evaluate.checkpoints or evaluate.scales")
        return self

    @model_validator(mode="after")
    def _axes_can_be_told_apart(self) -> Study:
        names = [axis.name for axis in self.axes]
        for name in names:
            if name in NOT_AXES:
                raise ValueError(f"an axis cannot be called {name!r}, which is a name of the report's own")
            if names.count(name) > 1:
                raise ValueError(f"two axes are called {name!r}; rename one")
        if self.model.sharding == "fsdp" and any(axis.kind == "lm_eval" for axis in self.axes):
            raise ValueError('axes of kind lm_eval need the whole model in one process: set model.sharding = "none"')
        return self

    def filed(self) -> Study:
        """The study as its folder holds it: adapters trained elsewhere lie there too, wherever they came from."""
        here = (adapter.model_copy(update={"path": f"adapters/{slug(adapter.name)}"}) for adapter in self.adapters)
        return self.model_copy(update={"adapters": tuple(here)})

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


def load_study(
    name_or_file: str | Path, overrides: Sequence[str] = (), *, adding: AdapterSettings | None = None
) -> Study:
    """Read a study.

    Args:
        name_or_file: a preset's name, or the path of a TOML file; paths inside the file are relative to it.
        overrides: `dotted.key=value` strings, values in TOML; e.g. `model.id=my/model`, `runs.0.epochs=2`.
        adding: one more adapter trained elsewhere, unless the study has one of that name.

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
    if adding is not None:
        _add(table, adding)
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
    return located(study, folder)


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


def _add(table: dict[str, Any], adapter: AdapterSettings) -> None:
    known = table.get("adapters", [])
    if not isinstance(known, list) or not all(isinstance(entry, dict) for entry in known):
        return  # the study's own error
    if not any(slug(str(entry.get("name"))).casefold() == slug(adapter.name).casefold() for entry in known):
        table["adapters"] = [*known, adapter.model_dump()]


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
        "adapters": AdapterSettings,
        "axes": AxisSettings,
        "evaluate": EvaluateSettings,
        "report": ReportSettings,
    }
    if not parts:
        return [*Study.model_fields, "training"]
    inner: dict[str, type[BaseModel]] = {"leave_out": LeaveOut, "replay": ReplaySettings}
    known = next((inner[part] for part in parts if part in inner), sections.get(parts[0], Study))
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
