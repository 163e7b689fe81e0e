"""One attack for each promise of the sandbox, each between two honest queries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.hostile_sql import HOSTILE, Hostile, build_database
from benchmarks.sandbox_fuzz import snapshot
from contrapeso.sql import Limits, Sandbox

# The reasons are those of the limits everyone gets; smaller limits only reach them sooner. In order of `HOSTILE`, with
# the default limits on two cores of a cloud machine: 1 to 5 s for a query that its steps stop; 20 s of processor time
# for those whose steps are slow inside (instr, LIKE, GLOB, replace, printf); 2 s where memory fills up; else 0.1 s.
QUICK = Limits(steps=10_000_000, cpu_seconds=2, memory_megabytes=128)
NEIGHBOURS = {
    "SELECT name FROM singer WHERE w > 65": (("Eva",),),
    "SELECT label, doubled FROM odd": (("a\ufffdb", 6), ("b\0c", 2)),
}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the attacked database that is also the working and the temporary folder of the workers."""
    folder = tmp_path_factory.mktemp("arena")
    build_database(folder / "attacked.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("TMPDIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def held(arena: Path) -> Iterator[Sandbox]:
    """Two workers in the arena."""
    with Sandbox(workers=2, limits=QUICK) as sandbox:
        yield sandbox


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.promise)
def test_an_attack_ends_with_its_reason_and_its_neighbours_are_right(
    arena: Path, held: Sandbox, attack: Hostile
) -> None:
    before = snapshot(arena)
    queries = [*NEIGHBOURS, attack.sql, *NEIGHBOURS]
    results = held.run([(arena / "attacked.sqlite", sql) for sql in queries])
    hostile = results.pop(len(NEIGHBOURS))
    assert (hostile.reason, hostile.columns, hostile.rows) == (attack.reason, 0, ())
    assert hostile.detail
    assert [result.rows for result in results] == [*NEIGHBOURS.values()] * 2
    assert snapshot(arena) == before
    assert list(before) == ["attacked.sqlite"]


def test_every_attack_is_there_once() -> None:
    for field in ("promise", "sql"):
        assert len({getattr(attack, field) for attack in HOSTILE}) == len(HOSTILE)
