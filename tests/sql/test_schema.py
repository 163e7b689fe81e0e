"""Schemas as SQLite declares them, and text that SQLite reads back."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrapeso.errors import DataError
from contrapeso.sql import Column, ForeignKey, Schema, Table, read_schema, render_schema
from contrapeso.sql.schema import quoted


def test_compact_is_one_line_per_table_and_one_per_foreign_key(database: Path) -> None:
    assert render_schema(read_schema(database), "compact") == (
        "singer(singer_id, name, country, weight)\n"
        "concert(concert_id, singer_id, year)\n"
        "concert.singer_id = singer.singer_id"
    )


def test_ddl_holds_types_and_keys(database: Path) -> None:
    assert render_schema(read_schema(database), "ddl") == (
        "CREATE TABLE singer (\n  singer_id INTEGER PRIMARY KEY,\n  name TEXT,\n  country TEXT,\n  weight REAL\n);\n"
        "CREATE TABLE concert (\n  concert_id INTEGER PRIMARY KEY,\n  singer_id INTEGER,\n  year TEXT,\n"
        "  FOREIGN KEY (singer_id) REFERENCES singer (singer_id)\n);"
    )


def test_names_keep_their_case_and_order_and_internal_tables_are_left_out(make_database: Callable[..., Path]) -> None:
    path = make_database(
        'CREATE TABLE "Zoo Keeper" (Id INTEGER PRIMARY KEY AUTOINCREMENT, "order" TEXT, "say ""hi""" REAL, Untyped);'
        "CREATE TABLE animal (a, b, KeeperId REFERENCES [zoo keeper], c AS (a + 1), PRIMARY KEY (b, a),"
        " FOREIGN KEY (C) REFERENCES ANIMAL (A), FOREIGN KEY (a, b) REFERENCES nowhere (x, y));"
        "CREATE VIEW seen AS SELECT 1;"
    )
    schema = read_schema(path)
    assert schema.tables == (
        Table(
            "Zoo Keeper",
            (
                Column("Id", "INTEGER", True),
                Column("order", "TEXT", False),
                Column('say "hi"', "REAL", False),
                Column("Untyped", "", False),
            ),
        ),
        Table(
            "animal",
            (Column("a", "", True), Column("b", "", True), Column("KeeperId", "", False), Column("c", "", False)),
        ),
    )
    assert schema.foreign_keys == (
        ForeignKey("animal", ("KeeperId",), "Zoo Keeper", ("Id",)),
        ForeignKey("animal", ("c",), "animal", ("a",)),
        ForeignKey("animal", ("a", "b"), "nowhere", ("x", "y")),
    )
    assert '"Zoo Keeper"(Id, "order", "say ""hi""", Untyped)' in render_schema(schema, "compact")


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda name: not name.lower().startswith("sqlite_")
)
WORDS = st.sampled_from(
    ["select", "Order", "group", "key", "left", "t1", "Año", "a b", "2nd", 'q"q', "end", "cast", "to"]
)


@settings(deadline=None)
@given(st.lists(NAMES | WORDS, min_size=3, max_size=6, unique_by=str.casefold))
def test_ddl_of_any_names_builds_the_same_schema_again(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    path = tmp_path_factory.mktemp("names") / "names.sqlite"
    columns = tuple(Column(name, "TEXT", index < 2) for index, name in enumerate(names))
    schema = Schema(
        (Table(names[0], columns), Table(names[1], columns)),
        (ForeignKey(names[1], (names[2],), names[0], (names[1],)),),
    )
    connection = sqlite3.connect(path)
    connection.executescript(render_schema(schema, "ddl"))
    connection.close()
    assert read_schema(path) == schema


@pytest.mark.parametrize(
    "word", ["select", "order", "group", "references", "transaction", "default", "values", "key", "date", "replace"]
)
def test_a_name_left_bare_is_understood_by_sqlite(word: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE {quoted(word)} ({quoted(word)} INTEGER)")
    assert connection.execute(f"SELECT {quoted(word)} FROM {quoted(word)}").fetchall() == []


@pytest.mark.parametrize("content", [None, b"not a database at all, by far", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_missing_or_broken_file_is_a_data_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "lost.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"lost\.sqlite.*fetch"):
        read_schema(path)
    assert path.exists() is (content is not None)


def test_an_unknown_style_is_refused_with_the_known_ones(database: Path) -> None:
    with pytest.raises(DataError, match="compact, ddl"):
        render_schema(read_schema(database), "yaml")


def test_real_schemas_agree_with_the_tables_file_of_spider(shared_data: Path) -> None:
    described = json.loads((shared_data / "spider" / "tables.json").read_text())
    for entry in described:
        path = shared_data / "spider" / "database" / entry["db_id"] / f"{entry['db_id']}.sqlite"
        expected = {name.lower(): [] for name in entry["table_names_original"]}
        for table, column in entry["column_names_original"][1:]:
            expected[entry["table_names_original"][table].lower()].append(column.lower())
        expected.pop("sqlite_sequence", None)  # internal to SQLite; the file lists it for one database
        schema = read_schema(path)
        found = {table.name.lower(): [column.name.lower() for column in table.columns] for table in schema.tables}
        assert found == expected, entry["db_id"]
