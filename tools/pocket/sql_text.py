"""The SQL part of the pocket base model's pretraining text: invented schemas, questions and statements, without end.

A `random.Random` enters; short documents leave. Schemas recombine the lexicon's words, never as the tables of a pocket
database; questions use the pretraining wordings, which the study's questions never use. The study's own prompt layout
appears only in `task_layout_document`, so that the caller decides how much of it the base model sees.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from tools.pocket.questions import INTENTS, Question, ask
from tools.pocket.worlds import DEV, TRAIN, Column, Table, World
from tools.pocket.worlds.lexicon import GROUPS, LABELS, MODIFIERS, NOUNS, NUMBERS, Word, word_for
from tools.pocket.worlds.values import group_value, label_value

TASK_INSTRUCTION = "Write one SQLite query that answers the question. Reply with the query only."
POCKET_TABLE_SETS = frozenset(world.table_set for world in (*DEV, *TRAIN))
_SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((), (0,)),
    ((), (0,)),
    ((), (0,), (0,)),
    ((), (0,), (1,)),
    ((), (), (0, 1)),
    ((), (), (0, 1)),
)
"""The parents of each table, by place: a pair, two children, a chain, a link table."""
_SINGLE_NOUNS = tuple(noun for noun in NOUNS if "_" not in noun)
_NUMBER_NAMES, _GROUP_NAMES, _LABEL_NAMES = tuple(NUMBERS), tuple(GROUPS), ("name", "name", "name", "title", *LABELS)
_VALUES_PER_COLUMN = 3


def random_world(rng: random.Random) -> World:
    """An invented database: two or three tables of lexicon words, with a few values per column and no rows.

    Args:
        rng: where all choices come from.

    Returns:
        A world whose set of tables is not that of any pocket database.
    """
    while True:
        shape = rng.choice(_SHAPES)
        names = [_table_name(rng) for _ in shape]
        if len(set(names)) == len(names) and frozenset(names) not in POCKET_TABLE_SETS:
            break
    tables: list[Table] = []
    for name, parents in zip(names, shape, strict=True):
        tables.append(_random_table(name, [tables[place] for place in parents], rng))
    return World("", tuple(tables))


def _table_name(rng: random.Random) -> str:
    if rng.random() < 0.88:
        return rng.choice(NOUNS)
    return f"{rng.choice(_SINGLE_NOUNS)}_{rng.choice(_SINGLE_NOUNS)}"


def _random_table(name: str, parents: list[Table], rng: random.Random) -> Table:
    """A key, links to the parents, a label unless it is a link table, one to three numbers and one or two groups."""
    key = f"{name}_id"
    links = [Column(parent.key.name, "link", word_for(parent.key.name), parent=parent.name) for parent in parents]
    label_name = rng.choice(_LABEL_NAMES)
    labels = [] if len(parents) > 1 else [Column(label_name, "label", LABELS[label_name], _texts(label_value, rng))]
    drawn = [_drawn_name(_NUMBER_NAMES, rng) for _ in range(rng.randrange(1, 4))]
    drawn += [_drawn_name(_GROUP_NAMES, rng) for _ in range(rng.randrange(1, 3))]
    others = [_random_column(column, rng) for column in dict.fromkeys(drawn) if column not in (name, label_name)]
    rng.shuffle(others)
    rest = links + labels + others if rng.random() < 0.75 else labels + others + links
    return Table(name, (Column(key, "key", word_for(key)), *rest))


def _drawn_name(names: tuple[str, ...], rng: random.Random) -> str:
    name = rng.choice(names)
    return name if rng.random() < 0.9 else f"{rng.choice(MODIFIERS)}_{name}"


def _random_column(name: str, rng: random.Random) -> Column:
    word = word_for(name)
    return Column(name, word.role, word, _numbers(word, rng) if word.role == "number" else _texts(group_value, rng))


def _texts(draw: Callable[[random.Random], str], rng: random.Random) -> tuple[str, ...]:
    return draw(rng), draw(rng)


def _numbers(word: Word, rng: random.Random) -> tuple[int | float, ...]:
    span = word.high - word.low
    drawn = [word.low + rng.random() * span for _ in range(_VALUES_PER_COLUMN)]
    if isinstance(word.low, float):
        return tuple(round(number, 1) for number in drawn)
    return tuple(int(number) for number in drawn)


def questions_about(world: World, count: int, rng: random.Random) -> list[Question]:
    """Questions about an invented world in the pretraining wordings; joins are asked as often as the rest."""
    asked: list[Question] = []
    while len(asked) < count:
        question = ask(rng.choice(INTENTS), world, rng=rng, pretraining=True)
        if question is not None:
            asked.append(question)
    return asked


def _columns(table: Table) -> str:
    return ", ".join(column.name for column in table.columns)


def _comments(world: World, questions: list[Question], rng: random.Random) -> str:
    lines = [f"-- table {table.name}: {_columns(table)}" for table in world.tables]
    lines += [f"-- link: {link.on}" for link in world.links]
    for question in questions:
        lines += [f"-- {question.text}", f"{question.sql};"]
    return "\n".join(lines)


def _tables_list(world: World, questions: list[Question], rng: random.Random) -> str:
    lines = ["Tables:"]
    lines += [f"* {table.name} has columns {_columns(table)}" for table in world.tables]
    lines += [
        f"* {link.child.name}.{link.column} refers to {link.parent.name}.{link.parent.key.name}" for link in world.links
    ]
    for question in questions:
        lines += ["", f"Request: {question.text}", f"Statement: {question.sql}"]
    return "\n".join(lines)


def _json_lines(world: World, questions: list[Question], rng: random.Random) -> str:
    schema = {table.name: [column.name for column in table.columns] for table in world.tables}
    lines = [json.dumps({"tables": schema, "joins": [link.on for link in world.links]})]
    lines += [json.dumps({"ask": question.text, "sql": question.sql}, ensure_ascii=False) for question in questions]
    return "\n".join(lines)


def _markdown(world: World, questions: list[Question], rng: random.Random) -> str:
    lines = [f"# {rng.choice(('Notes', 'Database', 'Report', 'Queries'))}", ""]
    lines += [f"- **{table.name}** ({_columns(table)})" for table in world.tables]
    lines += [f"- {link.on}" for link in world.links]
    for question in questions:
        lines += ["", f"## {question.text}", "", f"`{question.sql}`"]
    return "\n".join(lines)


def _script(world: World, questions: list[Question], rng: random.Random) -> str:
    lines = []
    for table in world.tables:
        parts = [
            column.name + {"TEXT": " text", "REAL": " real"}.get(column.sql_type, " int") for column in table.columns
        ]
        parts += [
            f"foreign key ({link.column}) references {link.parent.name}({link.parent.key.name})"
            for link in world.links
            if link.child is table
        ]
        lines.append(f"create table {table.name} ({', '.join(parts)});")
    for question in questions:
        lines += [f"/* {question.text} */", f"{question.sql};"]
    return "\n".join(lines)


def _dialogue(world: World, questions: list[Question], rng: random.Random) -> str:
    lines = [f"{table.name}: {' | '.join(column.name for column in table.columns)}" for table in world.tables]
    lines += [link.on for link in world.links]
    for question in questions:
        lines += [f"Q: {question.text}", f"A: {question.sql}"]
    return "\n".join(lines)


_WRITERS: dict[str, Callable[[World, list[Question], random.Random], str]] = {
    "comments": _comments,
    "tables": _tables_list,
    "json": _json_lines,
    "markdown": _markdown,
    "script": _script,
    "dialogue": _dialogue,
}
LAYOUTS = tuple(_WRITERS)
"""The layouts `sql_document` writes, none of them the study's."""


def sql_document(rng: random.Random, layout: str | None = None) -> str:
    """One invented schema with one to four questions and their SQL.

    Args:
        rng: where all choices come from.
        layout: one of `LAYOUTS`; drawn where None.

    Returns:
        The document, without a newline at its end.
    """
    world = random_world(rng)
    questions = questions_about(world, rng.randrange(1, 5), rng)
    return _WRITERS[layout or rng.choice(LAYOUTS)](world, questions, rng)


def schema_text(world: World) -> str:
    """The schema as the study's prompts write it: a line per table, then a line per foreign key."""
    lines = [f"{table.name}({_columns(table)})" for table in world.tables]
    return "\n".join(lines + [link.on for link in world.links])


def task_layout_document(rng: random.Random) -> str:
    """One question about an invented schema in the study's own prompt layout, in a pretraining wording."""
    world = random_world(rng)
    question = questions_about(world, 1, rng)[0]
    return f"[INST] {TASK_INSTRUCTION}\n\n{schema_text(world)}\n\nQuestion: {question.text} [/INST] {question.sql}"
