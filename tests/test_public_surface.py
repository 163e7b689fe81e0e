"""What users may rely on: the public names, and that they cost nothing until used."""

import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import contrapeso
from contrapeso import errors
from contrapeso.version import __version__

README = Path(__file__).resolve().parents[1] / "README.md"
HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "pandas", "scipy", "statsmodels", "altair", "typst")


def loaded_by(program):
    """Heavy packages that a program loads in a fresh interpreter."""
    tail = f"\nimport sys, json; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", program + tail], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def test_the_public_names_are_these_and_every_one_is_there():
    assert contrapeso.__all__ == [
        "ContrapesoError",
        "DataError",
        "ModelError",
        "ResourceError",
        "StoreError",
        "Study",
        "StudyError",
        "__version__",
        "load_study",
        "rebuild_report",
        "run",
        "score_predictions",
    ]
    assert all(getattr(contrapeso, name) is not None for name in contrapeso.__all__)


def test_a_public_name_stays_what_it_is_when_everything_below_is_imported():
    names = {module.name for module in pkgutil.iter_modules(contrapeso.__path__)}
    assert not names & set(contrapeso.__all__)  # a module of that name would take its place


def test_every_public_name_is_documented():
    for name in contrapeso.__all__:
        if name != "__version__":
            assert (getattr(contrapeso, name).__doc__ or "").strip(), name


def test_every_public_name_the_readme_imports_exists():
    if not README.is_file():
        pytest.skip("no README yet")
    text = README.read_text(encoding="utf-8")
    for line in re.findall(r"^from contrapeso import (.+)$", text, re.MULTILINE):
        assert {name.strip() for name in line.strip("()").split(",")} <= set(contrapeso.__all__)


def test_every_error_is_public_and_below_the_root():
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")}
    assert tree == {name for name in contrapeso.__all__ if name.endswith("Error")}
    assert all(issubclass(getattr(errors, name), errors.ContrapesoError) for name in tree)
    codes = [getattr(errors, name).exit_code for name in sorted(tree)]
    assert len(set(codes)) == len(codes) and 0 not in codes


def test_the_version_is_the_installed_one():
    from importlib.metadata import version

    assert contrapeso.__version__ == __version__ == version("contrapeso")


@pytest.mark.parametrize(
    "program",
    [
        "import contrapeso; contrapeso.load_study('pocket')",
        "import contrapeso; contrapeso.Study, contrapeso.ContrapesoError",
        "import sys; sys.argv = ['contrapeso', '--help']\n"
        "from contrapeso.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass",
        "import sys; sys.argv = ['contrapeso', 'run', '--help']\n"
        "from contrapeso.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass",
    ],
    ids=["import and load_study", "names", "--help", "run --help"],
)
def test_import_and_help_load_no_heavy_package(program):
    assert loaded_by(program) == []


def test_the_probe_would_see_a_heavy_package():
    assert "scipy" in loaded_by("import scipy")
