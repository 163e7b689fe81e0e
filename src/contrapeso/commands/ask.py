"""`contrapeso ask` and `contrapeso demo`: questions about a database, at the terminal and in the browser."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from contrapeso.commands.options import SetOption
from contrapeso.errors import ResourceError

if TYPE_CHECKING:
    from contrapeso.ask_source import Source

StudyOption = Annotated[Path | None, typer.Option("--study", metavar="DIR", help="Study folder whose variants answer.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="ID", help="Hub id or folder; the pocket model by default.")
]
AdapterOption = Annotated[
    Path | None, typer.Option("--adapter", metavar="DIR", help="Adapter in PEFT format to put on the model.")
]


def ask_command(
    database: Annotated[Path, typer.Option(metavar="FILE", help="The SQLite file; it is only read.")],
    question: Annotated[
        str | None, typer.Argument(metavar="QUESTION", help="What to ask; without it, questions are taken one by one.")
    ] = None,
    study: StudyOption = None,
    variant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who answers; of a study, the first run by default.")
    ] = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one line of JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
    sql_only: Annotated[bool, typer.Option("--sql-only", help="Print the query and do not run it.")] = False,
    overrides: SetOption = None,
) -> None:
    """Ask a question about a SQLite file: a model writes the query, it is run read-only, the rows are shown."""
    if as_json + as_csv + sql_only > 1:
        raise typer.BadParameter("--json, --csv and --sql-only exclude each other")
    if question is None and (as_csv or sql_only):
        raise typer.BadParameter("--csv and --sql-only need a QUESTION")
    source = _source(study, variant, model=model, adapter=adapter, overrides=overrides or ())

    from contrapeso.ask import WAITING_LIMITS, Asker
    from contrapeso.ask_database import open_database
    from contrapeso.ask_session import converse
    from contrapeso.ask_text import print_answer
    from contrapeso.sql import Sandbox

    opened = open_database(database)
    with Sandbox(workers=1, limits=WAITING_LIMITS) as sandbox:
        asker = Asker(source, sandbox, say=_say)
        if question is None:
            done = converse(asker, opened, rows=rows, as_json=as_json)
        else:
            answer = asker.answer(question, opened, run=not sql_only)
            done = print_answer(answer, rows=rows, form=_form(as_json, as_csv, sql_only))
    if not done:
        raise typer.Exit(1)


def _say(line: str) -> None:
    print(f"contrapeso: {line}", file=sys.stderr)


def _form(as_json: bool, as_csv: bool, sql_only: bool) -> Literal["table", "json", "csv", "sql"]:
    return "json" if as_json else "csv" if as_csv else "sql" if sql_only else "table"


def _source(
    study: Path | None, variant: str | None, *, model: str | None, adapter: Path | None, overrides: Sequence[str]
) -> Source:
    from contrapeso.ask_source import model_source, study_source

    if study:
        if model or adapter:
            raise typer.BadParameter("--study brings its own model and adapters: leave out --model and --adapter")
        return study_source(study, variant=variant, overrides=overrides)
    if variant:
        raise typer.BadParameter("--variant names a variant of a study: give --study DIR too")
    return model_source(model, adapter=adapter, overrides=overrides)


def demo_command(
    study: StudyOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes any that is free.")] = 8731,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open no browser.")] = False,
    overrides: SetOption = None,
) -> None:
    """Open a local page: choose or upload a database, ask, see base and every run side by side."""
    from importlib.util import find_spec

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise ResourceError('the page needs starlette and uvicorn: pip install "contrapeso[demo]"')
    source = _source(study, None, model=model, adapter=adapter, overrides=overrides or ())

    from contrapeso.demo.server import serve

    serve(source, port=port, browser=not no_browser, say=_say)
