"""The three files of the page: HTML, style and script, made once at the start.

The style begins with the one of `report.html`, so both look alike. Nothing of a model or a database is in these files;
all of that comes later, as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from contrapeso.ask_source import Source
from contrapeso.demo.guard import TOKEN_HEADER
from contrapeso.demo.shelf import UPLOAD_BYTES
from contrapeso.models.loading import POCKET
from contrapeso.names import model_name
from contrapeso.report.figures import PALETTE
from contrapeso.report.packing import visible
from contrapeso.store import StudyFolder, read_json


@dataclass(frozen=True)
class Assets:
    """What the browser gets."""

    template: Template
    facts: Mapping[str, Any]
    style: str
    script: str

    def page(self, token: str) -> str:
        """The page, with the token its script sends along."""
        return self.template.render(self.facts, token=token)


def assets(source: Source) -> Assets:
    """Make the files.

    Args:
        source: who answers.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("contrapeso.demo"), PackageLoader("contrapeso.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    style = environment.get_template("page.css").render(palette=PALETTE) + "\n"
    measured = _measured(source)
    facts = {
        "model": model_name(source.model.id),
        "toy": source.model.id == POCKET,
        "study": source.folder.name if source.folder else "",
        "variants": [(variant.name, measured.get(variant.name, "")) for variant in source.variants],
        "token_header": TOKEN_HEADER,
        "upload_bytes": UPLOAD_BYTES,
    }
    loader = environment.loader
    assert loader is not None
    return Assets(
        environment.get_template("demo.html"),
        facts,
        style + loader.get_source(environment, "demo.css")[0],
        loader.get_source(environment, "demo.js")[0],
    )


def _measured(source: Source) -> dict[str, str]:
    """Variant -> how often it was right in its study, in words; nothing where the audit withholds it."""
    summary = read_json(StudyFolder(source.folder).summary) if source.folder else None
    words = {}
    for name, tasks in (summary or {"variants": {}})["variants"].items():
        for entry in tasks.values():
            if entry.get("kind") == "generation" and entry.get("valid", True) and "accuracy" in entry:
                words[name] = f"{100 * entry['accuracy']:.1f} % right in the study"
    return words
