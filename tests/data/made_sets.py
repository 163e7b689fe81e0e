"""Small sets in the layouts of the real ones, and the pins that say how many questions they have."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from studies import write_spider

from contrapeso import data
from contrapeso.data import CATEGORY_OF_SUBJECT, hub
from contrapeso.data.sources import SETS

TRICKY = 'He said "no",\nthen left; None'
SPIDER = {"train": 15, "dev": 10, "databases": 5}
BIRD = {"dev": 4, "databases": 2}
MMLU = {"test": 57 * 2, "dev": 285, "subjects": 57}


def pin(monkeypatch: pytest.MonkeyPatch, **changes: Mapping[str, object]) -> None:
    """Expect the made sets instead of the real ones; `changes` go into the entries, e.g. spider={"archives": ...}."""
    counts = {"spider": SPIDER, "bird": BIRD, "mmlu": MMLU}
    sets = {name: replace(SETS[name], counts=counts[name], **changes.get(name, {})) for name in SETS}
    monkeypatch.setattr(hub, "SETS", sets)
    monkeypatch.setattr(data, "SETS", sets)


def make_spider(folder: Path) -> Path:
    """The layout of Spider's archive, below a folder `spider` as there."""
    (folder / "spider").mkdir(parents=True)
    write_spider(folder / "spider")
    (folder / "spider" / "README.txt").write_text("made up", encoding="utf-8")
    return folder


def make_bird(folder: Path, zipped: Path) -> Path:
    """The layout of BIRD's archive: the databases in a zip file of their own."""
    import zipfile

    inner = folder / "dev_20240627"
    inner.mkdir(parents=True)
    questions = []
    with zipfile.ZipFile(inner / "dev_databases.zip", "w") as archive:
        for name in ("zoo", "farm"):
            path = zipped / f"{name}.sqlite"
            path.parent.mkdir(exist_ok=True, parents=True)
            with sqlite3.connect(path) as connection:
                connection.execute("CREATE TABLE animal (name TEXT)")
            connection.close()
            archive.write(path, f"dev_databases/{name}/{name}.sqlite")
            archive.writestr(f"dev_databases/{name}/database_description/animal.csv", "name\n")
            archive.writestr(f"__MACOSX/dev_databases/{name}/._{name}.sqlite", "litter")
            questions += [{"db_id": name, "question": f"{n}?", "evidence": "e", "SQL": "SELECT 1"} for n in (1, 2)]
    (inner / "dev.json").write_text(json.dumps(questions), encoding="utf-8")
    (inner / "dev_tables.json").write_text("[]", encoding="utf-8")
    return folder


def mmlu_rows(split: str, subject: str) -> list[tuple[str, list[str], int]]:
    """Made-up questions of a subject."""
    count = {"dev": 5, "test": 2}[split]
    return [(f"{subject} {n}? {TRICKY}", ["None", TRICKY, f"{n}", " spaced "], n % 4) for n in range(count)]


def make_mmlu(folder: Path) -> Path:
    """The layout of the authors' archive: no header, letters, and more folders than are read."""
    for split in ("dev", "test"):
        (folder / "data" / split).mkdir(parents=True)
        for subject in CATEGORY_OF_SUBJECT:
            file = folder / "data" / split / f"{subject}_{split}.csv"
            with file.open("w", encoding="utf-8", newline="") as handle:
                csv.writer(handle).writerows([q, *o, "ABCD"[a]] for q, o, a in mmlu_rows(split, subject))
    (folder / "data" / "auxiliary_train").mkdir()
    (folder / "data" / "auxiliary_train" / "race.csv").write_text("large", encoding="utf-8")
    return folder


def make_mmlu_parquet(folder: Path) -> Path:
    """The layout of the hub's repository: one table a split, subjects mixed."""
    import pyarrow
    from pyarrow import parquet

    (folder / "all").mkdir(parents=True)
    for split in ("dev", "test"):
        rows = [
            {"question": q, "subject": subject, "choices": o, "answer": a}
            for subject in reversed(CATEGORY_OF_SUBJECT)
            for q, o, a in mmlu_rows(split, subject)
        ]
        parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "all" / f"{split}-00000-of-00001.parquet")
    return folder


def contents(folder: Path, *, without: tuple[str, ...] = ("fetched.json",)) -> dict[str, bytes]:
    """Path -> bytes of every file."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in without
    }
