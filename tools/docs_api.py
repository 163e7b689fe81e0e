"""docs/python-api.md: the public names and the parts worth calling alone, from their signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any

import contrapeso

HEADER = """# Python

`import contrapeso` loads no torch; each name loads what it needs when it is first used. Errors are `ContrapesoError`s
that say what happened, with which value, and what to do next.

"""
PARTS = {
    "Data": ("contrapeso.data", ("load_questions", "spider_folder", "load_spider")),
    "Judging SQL": ("contrapeso.integrations.deepeval", ("ExecutionAccuracy",)),
    "Statistics: one proportion": ("contrapeso.stats.intervals", ("wilson_interval", "accuracy_interval", "Interval")),
    "Statistics: two variants on the same items": (
        "contrapeso.stats.paired",
        ("compare", "Comparison", "mcnemar_p", "holm", "equivalence", "Equivalence", "verdict"),
    ),
    "Statistics: what a study can see": (
        "contrapeso.stats.power",
        ("assumed_design_effect", "smallest_detectable_difference"),
    ),
    "Statistics: the trade-off": ("contrapeso.stats.tradeoff", ("weigh", "Tradeoff", "relative_change")),
    "Statistics: the Pareto front": ("contrapeso.stats.pareto", ("pareto", "Standing")),
}
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Source):(.*)$")
NAMED = ("Args", "Attributes", "Raises")
ENTRY = re.compile(r"^([\w*, ]+): (.*)$")


def page() -> str:
    """The whole page, in Markdown."""
    text = HEADER + "## The public names\n\nFrom `contrapeso`:\n"
    for name in contrapeso.__all__:
        if name != "__version__":
            text += entry(name, getattr(contrapeso, name))
    for title, (module, names) in PARTS.items():
        text += f"\n## {title}\n\nFrom `{module}`:\n"
        for name in names:
            text += entry(name, getattr(import_module(module), name))
    return text


def entry(name: str, thing: Any) -> str:
    """Heading, signature and docstring of one name."""
    kind = "class" if inspect.isclass(thing) else "def"
    text = f"\n### {name}\n\n```python\n{kind} {_signature(name, thing)}\n```\n\n"
    return text + "\n".join(_markdown(inspect.getdoc(thing) or "")).strip() + "\n"


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and (is_dataclass(thing) or issubclass(thing, BaseException)):
        bases = [base.__name__ for base in thing.__bases__ if base is not object]
        return name + (f"({', '.join(bases)})" if bases else "")
    if hasattr(thing, "model_fields"):
        return f"{name}({', '.join(base.__name__ for base in thing.__bases__)})"
    signature = inspect.signature(thing)
    parameters = [_parameter(parameter) for parameter in signature.parameters.values()]
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        parameters.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    returns = "" if inspect.isclass(thing) else f" -> {_type(signature.return_annotation)}"
    line = f"{name}({', '.join(parameters)}){returns}"
    return (
        line if len(line) <= 100 else "\n".join([f"{name}(", *(f"    {part}," for part in parameters), f"){returns}"])
    )


def _parameter(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {_type(parameter.annotation)}{default}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _markdown(docstring: str) -> Iterator[str]:
    """Google's sections as lists; what is indented elsewhere is a formula or an example and becomes a block of code."""
    section = ""
    for paragraph in re.split(r"\n\s*\n", docstring):
        lines = paragraph.splitlines()
        heading = SECTION.match(lines[0])
        if heading:
            section = heading[1]
            yield from ("", f"**{section}**", "")
            inside = [heading[2], *lines[1:]]
            yield from _entries(inside) if section in NAMED else (_escaped(" ".join(" ".join(inside).split())),)
        elif all(line.startswith("    ") for line in lines):
            yield from ("", "```text", inspect.cleandoc(paragraph), "```")
        else:
            yield from ("", _escaped(paragraph))


def _entries(lines: list[str]) -> Iterator[str]:
    """The entries of a section, one a bullet; continued lines are indented further."""
    entries: list[str] = []
    for line in lines:
        deeper = line.startswith("     ")
        if line.strip() and (deeper and entries):
            entries[-1] += " " + line.strip()
        elif line.strip():
            entries.append(line.strip())
    for text in entries:
        named = ENTRY.match(text)
        yield f"- `{named[1]}`: {_escaped(named[2])}" if named else f"- {_escaped(text)}"


def _escaped(text: str) -> str:
    """Prose of a docstring, with what Markdown would take for emphasis outside of code kept as it is."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*_<])", r"\\\1", part) for part in parts)
