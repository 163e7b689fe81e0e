"""A small database and a sandbox for the tests of this folder."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contrapeso.sql import Limits, Sandbox

STATEMENTS = """
CREATE TABLE singer (singer_id INTEGER PRIMARY KEY, name TEXT, country TEXT, weight REAL);
CREATE TABLE concert (concert_id INTEGER PRIMARY KEY, singer_id INTEGER, year TEXT,
                      FOREIGN KEY (singer_id) REFERENCES singer (singer_id));
INSERT INTO singer VALUES (1, 'Ana', 'Brasil', 60.5), (2, 'Rui', 'Portugal', NULL), (3, 'Eva', 'Brasil', 70.0);
INSERT INTO concert VALUES (10, 1, '2014'), (11, 1, '2015'), (12, 3, '2015');
"""


@pytest.fixture
def make_database(tmp_path: Path) -> Callable[..., Path]:
    """Builds a database file from SQL statements."""

    def make(statements: str = STATEMENTS, name: str = "music.sqlite") -> Path:
        path = tmp_path / name
        connection = sqlite3.connect(path)
        connection.executescript(statements)
        connection.close()
        return path

    return make


@pytest.fixture
def database(make_database: Callable[..., Path]) -> Path:
    """Singers and their concerts."""
    return make_database()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One worker with tight limits, shared by the tests that do not look inside."""
    with Sandbox(workers=1, limits=Limits(steps=5_000_000, rows=1_000, cells=3_000, result_bytes=300_000)) as shared:
        yield shared
