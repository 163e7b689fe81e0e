"""Write a study file a person can edit: every setting with its sentence, those a preset leaves alone commented out.

The sentences are the docstrings of the fields in `settings.py` and `study.py`, so that they live once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from contrapeso.errors import StudyError
from contrapeso.settings import (
    AdapterSettings,
    AxisSettings,
    EvaluateSettings,
    GeneralSettings,
    LoraSettings,
    ModelSettings,
    ReportSettings,
    TargetSettings,
)
from contrapeso.store import write_atomically
from contrapeso.study import Study, preset_text

SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("model", ModelSettings, "The base model."),
    ("target", TargetSettings, "What it is tuned for: text-to-SQL."),
    ("general", GeneralSettings, "What it knew before: multiple choice."),
    ("training", LoraSettings, "Values shared by all runs; a run may override any of them."),
)


def write_commented(file: Path, preset: str) -> None:
    """Write a commented study file.

    Args:
        file: where; must not exist yet.
        preset: the preset whose values are filled in.

    Raises:
        StudyError: the file exists, or there is no such preset.
    """
    if file.exists():
        raise StudyError(f"{file} exists; delete it or name another file")
    write_atomically(file, commented(preset))


def commented(preset: str) -> str:
    """The text of a commented study file with a preset's values."""
    table = tomllib.loads(preset_text(preset))
    lines = ["# A contrapeso study. Commented lines show defaults. Paths are relative to this file.", ""]
    lines += _settings(Study, {key: table.get(key) for key in ("name", "seed")}, only=("name", "seed"))
    for section, settings, sentence in SECTIONS:
        lines += [f"# {sentence}", f"[{section}]", *_settings(settings, table.get(section, {}))]
    for run in table["runs"]:
        lines += ["[[runs]]", *(_assign(key, value) for key, value in run.items()), ""]
    lines += ["# Adapters trained elsewhere; `contrapeso import-adapter` adds one too.", "# [[adapters]]"]
    lines += [f"# {key} =" for key in AdapterSettings.model_fields] + [""]
    lines += ["# Further things it knew before: docs/axes.md.", "# [[axes]]"]
    lines += [f"# {key} =" for key in AxisSettings.model_fields] + [""]
    lines += ["# How variants are measured; none of this changes what is asked.", "[evaluate]"]
    lines += _settings(EvaluateSettings, table.get("evaluate", {}))
    lines += ["# How results are shown; no number depends on it.", "[report]"]
    lines += _settings(ReportSettings, table.get("report", {}))
    return "\n".join(lines).rstrip() + "\n"


def _settings(settings: type[BaseModel], values: Mapping[str, Any], only: tuple[str, ...] = ()) -> Iterator[str]:
    for key, field in settings.model_fields.items():
        if only and key not in only:
            continue
        yield from (f"# {line}" for line in (field.description or "").splitlines())
        if key in values:
            yield _assign(key, values[key])
        elif field.default is None or field.default is PydanticUndefined:
            yield f"# {key} ="
        else:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            yield from (f"# {line}" for line in _assign(key, default).splitlines())
    yield ""


def _assign(key: str, value: Any) -> str:
    return tomli_w.dumps({key: value}).strip()
