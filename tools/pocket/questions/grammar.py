"""Fills an intent's slots from a world: (intent, world, random numbers) -> question and SQL.

The same intents serve the study's questions over the pocket databases and the pretraining text over invented schemas;
only the wordings differ.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tools.pocket.questions.condition import Condition, condition_on
from tools.pocket.questions.intent import Intent
from tools.pocket.questions.mention import Noun, speak
from tools.pocket.worlds.model import Column, Link, Table, World


@dataclass(frozen=True)
class Question:
    """A question, its SQL, the intent it came from and the comparisons the SQL makes."""

    text: str
    sql: str
    intent: str
    comparisons: tuple[str, ...]


def ask(intent: Intent, world: World, *, rng: random.Random, pretraining: bool) -> Question | None:
    """Ask an intent about a world.

    Args:
        intent: what is asked.
        world: the tables, links and values it is asked about.
        rng: where all choices come from.
        pretraining: use the wordings of the pretraining text instead of the study's.

    Returns:
        The question, or None when the world lacks a column or a link the intent needs.
    """
    fields = _scene(intent.scene, world, rng)
    if fields is None:
        return None
    tables: dict[str, Table] = {name: noun.table for name, noun in fields.items() if isinstance(noun, Noun)}
    used: set[tuple[str, str]] = set()
    conditions: list[Condition] = []
    for slot in intent.slots:
        table = tables[slot.table]
        free = [column for column in _columns(table, slot.role) if (table.name, column.name) not in used]
        if not free:
            return None
        column = rng.choice(free)
        used.add((table.name, column.name))
        mention = speak(table, column, rng)
        if slot.role == "condition":
            condition = condition_on(mention, rng, pretraining=pretraining)
            conditions.append(condition)
            fields[slot.name] = condition
        else:
            fields[slot.name] = mention
    fields["limit"] = rng.randrange(2, 6)
    fields["few"] = rng.randrange(2, 5)
    text = rng.choice(intent.pretraining if pretraining else intent.study).format_map(fields)
    sql = intent.sql.format_map(fields)
    comparisons = tuple(said.full if said.full in sql else said.sql for said in conditions)
    return Question(text[0].upper() + text[1:], sql, intent.name, comparisons)


def _columns(table: Table, role: str) -> list[Column]:
    """The columns of a table that may fill a slot."""
    if role in ("label", "group", "number"):
        return table.of_role(role)
    if role == "measure":
        return [column for column in table.of_role("number") if column.word.family != "year"]
    if role == "total":
        return [column for column in table.of_role("number") if column.word.family in ("amount", "count")]
    return table.of_role("group", "number")


def _scene(kind: str, world: World, rng: random.Random) -> dict[str, Any] | None:
    """The tables an intent speaks of, and how they join."""
    if kind == "one":
        return {"table": Noun(rng.choice(world.tables))}
    links = world.links
    if kind == "pair":
        if not links:
            return None
        link = rng.choice(links)
        return {
            "child": Noun(link.child),
            "parent": Noun(link.parent),
            "join": link.on,
            "foreign_key": link.column,
        }
    bridges = [(first, second) for first in links for second in links if _bridge(first, second)]
    if not bridges:
        return None
    first, second = rng.choice(bridges)
    return {
        "link": Noun(first.child),
        "first": Noun(first.parent),
        "second": Noun(second.parent),
        "first_join": first.on,
        "second_join": second.on,
    }


def _bridge(first: Link, second: Link) -> bool:
    return first.child is second.child and first.column != second.column and not first.child.of_role("label")
