"""What the READMEs show is true, and the two languages show the same.

Commands, links and study files of all documents are tested in test_docs_commands.py and test_docs_links.py.
"""

import re
import shlex
import tomllib

import pytest
from documents import ROOT, blocks, links

import contrapeso
from contrapeso.study import presets

ENGLISH, PORTUGUESE = ROOT / "README.md", ROOT / "README.pt-BR.md"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in (ENGLISH, PORTUGUESE)}
FILE_NAME = re.compile(r"[\w.<>-]+/[\w.<>/-]*|\b\w+\.(?:toml|json|jsonl|html|pdf|md)\b")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_python_example_names_what_the_package_exports(text):
    (imported,) = re.findall(r"from contrapeso import (.*)", text)
    assert set(imported.split(", ")) <= set(contrapeso.__all__)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_preset_is_named(text):
    for preset in presets():
        assert f"`{preset}`" in text


def essence(block):
    """What may not differ between the languages: all but comments, and in a listing of files their descriptions."""
    if block.kind == "console":
        return [shlex.split(line, comments=True) for line in block.text.splitlines()]
    return FILE_NAME.findall(block.text) if block.text.startswith("study.toml") else block.text


def test_both_languages_show_the_same_blocks():
    english, portuguese = blocks(ENGLISH), blocks(PORTUGUESE)
    assert [(block.kind, block.not_run) for block in english] == [(block.kind, block.not_run) for block in portuguese]
    assert list(map(essence, english)) == list(map(essence, portuguese)) and len(english) >= 7


def test_both_languages_have_the_same_structure():
    def structure(text):
        return [line.split(" ")[0] for line in text.splitlines() if re.match(r"#{1,4} |- |\| ", line)]

    assert structure(TEXTS["README.md"]) == structure(TEXTS["README.pt-BR.md"])


def test_both_languages_lead_to_the_same_places_and_to_each_other():
    english, portuguese = links(ENGLISH), links(PORTUGUESE)
    assert [target for target in english if target != "README.pt-BR.md"] == [t for t in portuguese if t != "README.md"]
    assert "README.pt-BR.md" in english and "README.md" in portuguese


def test_both_languages_give_the_same_numbers_each_in_its_own_way():
    def numbers(text, decimal, thousands):
        prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|\[docs/[^\]]*\]", "", text, flags=re.DOTALL)
        found = re.findall(r"\d+(?:[.,]\d+)*", prose)
        return sorted(number.replace(thousands, "").replace(decimal, ".") for number in found)

    english = numbers(TEXTS["README.md"], ".", ",")
    portuguese = numbers(TEXTS["README.pt-BR.md"], ",", ".")
    swapped = {"3.11": "311"}  # a version of Python is not a number: it keeps its point
    assert sorted(swapped.get(number, number) for number in english) == portuguese


@pytest.mark.parametrize("document", (ENGLISH, PORTUGUESE), ids=TEXTS)
def test_the_badge_is_of_the_repository_that_the_package_names(document):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    owner_and_name = project["urls"]["Repository"].removeprefix("https://github.com/")
    (badge,) = (target for target in links(document) if "colab.research.google.com/github/" in target)
    assert badge == f"https://colab.research.google.com/github/{owner_and_name}/blob/main/notebooks/contrapeso.ipynb"


def test_it_stays_short():
    assert all(len(text.splitlines()) <= 260 for text in TEXTS.values())


def test_the_licence_is_the_one_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == "MIT" and licence.startswith("MIT License\n")
    assert all(re.search(r"\bMIT\b", text) for text in TEXTS.values())
