"""The fuzz of the SQL sandbox, in short."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.hostile_sql import build_database
from benchmarks.made_up_sql import WORDS, Generator
from benchmarks.sandbox_fuzz import REASONS, adversarial, copied_queries, fuzz
from contrapeso.sql import Limits, Sandbox

QUICK = Limits(steps=10_000_000, cpu_seconds=2, memory_megabytes=128)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sandbox]]:
    """The database under attack and a sandbox for it."""
    database = tmp_path_factory.mktemp("attacked") / "attacked.sqlite"
    build_database(database)
    with Sandbox(workers=1, limits=QUICK) as sandbox:
        yield database, sandbox


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.text(st.characters(codec=None), max_size=60)
    | st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join)
    | st.lists(st.sampled_from(WORDS.split()), max_size=12).map(lambda words: "SELECT " + " ".join(words))
)
def test_any_text_is_a_result_with_a_known_reason(attacked: tuple[Path, Sandbox], text: str) -> None:
    database, sandbox = attacked
    result, probe = sandbox.run([(database, text), (database, "SELECT 42")])
    assert result.reason in REASONS
    assert probe.rows == ((42,),)


def test_a_short_fuzz_finds_nothing_changed_leaked_or_wrong(tmp_path: Path) -> None:
    report = fuzz(tmp_path, copied_queries(None, tmp_path), statements=3_000, seed=7, workers=2, limits=QUICK)
    assert not any(report["failures"].values()), report
    assert report["reasons"]["ok"] > 300 and len(report["reasons"]) >= 8, report


def test_hostile_predictions_are_judged_wrong_within_the_bound_and_their_neighbours_right(tmp_path: Path) -> None:
    limits = replace(QUICK, cpu_seconds=0.5)
    report = adversarial(tmp_path, copied_queries(None, tmp_path), count=16, workers=2, limits=limits)
    assert not any(report["failures"].values()), report


def test_the_fuzz_is_the_same_for_the_same_seed() -> None:
    material = {Path("a.sqlite"): ["SELECT x FROM t"], Path("b.sqlite"): ["SELECT count(*) FROM u WHERE y > 3"]}
    first, second, other = (Generator(seed, material) for seed in (1, 1, 2))
    requests = [first.request() for _ in range(50)]
    assert requests == [second.request() for _ in range(50)]
    assert requests != [other.request() for _ in range(50)]
