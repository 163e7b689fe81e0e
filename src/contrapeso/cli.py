"""The command line: parse, call one function, print.

Exit codes: 0 done; 1 another contrapeso error; 2 wrong study, setting or usage; 3 data; 4 model; 5 disk, memory or
device; 6 study folder; 130 interrupted. A `check` that finds an obstacle exits with that obstacle's code. An error is
one line on stderr; a traceback means a bug.
"""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

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

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A preset's name or a TOML file.")]
OutOption = Annotated[Path | None, typer.Option(help="The study folder; results/<study name> by default.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A study folder.")]
Language = Literal["en", "pt-BR"]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, e.g. model.id=my/model.")
]
DataHelp = "The questions and their databases: a folder in Spider's or BIRD's layout or one's own, or `pocket`."
SplitOption = Annotated[Literal["dev", "train"], typer.Option(help="Which questions were answered.")]
RuleOption = Annotated[
    Literal["unordered", "spider", "strict"], typer.Option(help="The rule that says which results are equal.")
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, help="Only the first so many questions were answered; all by default.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write everything to a JSON file too.")]


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
    loaded = load_study(study, overrides or ())
    folder = out or Path("results") / loaded.name
    summary = run(loaded, folder, reporter=OnConsole(console), allow_failing_audit=tuple(allow_failing_audit or ()))
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

    from contrapeso.rebuild import report
    from contrapeso.report.text import summary_table

    summary = report(folder, allow_failing_audit=allow_failing_audit, language=language)
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


@app.command("score")
def score_command(
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="One SQL a line, or a JSON, JSONL or CSV file.")
    ],
    data: Annotated[str, typer.Option(help=DataHelp)],
    split: SplitOption = "dev",
    rule: RuleOption = "unordered",
    limit: LimitOption = None,
    json_file: JsonOption = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write one row a question to a CSV file too.")
    ] = None,
) -> None:
    """Judge predicted SQL from anywhere by running it: accuracy with interval, and why the wrong ones are wrong."""
    from rich.console import Console

    from contrapeso.score import score_predictions, scores_csv, scores_on_console
    from contrapeso.store import write_atomically, write_json

    _keep_inputs((predictions,), (json_file, csv_file))
    scores = score_predictions(predictions, data, split=split, rule=rule, limit=limit, every_core=True)
    if json_file:
        write_json(json_file, scores)
    if csv_file:
        write_atomically(csv_file, scores_csv(scores))
    Console(highlight=False, soft_wrap=True).print(*scores_on_console(scores), sep="\n")


@app.command("compare")
def compare_command(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Predictions, outcomes or a table (CSV).")],
    after: Annotated[
        Path | None, typer.Argument(metavar="AFTER", help="What is compared with it; not with --columns.")
    ] = None,
    data: Annotated[str | None, typer.Option(help=DataHelp + " For prediction files.")] = None,
    split: SplitOption = "dev",
    rule: RuleOption = "unordered",
    limit: LimitOption = None,
    columns: Annotated[
        tuple[str, str] | None, typer.Option(metavar="BEFORE AFTER", help="Two columns of 0 and 1 of one table.")
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="COLUMN", help="The table's column of groups.")] = None,
    scheme: Annotated[
        Literal["cluster", "stratified"] | None,
        typer.Option(help="Resample whole groups, or items within groups; by default what fits the data."),
    ] = None,
    margin: Annotated[float, typer.Option(help="The largest difference that would not matter, in points.")] = 2.0,
    json_file: JsonOption = None,
) -> None:
    """Compare two prediction files, two outcome files of a study, or two columns of a table, item by item."""
    from contrapeso.answers import answers_in_outcomes, answers_in_predictions, answers_in_table
    from contrapeso.compare import compare_answers, comparison_lines
    from contrapeso.store import write_json

    _keep_inputs((before, after), (json_file,))
    if columns:
        if after or data or limit or split != "dev" or rule != "unordered":
            raise typer.BadParameter(
                "--columns compares two columns of one table: leave out AFTER and --data, --rule, --split, --limit"
            )
        answers = answers_in_table(before, columns, group=group)
    elif after is None or group:
        raise typer.BadParameter("give two files, or one table with --columns BEFORE AFTER (and --group COLUMN)")
    elif data:
        answers = answers_in_predictions(before, after, data=data, split=split, rule=rule, limit=limit)
    elif limit or split != "dev":
        raise typer.BadParameter("--split and --limit are for prediction files; outcome files name their questions")
    else:
        answers = answers_in_outcomes(before, after, rule=rule)
    comparison = compare_answers(answers, scheme=scheme, margin=margin / 100)
    if json_file:
        write_json(json_file, comparison)
    print(*map(printable, comparison_lines(comparison)), sep="\n")


def main() -> None:
    """Entry point of the `contrapeso` command."""
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


def _keep_inputs(inputs: tuple[Path | None, ...], outputs: tuple[Path | None, ...]) -> None:
    """Refuse to write over what is read, or one result over another, before any work is done."""
    named = [path.resolve() for path in (*inputs, *outputs) if path]
    for path in outputs:
        if path and path.is_dir():
            raise typer.BadParameter(f"{path} is a folder; name a file")
        if path and named.count(path.resolve()) > 1:
            raise typer.BadParameter(f"{path} is named twice: results need a file of their own")


def _leave(message: str, code: int) -> NoReturn:
    line = printable(" ".join(message.split()))  # parts of it come from other libraries and from data
    print(f"contrapeso: {line}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
