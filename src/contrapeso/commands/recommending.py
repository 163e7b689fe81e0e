"""`contrapeso recommend`: which variant of a study to take."""

from __future__ import annotations

from typing import Annotated

import typer

from contrapeso.commands.options import FolderArgument, JsonOption, keep_inputs
from contrapeso.names import printable


def recommend_command(
    folder: FolderArgument,
    max_loss: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Take the most gain that certainly loses no more than this.")
    ] = None,
    min_gain: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Take the least loss that certainly gains at least this.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="How certainly, between 0.5 and 1.")] = 0.95,
    json_file: JsonOption = None,
) -> None:
    """Recommend a variant within a budget, and estimate on items it was not chosen on what the choice is worth."""
    from contrapeso.recommend import recommend_variant, recommendation_lines
    from contrapeso.stats.selection import Rule
    from contrapeso.store import write_json

    if max_loss is not None and min_gain is None:
        rule = Rule("max_loss", max_loss / 100, confidence)
    elif min_gain is not None and max_loss is None:
        rule = Rule("min_gain", min_gain / 100, confidence)
    else:
        raise typer.BadParameter("give either --max-loss POINTS or --min-gain POINTS")
    keep_inputs((), (json_file,))
    found = recommend_variant(folder, rule)
    if json_file:
        write_json(json_file, found)
    print(*map(printable, recommendation_lines(found)), sep="\n")
