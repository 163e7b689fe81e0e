"""Made-up SQL for fuzzing: real queries taken apart and put together again, a small grammar, noise, and attacks.

A seed and real queries by database enter; pairs of database and statement leave, the same ones for the same seed.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.hostile_sql import HOSTILE
from contrapeso.sql.tokens import tokenize

KINDS = {"mutated": 50, "grammar": 25, "characters": 14, "noise": 6, "spliced": 4.8, "hostile": 0.2}
SHORT = tuple(attack.sql for attack in HOSTILE if attack.reason != "timeout" and len(attack.sql) < 1_000)
WORDS = """
    SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT OFFSET DISTINCT ALL UNION EXCEPT INTERSECT JOIN LEFT FULL NATURAL
    ON USING AND OR NOT IN LIKE GLOB BETWEEN IS NULL EXISTS CASE WHEN THEN ELSE END CAST AS WITH RECURSIVE OVER
    PARTITION ROWS RANGE PRECEDING FOLLOWING FILTER COLLATE NOCASE ESCAPE VALUES DROP TABLE INSERT INTO DELETE UPDATE
    SET ATTACH PRAGMA VACUUM CREATE TEMP TRIGGER BEGIN COMMIT RETURNING INDEXED sqlite_master rowid * ( ) , ; . + - /
    || = <> < -- /* */ ' " ` [ ] ? :x @y $z 0 -1 1e308 9223372036854775807 x'00ff' 'text' '' '%' """


def function_names() -> list[str]:
    """Every function of this build of SQLite."""
    connection = sqlite3.connect(":memory:")
    names = sorted({name for (name,) in connection.execute("SELECT name FROM pragma_function_list")})
    connection.close()
    return names


class Generator:
    """Requests from a seed.

    Args:
        seed: the same seed makes the same requests.
        queries: real queries by database; they and the names in them are the material.
    """

    def __init__(self, seed: int, queries: Mapping[Path, Sequence[str]]) -> None:
        self._random = random.Random(seed)
        self._functions = function_names()
        self._databases = sorted(queries)
        self._queries = {database: list(queries[database]) for database in self._databases}
        self._names = {
            database: sorted({token.text for sql in texts for token in tokenize(sql) if token.kind == "word"})
            for database, texts in self._queries.items()
        }
        self._database = self._databases[0]

    def request(self) -> tuple[Path, str]:
        """The next database and a statement for it."""
        self._database = self._random.choice(self._databases)
        kind = self._random.choices(list(KINDS), list(KINDS.values()))[0]
        made: str = getattr(self, f"_{kind}")()
        return self._database, made

    def _query(self) -> str:
        return self._random.choice(self._queries[self._database])

    def _name(self) -> str:
        return self._random.choice(self._names[self._database])

    def _mutated(self) -> str:
        """A real query with a few tokens dropped, doubled, swapped or replaced."""
        tokens = [token.text for token in tokenize(self._query())]
        for _ in range(self._random.randint(0, 2)):
            place, other = self._random.randrange(len(tokens)), self._random.randrange(len(tokens))
            match self._random.randrange(5):
                case 0:
                    tokens[place] = ""
                case 1:
                    tokens[place] += " " + tokens[place]
                case 2:
                    tokens[place], tokens[other] = tokens[other], tokens[place]
                case 3:
                    tokens[place] = f" {self._random.choice(WORDS.split())} "
                case _:
                    tokens[place] = f" {self._name()} "
        return "".join(tokens)

    def _grammar(self) -> str:
        """A statement from a small grammar that knows all functions."""
        parts = ["SELECT", ", ".join(self._expression(3) for _ in range(self._random.randint(1, 4)))]
        if self._random.random() < 0.7:
            parts.append("FROM " + ", ".join(self._source() for _ in range(self._random.randint(1, 2))))
            for clause in ("WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT"):
                if self._random.random() < 0.25:
                    parts += [clause, self._expression(2)]
        return " ".join(parts)

    def _source(self) -> str:
        return self._random.choice((self._name(), f"({self._query().rstrip(' ;')})", "singer"))

    def _expression(self, depth: int) -> str:
        choice = self._random.randrange(8) if depth else self._random.randrange(2)
        if choice == 0:
            return self._name()
        if choice == 1:
            return self._random.choice(
                ("0", "-1", "2.5", "'a%'", "NULL", "x'00ff'", "1e308", "9223372036854775807", "''")
            )
        if choice == 2:
            return f"({self._query().rstrip(' ;')})"
        if choice == 3:
            operator = self._random.choice(
                ("+", "-", "*", "/", "%", "||", "=", "<", "AND", "OR", "LIKE", "GLOB", "IS", "->>")
            )
            return f"({self._expression(depth - 1)} {operator} {self._expression(depth - 1)})"
        arguments = ", ".join(self._expression(depth - 1) for _ in range(self._random.randrange(4)))
        window = " OVER (ORDER BY 1 ROWS 3 PRECEDING)" if self._random.random() < 0.1 else ""
        return f"{self._random.choice(self._functions)}({arguments}){window}"

    def _characters(self) -> str:
        """A real query with a few characters of any kind in the wrong place."""
        letters = list(self._query())
        for _ in range(self._random.randint(1, 6)):
            letter = self._random.choice(("\0", "'", '"', ";", "\ufeff", "\xa0", chr(self._random.randrange(0x110000))))
            letters[self._random.randrange(len(letters))] = letter
        return "".join(letters)

    def _noise(self) -> str:
        """Bytes, read as UTF-8 where they are and as lone surrogates where they are not; half behind a SELECT."""
        noise = self._random.randbytes(self._random.randrange(200)).decode("utf-8", "surrogateescape")
        return self._random.choice(("", "SELECT ")) + noise

    def _spliced(self) -> str:
        """The head of one query and the tail of another, where one of them may be hostile."""
        head, tail = self._random.choice((self._query(), self._random.choice(SHORT))), self._random.choice(SHORT)
        return head[: self._random.randrange(len(head) + 1)] + tail[self._random.randrange(len(tail)) :]

    def _hostile(self) -> str:
        return self._random.choice(HOSTILE).sql
