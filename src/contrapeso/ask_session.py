"""A conversation about one database: lines enter, one question or command each; answers are printed.

Lines come from a person at a terminal (with history, Ctrl-C for the current answer, Ctrl-D to leave) or from a pipe.
What goes wrong with one line is said and the next one is taken.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from contrapeso.ask import Asker
from contrapeso.ask_database import Database
from contrapeso.ask_text import answer_lines, schema_lines, side_by_side
from contrapeso.errors import ContrapesoError
from contrapeso.names import printable

PROMPT = "ask> "
HELP = """\
Anything else than these is a question about the database.
  \\compare [QUESTION]  let every variant answer, side by side; without a question, the last one
  \\schema [TABLE]      the tables, or the columns of one
  \\variant [NAME]      who answers; without a name, who could
  \\help                these lines
  \\quit                leave, as Ctrl-D does; Ctrl-C gives the current answer up"""


def converse(asker: Asker, database: Database, *, rows: int, as_json: bool) -> bool:
    """Answer the lines of standard input, typed or piped.

    Args:
        asker: who answers.
        database: what is asked about.
        rows: how many rows of a result to show.
        as_json: print each answer as one line of JSON instead.

    Returns:
        True when a person typed them, or when every piped line was answered.
    """
    session = Session(asker, database, console=Console(), rows=rows, as_json=as_json)
    if not sys.stdin.isatty():
        session.take_all(sys.stdin)
        return session.failed == 0
    tables = len(database.schema.tables)
    print(printable(f"{database.name}: {tables:,} table{'s' * (tables != 1)}; {asker.source.chosen.name} answers"))
    print("\\help lists the commands, Ctrl-D leaves")
    session.take_all(typed_lines())
    return True


class Session:
    """One conversation: the database, who answers, what was asked last.

    Args:
        asker: who answers.
        database: what is asked about.
        console: where answers go.
        rows: how many rows of a result to show.
        as_json: print each answer as one line of JSON instead.
    """

    def __init__(self, asker: Asker, database: Database, *, console: Console, rows: int, as_json: bool = False) -> None:
        self.failed = 0
        self._asker, self._database, self._console = asker, database, console
        self._rows, self._as_json = rows, as_json
        self._variant = asker.source.chosen
        self._last = ""

    def take_all(self, lines: Iterable[str]) -> None:
        """Take lines until they end or one says `\\quit`; `failed` then counts the questions without rows."""
        for line in lines:
            text = line.strip()
            if text in ("\\quit", "\\q"):
                return
            try:
                self._take(text)
            except ContrapesoError as error:
                self.failed += 1
                _complain(str(error))
            except KeyboardInterrupt:
                if not sys.stdin.isatty():
                    raise
                _complain("given up; Ctrl-D leaves")

    def _take(self, text: str) -> None:
        command, _, argument = text.partition(" ")
        argument = argument.strip()
        match command:
            case "":
                return
            case "\\help":
                self._console.print(Text(HELP))
            case "\\schema":
                self._console.print(*schema_lines(self._database.schema, argument), sep="\n")
            case "\\variant":
                self._choose(argument)
            case "\\compare":
                self._compare(argument or self._last)
            case _ if command.startswith("\\"):
                self.failed += 1
                _complain(f"there is no command {command}; \\help lists them")
            case _:
                self._ask(text)

    def _ask(self, question: str) -> None:
        self._last = question
        answer = self._asker.answer(question, self._database, variant=self._variant)
        self.failed += not answer.result.ok
        if self._as_json:
            print(json.dumps(answer.to_json(), allow_nan=False))
        else:
            self._console.print(*answer_lines(answer, rows=self._rows), sep="\n")

    def _compare(self, question: str) -> None:
        if not question:
            _complain("nothing was asked yet; \\compare QUESTION asks every variant")
            return
        self._last = question
        known = {variant.name: variant for variant in (*self._asker.source.variants, self._variant)}
        answers = [self._asker.answer(question, self._database, variant=variant) for variant in known.values()]
        if self._as_json:
            print(*(json.dumps(answer.to_json(), allow_nan=False) for answer in answers), sep="\n")
        else:
            self._console.print(side_by_side(answers, rows=self._rows))

    def _choose(self, name: str) -> None:
        if name:
            self._variant = self._asker.source.named(name)
        for variant in {each.name: each for each in (*self._asker.source.variants, self._variant)}:
            self._console.print(Text(printable(f"{'*' if variant == self._variant.name else ' '} {variant}")))


def typed_lines() -> Iterator[str]:
    """Lines typed at the terminal, until Ctrl-D; Ctrl-C throws the line away."""
    with _history():
        while True:
            try:
                yield input(PROMPT)
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print()


@contextmanager
def _history() -> Iterator[None]:
    """Arrow keys and lines of earlier conversations, as far as this system has them."""
    try:
        import readline
    except ImportError:  # some builds of Python go without
        yield
        return
    file = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "contrapeso" / "ask_history"
    with suppress(OSError):  # none yet, or unreadable: the conversation does not need it
        readline.read_history_file(file)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        with suppress(OSError):  # a read-only home is no reason to fail at the end
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(file)
            file.chmod(0o600)


def _complain(message: str) -> None:
    print(f"contrapeso: {printable(' '.join(message.split()))}", file=sys.stderr)
