"""docs/settings.md: every key of a study file, from the fields of `contrapeso.settings` and `contrapeso.study`."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from contrapeso.settings import LoraSettings, Settings
from contrapeso.study import Study, preset_text, presets

HEADER = """# Every key of a study file

A study is a TOML file; `contrapeso init` writes one with every key and its sentence in it. A key that is left out has
its default, an unknown one is refused with the nearest name. On the command line, `--set KEY=VALUE` overrides any of
them by its full name: `--set model.id=my-org/my-model`, `--set runs.0.epochs=2` (N is counted from 0). Paths in a file
are relative to that file.

"""
TRAINING = """## `[training]`

Shared by all runs: these keys may stand here or in a `[[runs]]`, whose own value wins.

"""
RUNS = "All keys of `[training]`, and:"
PRESETS = """## Presets

Studies that ship with contrapeso: `contrapeso run NAME` runs one, `contrapeso init --preset NAME` writes it to a file
with every key.
"""
KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "none"}
SIGNS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def page() -> str:
    """The whole page, in Markdown."""
    sections = {name: inner for name, field in Study.model_fields.items() if (inner := _settings_of(field.annotation))}
    plain = {name: field for name, field in Study.model_fields.items() if name not in sections}
    text = HEADER + "\n".join(_table("", plain)) + "\n\n"
    for name, inner in sections.items():
        fields = inner.model_fields
        if name == "runs":
            text += TRAINING + "\n".join(_table("training.", LoraSettings.model_fields)) + "\n\n"
            fields = {key: field for key, field in fields.items() if key not in LoraSettings.model_fields}
        several = _is_list(Study.model_fields[name].annotation)
        heading, prefix = (f"[[{name}]]", f"{name}.N.") if several else (f"[{name}]", f"{name}.")
        words = " ".join([_sentence(inner), *[RUNS] * (name == "runs")])
        text += f"## `{heading}`\n\n{words}\n\n" + "\n".join(_table(prefix, fields)) + "\n\n"
    return (
        text + PRESETS + "".join(f"\n### `{name}`\n\n```toml\n{preset_text(name).strip()}\n```\n" for name in presets())
    )


def kind(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type in words: `whole number ≥ 1`, `"auto" or "cpu"`, `list of text`, ..."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(inside[0], inside[1:])
    if origin is Literal:
        return " or ".join(f'`"{value}"`' for value in inside)
    if origin is tuple:
        return "list of tables" if _settings_of(inside[0]) else f"list of {kind(inside[0])}"
    if origin in (Union, types.UnionType):
        return " or ".join(kind(part) for part in inside if part is not type(None))
    if _settings_of(annotation) is not None:
        return "table"
    return f"{KINDS[annotation]} {' and '.join(_bounds(metadata))}".strip()


def _bounds(metadata: Sequence[Any]) -> Iterator[str]:
    constraints = [inner for part in metadata for inner in getattr(part, "metadata", [part])]
    for constraint in constraints:
        for known, attribute, sign in SIGNS:
            if isinstance(constraint, known):
                yield f"{sign} {getattr(constraint, attribute)}"


def _table(prefix: str, fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    yield "| key | value | default | what it is |"
    yield "| --- | --- | --- | --- |"
    yield from _rows(prefix, fields)


def _rows(prefix: str, fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """A row for every key, and below a table's the rows of what is in it."""
    for key, field in fields.items():
        words = " ".join((field.description or "").split()).replace("|", "\\|")
        yield f"| `{prefix}{key}` | {kind(field.annotation, field.metadata)} | {_default(field)} | {words} |"
        inner = _settings_of(field.annotation)
        if inner is not None:
            yield from _rows(f"{prefix}{key}.{'N.' * _is_list(field.annotation)}", inner.model_fields)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "*required*"
    if value is None:
        return "none"
    return f"`{json.dumps(value)}`"  # for text, numbers, truth values and lists of them TOML and JSON are the same


def _settings_of(annotation: Any) -> type[BaseModel] | None:
    """The settings class that an annotation holds: itself, as the elements of a list, or unless it is left out."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, Settings) else None
    return next(filter(None, map(_settings_of, _inside(annotation))), None)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return origin is tuple or (origin is not None and any(map(_is_list, _inside(annotation))))


def _inside(annotation: Any) -> Sequence[Any]:
    """What a generic type is made of; of an annotated one without its constraints."""
    parts = get_args(annotation)
    return parts[:1] if get_origin(annotation) is Annotated else [part for part in parts if not isinstance(part, str)]


def _sentence(settings: type[BaseModel]) -> str:
    return " ".join((settings.__doc__ or "").split())
