"""What tests of `ask` and of the page share: a database, a study folder, a model that says what it is told.

The study folder is the pocket model with one random adapter, made in a second: nothing is trained.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tiny import save_random_adapter

from contrapeso import load_study
from contrapeso.data import spider_folder
from contrapeso.models.loading import POCKET_FOLDER
from contrapeso.models.local import LocalEngine
from contrapeso.tasks.base import Generation, Prompt

ZOO = spider_folder("pocket") / "database" / "zoo" / "zoo.sqlite"
KNOWN = "For every skill, find the maximum age of the keepers."
"""A question of the pocket set that the pocket model answers rightly, untuned."""
BASE, RUN = "Baseline Model", "Fine-Tuned Run 1"


def write_database(path: Path, *statements: str) -> Path:
    """A SQLite file made by statements."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What a query gives, without contrapeso."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def write_study_folder(folder: Path, *, random_adapter: bool = True) -> Path:
    """A study folder of the pocket preset in which Run 1 has a random adapter, and Run 2 is not trained."""
    folder.mkdir()
    (folder / "study.toml").write_text(load_study("pocket").to_toml(), encoding="utf-8")
    plan = [
        {"variant": name, "task": "spider", "prompt_note": "", "adapter_key": None if name == BASE else {}}
        for name in (BASE, RUN, "Fine-Tuned Run 2")
    ]
    (folder / "record.json").write_text(json.dumps({"plan": plan}), encoding="utf-8")
    if random_adapter:
        save_random_adapter(folder / "adapters" / "Fine-Tuned_Run_1", POCKET_FOLDER)
    return folder


def scripted(monkeypatch: pytest.MonkeyPatch, *texts: str, stopped: bool = True) -> list[Prompt]:
    """Let every variant answer with these texts in turn, the last one for ever; returns the prompts as they come."""
    asked: list[Prompt] = []

    def generate(
        self: LocalEngine, variant: Any, prompts: Sequence[Prompt], **_: Any
    ) -> Iterator[tuple[list[int], list[Generation]]]:
        asked.extend(prompts)
        text = texts[min(len(asked), len(texts)) - 1]
        yield [0], [Generation(text, stopped, 9, 99, "0" * 16)]

    monkeypatch.setattr(LocalEngine, "generate", generate)
    return asked
