"""What the README shows is true: its commands exist, its links lead somewhere, its Python runs against the API."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import contrapeso
from contrapeso.study import presets

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line[2:], comments=True) for block in CONSOLE for line in block.splitlines() if line[:2] == "$ "
]


def help_of(command):
    return subprocess.run(
        [sys.executable, "-m", "contrapeso", command, "--help"], capture_output=True, text=True, check=True
    ).stdout


def test_the_readme_has_commands_to_check():
    assert {command[0] for command in COMMANDS} == {"make", "contrapeso"} and len(COMMANDS) >= 6


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] == "contrapeso"], ids=" ".join)
def test_every_contrapeso_command_exists_with_its_options(command):
    text = help_of(command[1])
    for option in (word for word in command[2:] if word.startswith("--")):
        assert option in text


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] == "make"], ids=" ".join)
def test_every_make_target_exists(command):
    assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_to_a_file_leads_somewhere(target):
    assert target.startswith("https://") or (ROOT / target).exists()


def test_the_python_example_names_what_the_package_exports():
    (imported,) = re.findall(r"from contrapeso import (.*)", README)
    assert set(imported.split(", ")) <= set(contrapeso.__all__)


def test_every_preset_is_named():
    for preset in presets():
        assert f"`{preset}`" in README
