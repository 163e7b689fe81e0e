"""What a small database is: tables, columns, links and rows, and the builder that fills a short specification.

A specification (`database(...)` of `table(...)`s) enters; a `World` with seeded rows leaves. Columns get their English
from `lexicon`, so that the phrase for `salary` is the same in every database that has one.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tools.pocket.worlds.lexicon import Word, plural_of, word_for

Value = str | int | float

LEFT_OUT_SHARE = 0.22
"""Share of parent rows that get no child, so that "without" questions have answers."""


@dataclass(frozen=True)
class Column:
    """One column. `role` is key, link, label (names the row), group (repeated text) or number."""

    name: str
    role: str
    word: Word
    values: tuple[Value, ...] = ()
    parent: str = ""

    @property
    def sql_type(self) -> str:
        """The SQLite type the column is declared with."""
        if self.role in ("key", "link"):
            return "INTEGER"
        if self.role in ("label", "group"):
            return "TEXT"
        return "REAL" if any(isinstance(value, float) for value in self.values) else "INTEGER"


@dataclass(frozen=True)
class Table:
    """One table; `columns[i].values[r]` is row r's cell where the world is filled."""

    name: str
    columns: tuple[Column, ...]

    @property
    def noun(self) -> str:
        """The table's entity in English, singular."""
        return self.name.replace("_", " ")

    @property
    def plural(self) -> str:
        """The table's entity in English, plural."""
        return plural_of(self.noun)

    @property
    def key(self) -> Column:
        """The primary key."""
        return next(column for column in self.columns if column.role == "key")

    def of_role(self, *roles: str) -> list[Column]:
        """The columns that play one of the roles, in order."""
        return [column for column in self.columns if column.role in roles]


@dataclass(frozen=True)
class Link:
    """A foreign key: `child.column` points at `parent`'s key."""

    child: Table
    parent: Table
    column: str

    @property
    def on(self) -> str:
        """The join condition, written as the schema writes the foreign key."""
        return f"{self.child.name}.{self.column} = {self.parent.name}.{self.parent.key.name}"


@dataclass(frozen=True)
class World:
    """A database: a name, tables and the links between them."""

    name: str
    tables: tuple[Table, ...]

    @property
    def links(self) -> list[Link]:
        """All foreign keys, in column order."""
        by_name = {table.name: table for table in self.tables}
        return [
            Link(table, by_name[column.parent], column.name)
            for table in self.tables
            for column in table.columns
            if column.role == "link"
        ]

    @property
    def table_set(self) -> frozenset[str]:
        """The table names, which tell two worlds apart."""
        return frozenset(table.name for table in self.tables)


@dataclass(frozen=True)
class TableSpec:
    """A table as a specification states it: parents, number of rows, and what each column may hold."""

    name: str
    parents: tuple[str, ...]
    rows: int
    columns: tuple[tuple[str, str | tuple[float, float]], ...]


def table(entity: str, /, *, of: str = "", rows: int = 0, **columns: str | tuple[float, float]) -> TableSpec:
    """State a table.

    Args:
        entity: the identifier, which is also its English noun.
        of: the parent tables, separated by spaces.
        rows: the number of rows, where no label column lists them.
        columns: identifier -> comma-separated texts, or (lowest, highest) for numbers; floats make a REAL column.
            A label column (`name`, `title`) lists one text per row.

    Returns:
        The specification of the table.
    """
    return TableSpec(entity, tuple(of.split()), rows, tuple(columns.items()))


def database(name: str, *specs: TableSpec) -> World:
    """Fill a specification with rows, seeded by the database's name: parents first, then children."""
    rng = random.Random(f"contrapeso pocket {name}")
    sizes: dict[str, int] = {}
    tables = []
    for spec in specs:
        tables.append(_fill(spec, rng, sizes))
        sizes[spec.name] = len(tables[-1].key.values)
    return World(name, tuple(tables))


def _fill(spec: TableSpec, rng: random.Random, sizes: dict[str, int]) -> Table:
    stated = dict(spec.columns)
    label = next((name for name in stated if word_for(name).role == "label"), None)
    count = len(_texts(stated[label])) if label else spec.rows
    key = f"{spec.name}_id"
    columns = [Column(key, "key", word_for(key), tuple(range(1, count + 1)))]
    for parent, values in zip(spec.parents, _link_values(spec, count, rng, sizes), strict=True):
        columns.append(Column(f"{parent}_id", "link", word_for(f"{parent}_id"), values, parent))
    for name, content in stated.items():
        word = word_for(name)
        if isinstance(content, str):
            texts = _texts(content)
            values: tuple[Value, ...] = tuple(texts) if name == label else tuple(_uneven(texts, count, rng))
        else:
            values = tuple(_numbers(content, count, rng))
        columns.append(Column(name, word.role, word, values))
    return Table(spec.name, tuple(columns))


def _texts(content: str | tuple[float, float]) -> list[str]:
    if not isinstance(content, str):
        raise TypeError(f"a text column is stated as comma-separated texts, not {content!r}")
    return [text.strip() for text in content.split(",")]


def _uneven(texts: list[str], count: int, rng: random.Random) -> list[str]:
    """Every text at least once, the first ones more often, so that one is the most common and one the least."""
    weights = [len(texts) - place + 0.5 for place in range(len(texts))]
    drawn = list(texts) + rng.choices(texts, weights, k=max(0, count - len(texts)))
    rng.shuffle(drawn)
    return drawn[:count]


def _numbers(limits: tuple[float, float], count: int, rng: random.Random) -> list[int | float]:
    """Distinct numbers inside the limits where there is room for them; floats get one decimal."""
    low, high = limits
    if isinstance(low, float) or isinstance(high, float):
        return [tenth / 10 for tenth in rng.sample(range(round(low * 10), round(high * 10) + 1), count)]
    step = 1 if high - low < 500 else 5 if high - low < 4000 else 50
    room = range(int(low), int(high) + 1, step)
    return rng.sample(room, count) if len(room) >= count else [rng.choice(room) for _ in range(count)]


def _link_values(spec: TableSpec, count: int, rng: random.Random, sizes: dict[str, int]) -> list[tuple[Value, ...]]:
    """One tuple of parent keys per link; a link table never repeats a pair."""
    drawn: list[tuple[int, ...]] = []
    choices = [_parents_with_children(sizes[parent], rng) for parent in spec.parents]
    while choices and len(drawn) < count:
        row = tuple(rng.choices(keys, weights)[0] for keys, weights in choices)
        if len(choices) == 1 or row not in drawn:
            drawn.append(row)
    return [tuple(row[place] for row in drawn) for place in range(len(choices))]


def _parents_with_children(size: int, rng: random.Random) -> tuple[list[int], list[float]]:
    keys = rng.sample(range(1, size + 1), size - max(2, round(size * LEFT_OUT_SHARE)))
    return keys, [1 + 2 / (place + 1) for place in range(len(keys))]
