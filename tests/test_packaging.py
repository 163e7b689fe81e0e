"""`pip install .` alone runs a study: nothing of the core needs a package that only an extra brings.

Checked twice: the imports in the source against pyproject.toml, and a whole small study in a process to which all other
packages are missing.
"""

import ast
import importlib.metadata as metadata
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from documents import ROOT
from packaging.requirements import Requirement
from packaging.version import Version
from test_docs_commands import SMALL

from contrapeso.models.loading import POCKET_FOLDER
from tools.docs_cli import commands
from tools.lock import EXTRAS, needed

SOURCE = ROOT / "src" / "contrapeso"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BROUGHT_BY = {"markupsafe": "jinja2", "pydantic-core": "pydantic", "anyio": "starlette"}
"""Packages that are part of another one's interface."""
HOMES = {
    "data/clients.py": "kaggle",
    "demo": "demo",
    "integrations/deepeval.py": "deepeval",
    "integrations/lm_eval": "lm-eval",
    "integrations/notebook.py": "notebook",
    "models/served": "served",
    "models/served_start.py": "served",
}
"""The rooms that may import what an extra brings; everywhere else only core packages are imported."""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(lines):
    return {normal(Requirement(line).name) for line in lines}


CORE = declared(PROJECT["dependencies"])


def imported(file):
    """Top-level names of packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def allowed_beyond_core(file):
    place = file.relative_to(SOURCE).as_posix()
    extras = [extra for home, extra in HOMES.items() if place == home or place.startswith((f"{home}/", f"{home}."))]
    return set().union(*(declared(PROJECT["optional-dependencies"][extra]) for extra in extras))


def test_every_import_is_of_a_declared_package_and_extras_stay_in_their_rooms():
    owners, seen = metadata.packages_distributions(), set()
    for file in sorted(SOURCE.rglob("*.py")):
        for name in set(imported(file)) - set(sys.stdlib_module_names) - {"contrapeso"}:
            package = normal(owners.get(name, [name])[0])
            package = BROUGHT_BY.get(package, package)
            assert package in CORE | allowed_beyond_core(file), f"{file.relative_to(ROOT)} imports {name} ({package})"
            seen.add(package)
    assert seen >= {"torch", "transformers", "peft", "trl", "numpy", "pydantic", "typer", "deepeval"}


def test_every_core_package_is_imported_or_needed_by_name():
    used = {normal(name) for file in SOURCE.rglob("*.py") for name in imported(file)}
    by_name = {"vl-convert-python": "vl-convert", "tomli-w": "tomli-w"}
    unused = {package for package in CORE if by_name.get(package, package) not in used}
    assert unused <= {"accelerate"}, "declared and never imported"  # the trainer of transformers wants it


@pytest.fixture(scope="module")
def core_alone(tmp_path_factory):
    """A folder with the core packages, what they need themselves, and nothing else: links to what is installed."""
    folder, core = tmp_path_factory.mktemp("core") / "site-packages", {}  # by this name some tell packages from scripts
    folder.mkdir()
    needed("contrapeso", (), core)
    for name in core:
        for top in {file.parts[0] for file in metadata.files(name) or ()} - {"..", "__pycache__"}:
            target = metadata.distribution(name).locate_file(top)
            if not (folder / top).exists():
                (folder / top).symlink_to(target)
    (folder / "contrapeso").symlink_to(SOURCE)
    return folder


def python(packages, *arguments):
    """Python without its own packages, with those of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(packages), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")


def test_the_folder_with_core_alone_has_no_extra(core_alone):
    for name in ("pytest", "scipy", "deepeval", "starlette", "kagglehub", "zensical"):
        assert "ModuleNotFoundError" in python(core_alone, "-c", f"import {name}").stderr, name


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_explains_itself_without_any_extra(command, core_alone):
    done = python(core_alone, "-m", "contrapeso", command, "--help")
    assert done.returncode == 0 and command in done.stdout, done.stderr


def test_a_study_runs_without_any_extra(core_alone, tmp_path):
    if not (POCKET_FOLDER / "config.json").is_file():
        pytest.skip("the pocket model is not in this checkout")
    done = python(core_alone, "-m", "contrapeso", "run", "pocket", "--out", str(tmp_path / "out"), *SMALL)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["complete"]


def lock():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {normal(pin.name): pin for pin in pins}


def test_the_lock_pins_every_package_exactly_and_within_the_ranges():
    pins = lock()
    for pin in pins.values():
        (only,) = pin.specifier
        assert only.operator == "==" and not Version(only.version).local and pin.url is None
    extras = [line for extra in EXTRAS for line in PROJECT["optional-dependencies"][extra]]
    for requirement in map(Requirement, [*PROJECT["dependencies"], *extras]):
        (only,) = pins[normal(requirement.name)].specifier
        assert requirement.specifier.contains(only.version), f"{requirement} but {only.version} is in requirements.txt"


def test_the_lock_holds_the_packages_that_its_packages_need():
    pins, missing = lock(), []
    for name in pins:
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        for line in requirements:
            wanted = Requirement(line)
            if wanted.marker is None and normal(wanted.name) not in pins:
                missing.append(f"{name} needs {line}")
    assert not missing


def test_extras_are_those_that_the_documentation_names():
    named = {"gpu", "served", "deepeval", "kaggle", "notebook", "demo", "docs", "lm-eval", "dev"}
    assert set(PROJECT["optional-dependencies"]) == named and set(EXTRAS) < named


def test_the_workflow_runs_what_ci_runs_with_pinned_actions_on_the_oldest_python_and_a_newer():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert used and all(re.search(r"@[0-9a-f]{40}$", action) for action in used)
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert job["strategy"]["matrix"]["python"][0] == oldest and len(job["strategy"]["matrix"]["python"]) > 1


def test_hooks_before_a_commit_are_the_tools_of_this_environment():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in repository["hooks"])


def test_every_file_of_the_package_is_shipped_with_it():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    shipped = {file for pattern in patterns["contrapeso"] for file in SOURCE.glob(pattern)}
    files = {file for file in SOURCE.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    assert {file.relative_to(SOURCE).as_posix() for file in files - shipped if file.suffix != ".py"} == set()
