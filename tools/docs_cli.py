"""docs/cli.md: every command with its arguments and options, from what `contrapeso COMMAND --help` is made of."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import typer.main

from contrapeso.cli import EXIT_CODES, app

HEADER = """# The command line

`contrapeso COMMAND --help` prints the same. An error is one line on stderr that says what happened and what to do next;
a traceback is a bug.

"""


def page() -> str:
    """The whole page, in Markdown."""
    text = HEADER + EXIT_CODES + "\n"
    for name, command in commands().items():
        context = command.make_context(f"contrapeso {name}", [], resilient_parsing=True)
        usage = command.get_usage(context).removeprefix("Usage: ").replace("{", "").replace("}", "")
        text += f"\n## `contrapeso {name}`\n\n{_paragraphs(command.help)}\n\n```text\n{usage}\n```\n\n"
        text += "\n".join(_rows(command, context)) + "\n"
    return text


def commands() -> dict[str, Any]:
    """Name -> command, in the order of `contrapeso --help`; hidden ones are left out."""
    group: Any = typer.main.get_command(app)
    return {name: command for name, command in group.commands.items() if not command.hidden}


def _rows(command: Any, context: Any) -> Iterator[str]:
    yield "| argument or option | what it does |"
    yield "| --- | --- |"
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            names, words = record
            yield f"| `{_cell(names)}` | {_cell(html.escape(words, quote=False))} |"


def _cell(text: str) -> str:
    """Text inside a table: bars would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
