"""A whole study that takes seconds: two tiny data sets in the standard layouts, a tiny model, a study file.

    file = write_tiny_study(tmp_path)
    run(load_study(file), tmp_path / "out")

The data sets are real ones in form: three train and two dev databases that share no name, five kinds of question, a
multiple-choice set of two subjects. `contrapeso(...)` runs the command line in this process.
"""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny import save_tiny_mistral

from contrapeso.evidence import _normalised
from contrapeso.materials import _content

TRAIN_DATABASES = {"bakery": "cake", "harbour": "ship", "library": "book"}
DEV_DATABASES = {"garden": "rose", "museum": "statue"}
SUBJECTS = ("astronomy", "philosophy")
VARIANTS = ("Baseline_Model", "Fine-Tuned_Run_1", "Fine-Tuned_Run_2")

TOML = """\
name = "tiny"
seed = 7

[model]
id = "model"
device = "cpu"

[target]
data = "spider"
schema_style = "compact"
max_new_tokens = 12
baseline_shots = 3
leave_out = [{ items = ["dev/0003"], reason = "made to be left out" }]

[general]
data = "mmlu"
shots = 2

[training]
rank = 4
alpha = 8
epochs = 1
batch_size = 4
checkpoint_steps = 1

[[runs]]
learning_rate = 1e-3

[[runs]]
learning_rate = 2e-2
epochs = 6

[evaluate]
generate_batch = 4
score_batch = 4
sql_workers = 1
"""


def write_tiny_study(folder: Path, *, model: Path | None = None) -> Path:
    """Write data, model and study file.

    Args:
        folder: where to; made if missing.
        model: a model folder to use; a tiny one is made in `folder` otherwise.

    Returns:
        The study file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_spider(folder / "spider")
    write_mmlu(folder / "mmlu")
    if model is None:
        save_tiny_mistral(folder / "model", max_position_embeddings=1024)
    file = folder / "study.toml"
    file.write_text(TOML if model is None else TOML.replace('id = "model"', f'id = "{model}"'), encoding="utf-8")
    return file


def write_spider(folder: Path) -> None:
    """Five questions on each of three train and two dev databases."""
    for split, databases in (("train_spider", TRAIN_DATABASES), ("dev", DEV_DATABASES)):
        entries = []
        for name, table in databases.items():
            path = folder / "database" / name / f"{name}.sqlite"
            path.parent.mkdir(parents=True)
            with sqlite3.connect(path) as connection:
                connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
                rows = [(n, f"{table} {n}", 1.5 * n) for n in range(1, 6)]
                connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)
            connection.close()
            entries += [{"db_id": name, "question": q, "query": sql} for q, sql in _questions(table)]
        (folder / f"{split}.json").write_text(json.dumps(entries, indent=1), encoding="utf-8")
    schemas = [{"db_id": name} for name in (*TRAIN_DATABASES, *DEV_DATABASES)]
    (folder / "tables.json").write_text(json.dumps(schemas), encoding="utf-8")


def _questions(table: str) -> Iterable[tuple[str, str]]:
    yield f"How many {table}s are there?", f"SELECT count(*) FROM {table}"
    yield f"List the names of all {table}s.", f"SELECT name FROM {table}"
    yield f"What does the dearest {table} cost?", f"SELECT max(price) FROM {table}"
    yield f"Which {table}s cost more than 3?", f"SELECT name FROM {table} WHERE price > 3"
    yield f"Show every {table} by price.", f"SELECT name, price FROM {table} ORDER BY price"


def write_mmlu(folder: Path) -> None:
    """Two subjects with two shots and five questions each, in the layout without a header."""
    for split, count in (("dev", 2), ("test", 5)):
        (folder / split).mkdir(parents=True)
        for subject in SUBJECTS:
            with (folder / split / f"{subject}_{split}.csv").open("w", encoding="utf-8", newline="") as file:
                for n in range(count):
                    options = [f"{subject} {split} {n} {letter}" for letter in "wxyz"]
                    csv.writer(file).writerow([f"{split} question {n} of {subject}?", *options, "ABCD"[n % 4]])


def contrapeso(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command line in this process; returns the exit code."""
    from contrapeso.cli import main

    monkeypatch.setattr(sys, "argv", ["contrapeso", *map(str, arguments)])
    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def files(root: Path, *names: str) -> dict[str, str]:
    """Hash of every file below some folders of a study folder (or of some files), by relative path."""
    found = {}
    for name in names or (".",):
        for path in sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]:
            if path.is_file():
                found[path.relative_to(root).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def results(root: Path) -> dict[str, str]:
    """Hashes of all that must not depend on when, where and in how many sessions a study was run."""
    found = files(root, "outcomes", "csv", "adapters", "summary.json", "study.toml")
    return {name: value for name, value in found.items() if not name.endswith("training.json")}


def outcome_lines(root: Path, variant: str, task: str) -> list[dict[str, Any]]:
    """The journal of one variant on one task."""
    text = (root / "outcomes" / variant / f"{task}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """Names that are in one only or have another hash."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def repeated_questions(learnt, evaluated):
    """Items that the audit would call leaked, by its own rule."""
    texts = {_normalised(_content(item)) for item in evaluated}
    return [item for item in learnt if _normalised(_content(item)) in texts]
