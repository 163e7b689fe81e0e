"""Arguments and options that several commands share, and the refusal to write over what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A preset's name or a TOML file.")]
OutOption = Annotated[Path | None, typer.Option(help="The study folder; results/<study name> by default.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A study folder.")]
Language = Literal["en", "pt-BR"]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. model.id=my/model.")
]
DataHelp = (
    "The questions and their databases: a folder in Spider's or BIRD's layout or one's own, `pocket`, or `spider` or "
    "`bird` when fetched."
)
SplitOption = Annotated[Literal["dev", "train"], typer.Option(help="Which questions were answered.")]
RuleOption = Annotated[
    Literal["unordered", "spider", "strict"], typer.Option(help="The rule that says which results are equal.")
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first so many questions were answered; all by default.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write everything to a JSON file too.")]


def keep_inputs(inputs: tuple[Path | None, ...], outputs: tuple[Path | None, ...]) -> None:
    """Refuse to write over what is read, or one result over another, before any work is done."""
    named = [path.resolve() for path in (*inputs, *outputs) if path]
    for path in outputs:
        if path and path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file")
        if path and named.count(path.resolve()) > 1:
            raise typer.BadParameter(f"{path} is named twice: results need a file of their own")
