"""`contrapeso import-adapter` and `contrapeso export`: adapters into a study and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contrapeso.commands.options import FolderArgument, SetOption


def import_command(
    source: Annotated[
        Path, typer.Argument(metavar="PATH_OR_ARCHIVE", help="A folder in PEFT format, or a zip or tar archive of one.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The study folder.")],
    name: Annotated[str | None, typer.Option(help="Display name; that of the folder or archive by default.")] = None,
    study: Annotated[
        str | None, typer.Option(metavar="STUDY", help="A preset or a study file, when DIR holds no study yet.")
    ] = None,
    overrides: SetOption = None,
) -> None:
    """Measure a LoRA adapter trained elsewhere as one more variant of a study; nothing else is done again."""
    from rich.console import Console

    from contrapeso.importing import import_adapter
    from contrapeso.progress import OnConsole
    from contrapeso.report.text import summary_table

    console = Console()
    summary = import_adapter(
        source, out, name=name, study=study, overrides=overrides or (), reporter=OnConsole(console)
    )
    console.print(summary_table(summary))
    print(f"{summary['verdict']}\nReport: {out / 'report.html'}")
    print(f"{out / 'study.toml'} holds the study with this adapter; contrapeso run {out / 'study.toml'} --out {out}")


def export_command(
    folder: FolderArgument,
    variant: Annotated[str, typer.Option(metavar="NAME", help='Its display name, e.g. "Fine-Tuned Run 1 x0.5".')],
    out: Annotated[Path, typer.Option(metavar="ADAPTER", help="The folder to write; it must not exist yet.")],
) -> None:
    """Write a variant of a study as an ordinary PEFT adapter, its scale folded in."""
    from contrapeso.export import export_variant

    found = export_variant(folder, variant, out)
    print(f"{found.name} is in {out}")
