"""`contrapeso fetch`: bring a benchmark set into the cache, where a study finds it by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def fetch_command(
    name: Annotated[Literal["spider", "mmlu", "bird"], typer.Argument(metavar="SET", help="spider, mmlu or bird.")],
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="ORIGIN", help="Take it from huggingface, kaggle, a URL, a folder or a file."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep it here; else in $CONTRAPESO_DATA or ~/.cache/contrapeso."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="REV", help="Take another commit or version than the pinned one.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option("--sha256", metavar="HEX", help="Accept nothing but this SHA-256.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody; use what this machine has.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fetch again although the set is there.")] = False,
) -> None:
    """Fetch Spider, MMLU or BIRD dev, checked file by file, to where a study finds it by name."""
    from rich.console import Console

    from contrapeso.data.cache import CACHE_VARIABLE, cache_folder
    from contrapeso.data.hub import Request, fetch
    from contrapeso.data.layouts import in_words
    from contrapeso.data.sources import SETS
    from contrapeso.progress import OnConsole

    request = Request(origin=origin, revision=revision, sha256=sha256, offline=offline, force=force)
    fetched = fetch(name, request, cache=cache, reporter=OnConsole(Console(soft_wrap=True)))
    if not fetched.fresh:
        record = fetched.record
        revision = f" at {record['revision']}" if record.get("revision") else ""
        print(
            f"{name} is there already and unchanged: {in_words(record['counts'])}, from {record['origin']}{revision}; "
            "--force fetches it again"
        )
    where = "general.data" if SETS[name].kind == "mmlu" else "target.data"
    print(f'{fetched.folder}\nA study finds it by {where} = "{name}".')
    if fetched.folder.parent != cache_folder():
        print(f"For that, set {CACHE_VARIABLE}={fetched.folder.parent}")
