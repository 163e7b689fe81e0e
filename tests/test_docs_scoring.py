"""docs/scoring.md is true: its Python runs, its commands run, and they print what it shows.

After a change of what is printed, `python tests/test_docs_scoring.py` writes the blocks of output anew.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[1] / "docs" / "scoring.md"
BLOCK = re.compile(r"^```(python|console|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = BLOCK.findall(FILE.read_text(encoding="utf-8"))
OFFLINE = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_FILE_SYSTEM": "READ_ONLY", "DEEPEVAL_DISABLE_DOTENV": "1"}
CLONE = "TP4-PLN-IComp"
"""Blocks that name the original's repository need its results and the real Spider."""


def run(arguments: list[str], folder: Path) -> str:
    environment = {**os.environ, **OFFLINE, "COLUMNS": "120", "PYTHONUTF8": "1"}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines()) + "\n"


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line[2:], comments=True) for line in block.splitlines() if line.startswith("$ ")]


def outputs(blocks: list[tuple[str, str]], folder: Path) -> list[str]:
    """Run blocks of Python and commands in order; for each block of text, what the command before it printed."""
    printed, found = "", []
    for kind, block in blocks:
        if kind == "python":
            run([sys.executable, "-c", block], folder)
        elif kind == "console":
            for name, *arguments in commands(block):
                assert name == "contrapeso"
                printed = run([sys.executable, "-m", "contrapeso", *arguments], folder)
        else:
            found.append(printed)
    return found


def with_the_original(folder: Path, data: Path) -> Path:
    """The folder as the document wants it for the original's numbers."""
    (folder / CLONE / "others").mkdir(parents=True)
    (folder / CLONE / "others" / "Results").symlink_to(data / "seed_results")
    (folder / "spider").symlink_to(data / "spider")
    return folder


def test_the_document_shows_commands_and_what_they_print():
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds.count("console") >= 5 and kinds.count("text") >= 4 and kinds.count("python") >= 4
    verbs = {command[1] for kind, block in BLOCKS if kind == "console" for command in commands(block)}
    assert verbs == {"score", "compare"}


def test_its_examples_run_and_print_what_it_shows(tmp_path):
    pytest.importorskip("deepeval", reason="the extra deepeval is not installed")
    blocks = [block for block in BLOCKS if CLONE not in block[1]]
    assert outputs(blocks, tmp_path) == [block for kind, block in blocks if kind == "text"]


def test_the_originals_numbers_come_out_as_it_says(shared_data, tmp_path):
    blocks = [block for block in BLOCKS if CLONE in block[1]]
    assert [kind for kind, _ in blocks] == ["python", "console", "text"]
    assert outputs(blocks, with_the_original(tmp_path, shared_data)) == [blocks[-1][1]]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        fresh = iter(outputs(BLOCKS, with_the_original(Path(name), FILE.parents[2] / "shared" / "data")))
        renew = lambda match: f"```text\n{next(fresh)}```" if match[1] == "text" else match[0]  # noqa: E731
        FILE.write_text(BLOCK.sub(renew, FILE.read_text(encoding="utf-8")), encoding="utf-8")
