"""A study in a notebook: its progress redrawn in the cell's output, its tables and figures shown below.

What a study says, and its finished folder, enter; a cell's output leaves. Works in Colab and in Jupyter; needs
IPython, which every notebook has.
"""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from contrapeso.experiment import run
from contrapeso.report.text import (
    ACCURACY_HEAD,
    COMPARISON_HEAD,
    TRADEOFF_HEAD,
    Row,
    Summary,
    accuracy_rows,
    comparison_rows,
    plain_markdown,
    tradeoff_rows,
    verdict_sentences,
)
from contrapeso.study import Study

WIDTH = 24
REDRAW_SECONDS = 1.0
FIGURES = ("tradeoff", "accuracy", "training")
FIGURE_WIDTH = 620


class InNotebook:
    """Reports into the output of the running cell: all finished steps, and below them one bar.

    The output is drawn anew as a whole, at most once a second, so that what stays are the finished steps alone.

    Args:
        clock: seconds, for the time left.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: list[str] = []
        self._drawn = float("-inf")

    def say(self, line: str) -> None:
        """Add a finished step."""
        self._lines.append(line)
        self._draw()

    @contextmanager
    def track(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Draw a bar for as long as the step takes."""
        started, before = self._clock(), done

        def advance(count: int) -> None:
            nonlocal done
            done += count
            now = self._clock()
            if now - self._drawn >= REDRAW_SECONDS:
                self._drawn = now
                self._draw(bar(label, done, total, seconds_left(now - started, done - before, total - done)))

        try:
            yield advance
        finally:
            self._draw()

    def _draw(self, *more: str) -> None:
        _ipython().clear_output(wait=True)
        print(*self._lines, *more, sep="\n", flush=True)


def run_in_cell(study: Study, folder: Path) -> dict[str, Any]:
    """Run a study, or what is left of it, with its progress in the running cell; then the GPU's memory is free again.

    Args:
        study: what to do.
        folder: the study folder.

    Returns:
        The summary.

    Raises:
        ContrapesoError: as in `experiment.run`. Nothing of a run that ended early stays in memory: a notebook keeps the
            last error with all its variables, and a GPU has no room for the model a second time.
    """
    try:
        return run(study, folder, reporter=InNotebook())
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None:
            torch.cuda.empty_cache()  # does nothing where CUDA was never used


def seconds_left(elapsed: float, done: int, remaining: int) -> float | None:
    """Time left at the pace so far, in seconds; None before anything is done."""
    return elapsed / done * remaining if done else None


def bar(label: str, done: int, total: int, left: float | None) -> str:
    """One line of text: `Run 1: training  ######............  120 / 480  0:12:04 left`."""
    full = WIDTH * done // max(total, 1)
    parts = [label, "#" * full + "." * (WIDTH - full), f"{done} / {total}"]
    if left is not None:
        minutes, seconds = divmod(round(left), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
    return "  ".join(parts)


def show_study(folder: Path, summary: Summary) -> None:
    """Show the verdict, the tables and the figures of a study below the running cell.

    Args:
        folder: the study folder, which holds the figures.
        summary: what `run` returned.
    """
    ipython = _ipython()
    ipython.display(
        ipython.Markdown("\n\n".join(f"**{plain_markdown(sentence)}**" for sentence in verdict_sentences(summary)))
    )
    for head, rows in (
        (ACCURACY_HEAD, accuracy_rows(summary)),
        (COMPARISON_HEAD, comparison_rows(summary)),
        (TRADEOFF_HEAD, tradeoff_rows(summary)),
    ):
        if rows:
            show_table(head, rows)
    for name in FIGURES:
        figure = folder / "figures" / f"{name}.png"
        if figure.is_file():
            ipython.display(
                ipython.Image(data=figure.read_bytes(), format="png", width=FIGURE_WIDTH, alt=f"Figure: {name}")
            )


def show_table(head: Row, rows: Sequence[Row]) -> None:
    """Show rows of text as a table below the running cell; markup in them is text."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    ipython = _ipython()
    ipython.display(ipython.HTML(f"<table>\n{''.join(lines)}</table>"))


def _row(tag: str, cells: Row) -> str:
    written = (f'<{tag} style="text-align: left">{escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{''.join(written)}</tr>\n"


def _ipython() -> Any:
    """IPython's display functions, which have no types."""
    return import_module("IPython.display")
