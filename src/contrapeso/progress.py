"""How long work reports itself: a line of text, or a bar with time left.

The library calls a `Reporter`; `cli.py` passes one that draws with rich; the default says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Reporter(Protocol):
    """Where progress goes."""

    def say(self, line: str) -> None:
        """One finished step or decision."""

    def track(self, label: str, total: int, done: int = 0) -> AbstractContextManager[Callable[[int], None]]:
        """A bar; the yielded function takes how many more units are done."""


class Silent:
    """Reports nothing."""

    def say(self, line: str) -> None:
        """Drop the line."""

    @contextmanager
    def track(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Drop the counts."""
        yield lambda count: None


class OnConsole:
    """Draws bars with count, elapsed time and time left; on a pipe only the lines of `say` appear."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, line: str) -> None:
        """Print a line; markup in it is text, because names in it come from users."""
        self.console.print(line, markup=False, highlight=False)

    @contextmanager
    def track(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Draw one bar, which goes away when the step ends."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        # On a pipe a bar that goes away would leave an empty line.
        hidden = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as progress:
            bar = progress.add_task(label, total=total, completed=done)
            yield lambda count: progress.advance(bar, count)


@contextmanager
def steps_bar(reporter: Reporter, label: str) -> Iterator[Callable[[int, int, float], None]]:
    """A bar of optimizer steps, which begins when the first step tells how many there are."""
    with ExitStack() as stack:
        seen: list[Any] = []

        def progress(step: int, total: int, loss: float) -> None:
            if not seen:
                seen.extend((stack.enter_context(reporter.track(label, total, done=step - 1)), step - 1))
            seen[0](step - seen[1])
            seen[1] = step

        yield progress
