"""`contrapeso score` and `contrapeso compare`: judge what is already there, no model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from contrapeso.commands.options import DataHelp, JsonOption, LimitOption, RuleOption, SplitOption, keep_inputs
from contrapeso.names import printable


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

    keep_inputs((predictions,), (json_file, csv_file))
    scores = score_predictions(predictions, data, split=split, rule=rule, limit=limit, every_core=True)
    if json_file:
        write_json(json_file, scores)
    if csv_file:
        write_atomically(csv_file, scores_csv(scores))
    Console(highlight=False, soft_wrap=True).print(*scores_on_console(scores), sep="\n")


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

    keep_inputs((before, after), (json_file,))
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
