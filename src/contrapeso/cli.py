"""The command line: parse, call one function, print.

Exit codes: 0 done; 1 another contrapeso error; 2 wrong study, setting or usage; 3 data; 4 model; 5 disk, memory or
device; 6 study folder; 130 interrupted. A `check` that finds an obstacle exits with that obstacle's code. An error is
one line on stderr; a traceback means a bug.
"""

from __future__ import annotations

import sys
import webbrowser
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from contrapeso.commands.adapters import export_command, import_command
from contrapeso.commands.ask import ask_command, demo_command
from contrapeso.commands.fetch import fetch_command
from contrapeso.commands.judging import compare_command, score_command
from contrapeso.commands.options import FolderArgument, Language, OutOption, SetOption, StudyArgument
from contrapeso.commands.recommending import recommend_command
from contrapeso.distributed import is_main, together
from contrapeso.errors import ContrapesoError, ResourceError, StoreError
from contrapeso.names import printable
from contrapeso.version import __version__

EXIT_CODES = (
    "Exit codes: 0 done, 2 study or usage, 3 data, 4 model, 5 disk/memory/device, 6 study folder, 130 interrupted."
)

INTERRUPTED = 130
UsageError: Any = typer.BadParameter.__mro__[1]
"""What a wrong option or command raises; typer has no public name for it."""

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Weighs what fine-tuning gives a language model against what it takes away.",
    epilog=EXIT_CODES,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"contrapeso {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command; without a command, the help."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command("run")
def run_command(
    study: StudyArgument,
    out: OutOption = None,
    overrides: SetOption = None,
    allow_failing_audit: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Print numbers although this audit check fails.")
    ] = None,
) -> None:
    """Run a study: measure the base, train and measure every run, write the report. The same command resumes."""
    from rich.console import Console

    from contrapeso.experiment import run
    from contrapeso.progress import OnConsole
    from contrapeso.report.text import summary_table
    from contrapeso.study import load_study

    console = Console()
    with together():  # so that an error is said once
        loaded = load_study(study, overrides or ())
        folder = out or Path("results") / loaded.name
        summary = run(loaded, folder, reporter=OnConsole(console), allow_failing_audit=tuple(allow_failing_audit or ()))
    if is_main():
        console.print(summary_table(summary))
        print(f"{summary['verdict']}\nReport: {folder / 'report.html'}")


@app.command("check")
def check_command(study: StudyArgument, out: OutOption = None, overrides: SetOption = None) -> None:
    """Check data, model, disk, memory, device and the smallest effect the study can show; loads no weights."""
    from contrapeso.check import check
    from contrapeso.study import load_study

    loaded = load_study(study, overrides or ())
    findings = check(loaded, out or Path("results") / loaded.name)
    for finding in findings:
        print(f"{finding.status:<5} {finding.subject}: {finding.detail}")
    obstacles = [finding for finding in findings if finding.status == "fail"]
    if obstacles:
        raise typer.Exit(max(finding.exit_code for finding in obstacles))


@app.command("report")
def report_command(
    folder: FolderArgument,
    allow_failing_audit: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Print numbers although this audit check fails.")
    ] = None,
    language: Annotated[Language | None, typer.Option(help="Of page and paper; as the study says by default.")] = None,
) -> None:
    """Write a study's report again from the outcomes in its folder: no model, no GPU, no data set."""
    from rich.console import Console

    from contrapeso.rebuild import rebuild_report
    from contrapeso.report.text import summary_table

    summary = rebuild_report(folder, allow_failing_audit=allow_failing_audit, language=language)
    Console().print(summary_table(summary))
    print(f"{summary['verdict']}\nReport: {folder / 'report.html'}")


@app.command("open")
def open_command(folder: FolderArgument) -> None:
    """Open a study's page in the browser."""
    page = folder / "report.html"
    if not page.is_file():
        raise StoreError(f"there is no {page}; `contrapeso run` or `contrapeso report` writes it")
    print(page)
    if not webbrowser.open(page.resolve().as_uri()):
        raise ResourceError(f"no browser could be started; open {page.resolve()} by hand")


@app.command("init")
def init_command(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("study.toml"),
    preset: Annotated[str, typer.Option(help="The preset to start from.")] = "pocket",
) -> None:
    """Write a commented study file to start from."""
    from contrapeso.study_file import write_commented

    write_commented(file, preset)
    print(f"wrote {file}; edit it, then: contrapeso run {file}")


app.command("fetch")(fetch_command)
app.command("score")(score_command)
app.command("compare")(compare_command)
app.command("recommend")(recommend_command)
app.command("import-adapter")(import_command)
app.command("export")(export_command)
app.command("ask")(ask_command)
app.command("demo")(demo_command)


def main() -> None:
    """Entry point of the `contrapeso` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a locale that is not UTF-8 has no letter for what databases hold
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="contrapeso", standalone_mode=False)
    except ContrapesoError as error:
        _leave(str(error), error.exit_code)
    except UsageError as error:
        _leave(f"{error.format_message().rstrip('.')}; see contrapeso --help", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # typer turns the interrupt into this code
        _leave("interrupted; the same command resumes", INTERRUPTED)
    sys.exit(code)


def _leave(message: str, code: int) -> NoReturn:
    line = printable(" ".join(message.split()))  # parts of it come from other libraries and from data
    print(f"contrapeso: {line}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
