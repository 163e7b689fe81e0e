"""Writes the pocket Spider data: databases, `tables.json`, `train_spider.json` and `dev.json`, from the specifications.

    python -m tools.pocket.make_spider            # into src/contrapeso/data/pocket/spider

Seeded and byte for byte reproducible. A question is kept only if its gold query runs, returns something, has no ties
where it ranks, and changes its result when any one of its comparisons is dropped.
"""

from __future__ import annotations

import json
import random
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.pocket.questions import INTENTS, Question, ask
from tools.pocket.worlds import DEV, TRAIN, World

TARGET = Path(__file__).resolve().parents[2] / "src" / "contrapeso" / "data" / "pocket" / "spider"
SEED = 20
QUESTIONS_PER_TRAIN_DATABASE = 54
QUESTIONS_PER_DEV_DATABASE = 44
LEVEL_SHARES = {"easy": 0.25, "medium": 0.40, "hard": 0.20, "extra": 0.15}
PAGE_SIZE = 512
SQLITE_VERSION_FIELDS = slice(92, 100)
"""Header bytes "version-valid-for" and "SQLITE_VERSION_NUMBER": the only ones that depend on the SQLite that wrote."""


def level(sql: str) -> str:
    """How hard a query is, by its structure.

    One point each: a WHERE comparison, ORDER BY, LIMIT, HAVING, a second aggregate. Two points each: GROUP BY, JOIN.
    Three points: a second SELECT. 0-1 easy, 2-3 medium, 4 hard, 5 and more extra.

    Args:
        sql: a query of the grammar.

    Returns:
        easy, medium, hard or extra.
    """
    ones = len(re.findall(r" WHERE | AND | OR | ORDER BY | LIMIT | HAVING ", sql)) - len(re.findall(r"BETWEEN", sql))
    twos = len(re.findall(r" GROUP BY | JOIN ", sql))
    points = ones + 2 * twos + 3 * (sql.count("SELECT") - 1) + max(0, len(re.findall(r"(?:min|max|avg)\(", sql)) - 1)
    return "easy" if points <= 1 else "medium" if points <= 3 else "hard" if points == 4 else "extra"


def create_statements(world: World) -> list[str]:
    """The world's `CREATE TABLE` statements, parents before children."""
    statements = []
    for table in world.tables:
        parts = [
            f"{column.name} {column.sql_type}" + (" PRIMARY KEY" if column.role == "key" else "")
            for column in table.columns
        ]
        parts += [
            f"FOREIGN KEY ({link.column}) REFERENCES {link.parent.name}({link.parent.key.name})"
            for link in world.links
            if link.child is table
        ]
        statements.append(f"CREATE TABLE {table.name} ({', '.join(parts)})")
    return statements


def write_database(world: World, path: Path) -> None:
    """Write a filled world as an SQLite file whose bytes do not depend on SQLite's version.

    Args:
        world: tables with rows.
        path: the file to write; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    for statement in create_statements(world):
        connection.execute(statement)
    for table in world.tables:
        marks = ", ".join("?" * len(table.columns))
        connection.executemany(
            f"INSERT INTO {table.name} VALUES ({marks})", zip(*(c.values for c in table.columns), strict=True)
        )
    connection.commit()
    connection.execute("VACUUM")
    connection.close()
    content = bytearray(path.read_bytes())
    content[SQLITE_VERSION_FIELDS] = bytes(8)
    path.write_bytes(content)


def spider_tables(world: World) -> dict[str, Any]:
    """A world as one entry of Spider's `tables.json`."""
    columns = [(place, column) for place, table in enumerate(world.tables) for column in table.columns]
    number = {(world.tables[place].name, column.name): index for index, (place, column) in enumerate(columns, start=1)}
    return {
        "column_names": [[-1, "*"], *([place, column.name.replace("_", " ")] for place, column in columns)],
        "column_names_original": [[-1, "*"], *([place, column.name] for place, column in columns)],
        "column_types": ["text", *("text" if column.sql_type == "TEXT" else "number" for _, column in columns)],
        "db_id": world.name,
        "foreign_keys": [
            [number[link.child.name, link.column], number[link.parent.name, link.parent.key.name]]
            for link in world.links
        ],
        "primary_keys": [number[table.name, table.key.name] for table in world.tables],
        "table_names": [table.noun for table in world.tables],
        "table_names_original": [table.name for table in world.tables],
    }


def is_telling(question: Question, connection: sqlite3.Connection) -> bool:
    """Whether the gold result tells right from wrong.

    It holds something other than NULL and zero counts, its ranking has no ties, and dropping any one comparison
    changes it.

    Args:
        question: a question of the grammar.
        connection: the open database.

    Returns:
        True when the question is worth asking.
    """
    rows = connection.execute(question.sql).fetchall()
    if not rows or all(cell in (None, 0) for row in rows for cell in row):
        return False
    weaker = [question.sql.replace(comparison, "1", 1) for comparison in question.comparisons]
    weaker.append(re.sub(r" HAVING .*", "", question.sql))
    if any(sql != question.sql and connection.execute(sql).fetchall() == rows for sql in weaker):
        return False
    return not _has_ties(question.sql, connection)


def _has_ties(sql: str, connection: sqlite3.Connection) -> bool:
    ranked = re.fullmatch(r"SELECT .*? (FROM .* ORDER BY (\S+(?: \S+\))*?)( DESC)?)(?: LIMIT (\d+))?", sql)
    if ranked is None:
        return False
    source, key, _, limit = ranked.groups()
    keys = [row[0] for row in connection.execute(f"SELECT {key} {source}")]
    if limit is None:
        return len(set(keys)) < len(keys)
    top = keys[: int(limit) + 1]
    return len(keys) <= int(limit) or len(set(top)) < len(top)


def questions_about(world: World, count: int, connection: sqlite3.Connection) -> list[Question]:
    """Questions over one database: no duplicates, levels in their shares, intents as even as they allow.

    Args:
        world: the filled world.
        count: how many.
        connection: its database, open.

    Returns:
        The questions, in mixed order.
    """
    rng = random.Random(f"contrapeso pocket questions {SEED} {world.name}")
    wanted = {name: round(share * count) for name, share in LEVEL_SHARES.items()}
    wanted["medium"] += count - sum(wanted.values())
    asked: Counter[str] = Counter()
    seen_texts: set[str] = set()
    seen_queries: set[str] = set()
    kept: list[Question] = []
    for _ in range(400 * count):
        if len(kept) == count:
            break
        fewest = rng.sample(INTENTS, 4)
        intent = min(fewest, key=lambda candidate: asked[candidate.name])
        question = ask(intent, world, rng=rng, pretraining=False)
        if question is None or question.text in seen_texts or question.sql in seen_queries:
            continue
        if wanted[level(question.sql)] == 0 or not is_telling(question, connection):
            continue
        wanted[level(question.sql)] -= 1
        asked[question.intent] += 1
        seen_texts.add(question.text)
        seen_queries.add(question.sql)
        kept.append(question)
    if len(kept) < count:
        raise ValueError(f"{world.name} gave {len(kept)} of {count} questions; still wanted: {wanted}")
    rng.shuffle(kept)
    return kept


def make(target: Path) -> dict[str, int]:
    """Write the whole folder.

    Args:
        target: the folder to write into.

    Returns:
        The number of questions per split.
    """
    splits = {
        "train_spider.json": (TRAIN, QUESTIONS_PER_TRAIN_DATABASE),
        "dev.json": (DEV, QUESTIONS_PER_DEV_DATABASE),
    }
    sizes = {}
    for file_name, (worlds, count) in splits.items():
        rows = []
        for world in worlds:
            path = target / "database" / world.name / f"{world.name}.sqlite"
            write_database(world, path)
            connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
            rows += [
                {"db_id": world.name, "question": question.text, "query": question.sql}
                for question in questions_about(world, count, connection)
            ]
            connection.close()
        _write_json(target / file_name, rows)
        sizes[file_name] = len(rows)
    _write_json(target / "tables.json", [spider_tables(world) for world in TRAIN + DEV])
    return sizes


def _write_json(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One entry a line, so that a change shows as a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for split, size in make(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET).items():
        print(f"{split}: {size} questions")
