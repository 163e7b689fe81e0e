"""One intent of the grammar: a query with slots and the ways to ask for it.

Slots are `{table.name}`, `{number.best_one}`, `{child_condition.words}`: a role, with the table in front when the query
joins, and an attribute of `Noun`, `Mention` or `Condition`. Which slots an intent needs is read from its SQL.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from string import Formatter

TABLE_SLOTS = ("table", "child", "parent", "link", "first", "second")
PLAIN_SLOTS = ("join", "foreign_key", "first_join", "second_join", "limit", "few")


@dataclass(frozen=True)
class Slot:
    """A column or condition to be chosen: `table` says of which table, `role` what kind."""

    name: str
    table: str
    role: str


@dataclass(frozen=True)
class Intent:
    """A query with slots, the wordings of the study's questions and those of the pretraining text."""

    name: str
    sql: str
    study: tuple[str, ...]
    pretraining: tuple[str, ...]

    @cached_property
    def scene(self) -> str:
        """one table, a pair (child and parent), or a bridge (a link table between two others)."""
        names = _slot_names(self.sql)
        return "bridge" if "link" in names else "pair" if "child" in names or "parent" in names else "one"

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The columns and conditions to choose, in the order of the SQL."""
        return tuple(
            _slot(name) for name in _slot_names(self.sql) if name not in TABLE_SLOTS and name not in PLAIN_SLOTS
        )


def _slot_names(template: str) -> list[str]:
    fields = (field for _, field, _, _ in Formatter().parse(template) if field)
    return list(dict.fromkeys(field.partition(".")[0] for field in fields))


def _slot(name: str) -> Slot:
    head, _, rest = name.partition("_")
    table, role = (head, rest) if head in TABLE_SLOTS else ("table", name)
    return Slot(name, table, role.removeprefix("other_"))


def _read_intents() -> tuple[Intent, ...]:
    files = sorted((Path(__file__).parent / "intents").glob("*.toml"))
    return tuple(
        Intent(entry["name"], entry["sql"], tuple(entry["study"]), tuple(entry["pretraining"]))
        for file in files
        for entry in tomllib.loads(file.read_text(encoding="utf-8"))["intent"]
    )


INTENTS = _read_intents()
"""Every intent of `intents/*.toml`, in the order of the files."""
