"""What README and documentation tell people to type works: every command parses, and the cheap ones are run.

The pages in `RUN` are gone through from top to bottom in an empty folder: Python and commands in order, except blocks
marked `<!-- not run: reason -->`. A whole study is made small first. docs/scoring.md has a test of its own, which also
compares what is printed.
"""

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec

import pytest
import typer.main
from documents import DOCUMENTS, IDS, ROOT, blocks, commands, every_command

from contrapeso import load_study
from contrapeso.cli import app
from contrapeso.data import spider_folder
from contrapeso.models.loading import POCKET_FOLDER
from contrapeso.study import preset_text

RUN = ("README.md", "docs/adapters.md", "docs/first-study.md", "docs/own-data.md", "docs/own-model.md")
SMALL = [
    *("--set", "target.limit=8", "--set", "target.train_limit=16", "--set", "target.baseline_shots=1"),
    *("--set", "general.limit_per_subject=1", "--set", "training.epochs=1"),
]
"""What makes a study of the pocket data take seconds."""
ELSEWHERE = {"git", "cd", "torchrun", "kaggle", "jupyter", "unzip", "export", "sha256sum"}
"""Programs that documents name and that are not ours to check."""
COMMANDS = list(every_command())
GROUP = typer.main.get_command(app)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "BROWSER": "true"}


def test_there_are_commands_to_check():
    assert len(COMMANDS) > 30 and {name for name, _ in COMMANDS} >= set(RUN)
    shown = {words[1] for _, words in COMMANDS if words[0] == "contrapeso"}
    assert shown >= {"run", "check", "init", "report", "open", "score", "compare"}


@pytest.mark.parametrize(
    ("document", "words"), COMMANDS, ids=[f"{name}: {' '.join(words)}" for name, words in COMMANDS]
)
def test_every_command_parses(document, words):
    if "contrapeso" in words[:-1] and words[0] in ("contrapeso", "torchrun", "python"):
        check_contrapeso(words[words.index("contrapeso") + 1 :])
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        targets = [word for word in words[1:] if "=" not in word]
        assert targets and all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    elif words[:2] == ["pip", "install"]:
        extras = {extra for word in words[2:] for part in re.findall(r"\[(.+?)\]", word) for extra in part.split(",")}
        assert extras <= set(PYPROJECT["project"]["optional-dependencies"])
    elif words[:2] == ["python", "-m"]:
        assert words[2] in ("venv", "pip") or find_spec(words[2]), f"no module {words[2]}"
    else:
        assert words[0] in ELSEWHERE or (ROOT / words[-1]).is_file(), f"{document} names {words[0]}, unknown here"


def check_contrapeso(words):
    """Parse a command's arguments as the command line would, without running it."""
    if words[0].startswith("-"):
        assert words[0] in ("--help", "--version")
        return
    assert words[0] in GROUP.commands, f"no command {words[0]}"
    if "--help" not in words:
        GROUP.commands[words[0]].make_context(words[0], list(words[1:]))


def test_the_parser_would_refuse_a_wrong_option():
    for wrong in (["score", "a.sql", "--dta", "x"], ["score", "a.sql", "--data", "x", "--rule", "loose"], ["nope"]):
        with pytest.raises(Exception, match=r"dta|loose|nope"):
            check_contrapeso(wrong)


@pytest.mark.parametrize("name", RUN)
def test_the_page_runs_from_top_to_bottom(name, tmp_path):
    if not (POCKET_FOLDER / "config.json").is_file():
        pytest.skip("the pocket model is not in this checkout")
    prepare(tmp_path)
    done = 0
    for block in blocks(ROOT / name):
        if block.kind == "python" and not block.not_run:
            execute([sys.executable, "-c", block.text], tmp_path)
        elif block.kind == "console" and not block.not_run:
            for program, *arguments in commands(block):
                assert program == "contrapeso", f"{name}: mark the block as not run, or make {program} testable"
                small = SMALL if arguments[0] == "run" else []
                execute([sys.executable, "-m", "contrapeso", *arguments, *small], tmp_path)
                done += 1
    assert done


def prepare(folder):
    """What the pages take for granted: copies of the data sets, a model, predictions of two systems, a table."""
    spider = spider_folder("pocket")
    (folder / "data").mkdir()
    (folder / "data" / "spider").symlink_to(spider)
    (folder / "data" / "mmlu").symlink_to(spider.parent / "mmlu")
    (folder / "my-model").symlink_to(POCKET_FOLDER)
    for name in ("predictions", "before", "after"):
        (folder / f"{name}.sql").write_text("SELECT 1\n" * 352, encoding="utf-8")
    (folder / "table.csv").write_text("subject,before,after\na,1,1\na,0,1\nb,1,0\nb,0,1\n", encoding="utf-8")


def execute(arguments, folder):
    done = subprocess.run(arguments, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_every_study_file_that_is_shown_has_known_keys(document, tmp_path):
    for block in blocks(document):
        table = tomllib.loads(block.text) if block.kind == "toml" else {}
        if set(table) & {"model", "target", "general", "training", "runs", "evaluate", "report"}:
            head = "" if "name" in table else 'name = "shown"\n'  # what a fragment leaves out
            tail = "" if "runs" in table else "\n[[runs]]\n"
            (tmp_path / "shown.toml").write_text(head + block.text + tail, encoding="utf-8")
            load_study(tmp_path / "shown.toml")


def test_the_presets_are_shown_as_they_ship():
    shown = [block.text.strip() for block in blocks(ROOT / "docs" / "settings.md") if block.kind == "toml"]
    assert shown == [preset_text(name).strip() for name in ("mistral-7b", "mistral-7b-original", "pocket")]
