"""Writes `notebooks/contrapeso.ipynb` from `notebooks/cells.py`, with the outputs of a real run.

The cells are kept as a Python file, so that changes to them can be read and linted; the notebook is made of it:

    python -m tools.notebook             # the cells as they are now; outputs stay where no cell changed
    python -m tools.notebook --execute   # all cells executed on `pocket`, outputs kept

Kept outputs name no path of the machine they were made on, and no warnings; the same cells give the same file but for
what the run printed.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parent.parent
CELLS = ROOT / "notebooks" / "cells.py"
NOTEBOOK = ROOT / "notebooks" / "contrapeso.ipynb"
_MARKER = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)
_KEPT = ("display_data", "execute_result", "stream")


def repository() -> str:
    """The project's address, as pyproject.toml gives it."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    return str(urls["Repository"]).rstrip("/")


def build(text: str, address: str) -> Any:
    """The notebook, without outputs.

    Args:
        text: cells in the percent format; `{repository}` and `{colab}` in them stand for addresses.
        address: of the repository, on GitHub.
    """
    owner_and_name = address.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/{NOTEBOOK.name}"
    text = text.replace("{repository}", address).replace("{colab}", colab)
    _, *parts = _MARKER.split(text)
    cells = [_cell(number, kind, body) for number, (kind, body) in enumerate(zip(parts[::2], parts[1::2], strict=True))]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = {
        "accelerator": "GPU",
        "colab": {"gpuType": "T4", "provenance": []},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def _cell(number: int, kind: str | None, body: str) -> Any:
    identity = f"cell-{number:02d}"  # nbformat's own are drawn at random
    if kind is None:
        return nbformat.v4.new_code_cell(body.strip("\n"), id=identity)
    lines = (line.removeprefix("#").removeprefix(" ") for line in body.strip("\n").split("\n"))
    return nbformat.v4.new_markdown_cell("\n".join(lines), id=identity)


def execute(notebook: Any, folder: Path, *, timeout_seconds: int = 3600) -> Any:
    """Execute all cells in a fresh kernel, in place.

    Args:
        notebook: what to execute.
        folder: the kernel's working directory.
        timeout_seconds: longest that one cell may take.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    from nbclient import NotebookClient

    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=timeout_seconds, kernel_name="python3", resources=resources).execute()


def clean(notebook: Any, folder: Path) -> Any:
    """The notebook with only what a reader wants of its outputs, in place.

    Args:
        notebook: executed.
        folder: where it was executed; its path becomes `…`.
    """
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            outputs = [output for output in cell.outputs if output.output_type in _KEPT]
            cell.outputs = [_without(str(folder), output) for output in outputs if output.get("name") != "stderr"]
    return notebook


def _without(path: str, value: Any) -> Any:
    if isinstance(value, dict):
        return nbformat.from_dict({name: _without(path, inner) for name, inner in value.items()})
    if isinstance(value, list):
        return [_without(path, inner) for inner in value]
    return value.replace(path, "…") if isinstance(value, str) else value


def keep_outputs(notebook: Any, earlier: Any) -> Any:
    """The notebook with the outputs of an earlier one, where the code is the very same, in place."""
    if [cell.source for cell in _code(notebook)] == [cell.source for cell in _code(earlier)]:
        for cell, before in zip(_code(notebook), _code(earlier), strict=True):
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return notebook


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def main() -> None:
    """Write the notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--execute", action="store_true", help="execute all cells on `pocket`; takes minutes")
    arguments = parser.parse_args()
    notebook = build(CELLS.read_text(encoding="utf-8"), repository())
    if arguments.execute:
        with tempfile.TemporaryDirectory() as folder:
            clean(execute(notebook, Path(folder)), Path(folder))
    elif NOTEBOOK.is_file():
        keep_outputs(notebook, nbformat.read(NOTEBOOK, as_version=4))
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)
    print(f"wrote {NOTEBOOK.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
