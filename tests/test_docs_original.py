"""docs/from-the-original.md points at things that exist: every path, every test, every command and setting."""

import ast
import re
from functools import cache

import pytest
from documents import ROOT
from test_docs_commands import GROUP
from test_docs_reference import PAGES

PAGE = (ROOT / "docs" / "from-the-original.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| there", "| ---"))
]
FOLDERS = ("src/", "tests/", "notebooks/", "docs/")
# fmt: off
NAMED = [
    "PyTorch", "Transformers", "PEFT", "TRL", "bitsandbytes", "Datasets", "Accelerate", "DeepEval", "pandas",
    "NumPy", "KaggleHub", "Colab", "Drive", "Spider", "MMLU", "ExecutionAccuracy",
    "mistral-7b-spider-run1.rar", "mistral-7b-spider-run2.rar", "Relatório", "T4.ipynb", "requirements.txt",
    "avaliacao_Baseline_Model.csv", "avaliacao_Fine-Tuned_Run_1.csv", "avaliacao_Fine-Tuned_Run_2.csv",
    "avaliacao_mmlu_resultados.csv", "summary_fase3_accuracy.csv",
]
# fmt: on


@cache
def names_in(path):
    return {node.name for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body if hasattr(node, "name")}


def in_code(text):
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_every_row_names_a_place_and_a_test_that_exist(row):
    there, here, shown = row
    assert there and here
    tests = in_code(shown)
    assert tests and all(name.startswith("tests/") for name in tests)
    for name in tests:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), path
        assert not function or function in names_in(path), name
    for name in in_code(here):
        if name.startswith(FOLDERS):
            assert (ROOT / name).exists(), name
        elif name.startswith("contrapeso "):
            assert name.split()[1] in GROUP.commands, name
        elif re.fullmatch(r"(model|target|general|training|evaluate|report)\.\w+.*", name) and "." in name:
            assert f"`{name.split(' ')[0]}`" in PAGES["settings.md"]() or (name.split(".")[0] == "report"), name


def test_nothing_of_the_original_is_forgotten():
    there = " ".join(row[0] for row in ROWS)
    assert [name for name in NAMED if name not in there] == []
    assert PAGE.split("## Checklist")[1].count("\n| ") - 2 == 8, "the original's checklist has eight lines"
