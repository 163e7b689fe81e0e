"""Read the schema of a file that a stranger may have made: in a child process, under limits.

A SQLite file enters; its `Schema` leaves, or a `DataError` that says why not. SQLite reads the whole schema of a file
before it answers anything, so a file may ask for any time and memory it likes: the child has a share of both, and the
process that asks never opens the file itself. Queries on such a file go through `Sandbox`, as all do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrapeso.errors import DataError, ResourceError
from contrapeso.sql.schema import Column, ForeignKey, Schema, Table, read_schema
from contrapeso.sql.worker import bound_process

SECONDS = 20.0
MEMORY_MEGABYTES = 512
MOST_COLUMNS = 20_000
"""Columns of a schema, of all tables and foreign keys together; Spider's largest database has 352, BIRD's 750."""
MOST_CHARACTERS = 2_000_000
"""Of a schema written as JSON: a single name may have a gigabyte."""
ERROR_CHARACTERS = 1_000
"""Of an error: SQLite's own words repeat names."""

_CHILD = "import sys; from contrapeso.sql.apart import answer; answer(sys.argv[1], int(sys.argv[2]))"


def read_schema_apart(database: Path, *, seconds: float = SECONDS, memory_megabytes: int = MEMORY_MEGABYTES) -> Schema:
    """Read a schema as `read_schema` does, without trust in the file.

    Args:
        database: the SQLite file.
        seconds: wall clock after which the child is killed.
        memory_megabytes: address space of the child.

    Raises:
        DataError: the file is no SQLite database, is damaged, or its schema passes a limit.
        ResourceError: no child process can be started.
    """
    command = [sys.executable, "-c", _CHILD, str(Path(database).resolve()), str(memory_megabytes)]
    # The child finds this package where this process found it; a group of its own keeps Ctrl-C from it.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, process_group=0
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"the schema of {database} takes longer than {seconds:g} s to read: is this a database?"
        ) from error
    except OSError as error:
        raise ResourceError(f"no process to read {database} can be started: {error.strerror or error}") from error
    if done.returncode or not done.stdout:
        raise DataError(
            f"the schema of {database} cannot be read within {memory_megabytes} MB of memory: is this a database?"
        )
    reply = json.loads(done.stdout)
    if "error" in reply:
        raise DataError(reply["error"])
    return _schema(reply)


def answer(database: str, memory_megabytes: int) -> None:
    """What the child does: print the schema, or the error, as JSON."""
    bound_process(memory_megabytes)
    try:
        schema = read_schema(Path(database))
        sys.stdout.write(_within_limits(schema, database))  # pure ASCII, so no name can break it
    except DataError as error:
        sys.stdout.write(json.dumps({"error": str(error)[:ERROR_CHARACTERS]}))


def _within_limits(schema: Schema, database: str) -> str:
    """A schema as JSON, if whoever asked can bear it."""
    columns = sum(len(table.columns) for table in schema.tables)
    keys = sum(len(key.columns) for key in schema.foreign_keys)
    if columns + keys > MOST_COLUMNS:
        raise DataError(
            f"{database} has {columns:,} columns in {len(schema.tables):,} tables and {keys:,} in foreign keys; "
            f"the limit is {MOST_COLUMNS:,}"
        )
    text = json.dumps(asdict(schema))
    if len(text) > MOST_CHARACTERS:
        raise DataError(f"the schema of {database} takes {len(text):,} characters; the limit is {MOST_CHARACTERS:,}")
    return text


def _schema(reply: dict[str, Any]) -> Schema:
    tables = tuple(
        Table(table["name"], tuple(Column(**column) for column in table["columns"])) for table in reply["tables"]
    )
    keys = tuple(
        ForeignKey(key["table"], tuple(key["columns"]), key["target_table"], tuple(key["target_columns"]))
        for key in reply["foreign_keys"]
    )
    return Schema(tables, keys)
