"""The rules against brute force, against hand-worked tables, and against what they promise of any two tables."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from contrapeso.sql import (
    Result,
    equivalent_spider,
    equivalent_strict,
    equivalent_unordered,
    judge,
    matching,
    official_form,
    tolerance,
)
from contrapeso.sql.tolerance import cells_match

Rows = list[tuple[Any, ...]]

# Few values, so that equal cells, rows and columns are common; and a chain of floats each close to the next only.
CHAIN = (1.0, 1.0 + 0.9e-6, 1.0 + 1.8e-6, 1.0 + 2.7e-6)
CELLS = st.sampled_from((None, 0, 1, 2, 1.0, 1.5, "1", "1.0", "", b"1", *CHAIN, 1_000_001, 1_000_002, 1_000_001.5))


def table(rows: Rows, columns: int | None = None) -> Result:
    return Result(len(rows[0]) if columns is None else columns, tuple(rows))


@st.composite
def tables(draw: st.DrawFn, columns: int | None = None) -> Rows:
    width = columns or draw(st.integers(1, 4))
    return draw(st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=5))


@st.composite
def similar_tables(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """A table, and the same one shuffled with at most two cells changed."""
    rows = draw(tables())
    other = shuffled(rows, draw(st.randoms(use_true_random=False)))
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.integers(0, len(rows) - 1))
        column = draw(st.integers(0, len(rows[0]) - 1))
        other[row] = (*other[row][:column], draw(CELLS), *other[row][column + 1 :])
    return rows, other


def shuffled(rows: Rows, chance: random.Random) -> Rows:
    order = list(range(len(rows[0])))
    chance.shuffle(order)
    changed = [tuple(row[column] for column in order) for row in rows]
    chance.shuffle(changed)
    return changed


def close(left: Any, right: Any) -> bool:
    if type(left) in (int, float) and type(right) in (int, float):
        return left == right if type(left) is type(right) is int else math.isclose(left, right, rel_tol=1e-6)
    return type(left) is type(right) and left == right


def by_brute_force(left: Rows, right: Rows) -> bool:
    """Every order of columns with every order of rows."""
    if len(left) != len(right) or len(left[0]) != len(right[0]):
        return False
    return any(
        all(
            close(a, row[column])
            for mine, row in zip(left, rows, strict=True)
            for a, column in zip(mine, order, strict=True)
        )
        for order in itertools.permutations(range(len(left[0])))
        for rows in itertools.permutations(right)
    )


@given(similar_tables())
@settings(max_examples=400, deadline=None)
def test_unordered_agrees_with_trying_all_orders(pair: tuple[Rows, Rows]) -> None:
    left, right = pair
    assert equivalent_unordered(table(left), table(right)) == by_brute_force(left, right)


@given(tables(), tables())
@settings(deadline=None)
def test_unordered_agrees_with_trying_all_orders_on_unrelated_tables(left: Rows, right: Rows) -> None:
    assert equivalent_unordered(table(left), table(right)) == by_brute_force(left, right)


@given(tables(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_table_equals_itself_in_any_order_of_rows_and_columns(rows: Rows, chance: random.Random) -> None:
    assert equivalent_unordered(table(rows), table(rows))
    assert equivalent_unordered(table(rows), table(shuffled(rows, chance)))


@given(similar_tables())
@settings(deadline=None)
def test_every_rule_is_symmetric(pair: tuple[Rows, Rows]) -> None:
    left, right = map(table, pair)
    assert equivalent_unordered(left, right) == equivalent_unordered(right, left)
    for ordered in (True, False):
        assert equivalent_strict(left, right, ordered=ordered) == equivalent_strict(right, left, ordered=ordered)
        assert equivalent_spider(left, right, ordered=ordered) == equivalent_spider(right, left, ordered=ordered)


@given(similar_tables())
@settings(deadline=None)
def test_strict_is_stricter_in_order_and_than_unordered(pair: tuple[Rows, Rows]) -> None:
    left, right = map(table, pair)
    in_order = equivalent_strict(left, right, ordered=True)
    as_bag = equivalent_strict(left, right, ordered=False)
    assert in_order <= as_bag <= equivalent_unordered(left, right)


@given(tables(), st.booleans())
@settings(deadline=None)
def test_a_table_equals_itself_by_every_rule(rows: Rows, ordered: bool) -> None:
    assert equivalent_unordered(table(rows), table(list(rows)))
    assert equivalent_strict(table(rows), table(list(rows)), ordered=ordered)
    assert equivalent_spider(table(rows), table(list(rows)), ordered=ordered)


@given(tables(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_what_is_no_part_of_a_rule_does_not_change_its_verdict(rows: Rows, chance: random.Random) -> None:
    other = shuffled(rows, chance)
    same_order = list(rows)
    chance.shuffle(same_order)
    assert equivalent_strict(table(rows), table(same_order), ordered=False)
    assert equivalent_spider(table(rows), table(same_order), ordered=False)
    if not any(isinstance(cell, float) for row in rows for cell in row):  # see the rejection of mixed numbers below
        assert equivalent_spider(table(rows), table(other), ordered=False)


@given(similar_tables())
@settings(deadline=None)
def test_no_rule_calls_tables_equal_whose_cells_are_another_bag(pair: tuple[Rows, Rows]) -> None:
    left, right = [[[cell for cell in row if type(cell) is not float] for row in rows] for rows in pair]
    if any(type(cell) is float for rows in pair for row in rows for cell in row):
        return  # with floats in it a bag of cells says nothing: they match within a tolerance
    if Counter(chain.from_iterable(left)) != Counter(chain.from_iterable(right)):
        assert not equivalent_unordered(*map(table, pair))
        for ordered in (True, False):
            assert not equivalent_strict(*map(table, pair), ordered=ordered)
            assert not equivalent_spider(*map(table, pair), ordered=ordered)


@given(tables(), st.data())
@settings(deadline=None)
def test_a_row_more_makes_tables_differ(rows: Rows, data: st.DataObject) -> None:
    longer = [*rows, data.draw(st.sampled_from(rows))]
    assert not equivalent_unordered(table(rows), table(longer))
    assert not equivalent_unordered(table(longer), table(rows))
    for ordered in (True, False):
        assert not equivalent_strict(table(rows), table(longer), ordered=ordered)
        assert not equivalent_spider(table(rows), table(longer), ordered=ordered)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ([(1,)], [(1.0,)], True),
        ([(1,)], [("1",)], False),
        ([(None,)], [(0,)], False),
        ([(None,)], [("",)], False),
        ([(None,)], [(None,)], True),
        ([("a",)], [(b"a",)], False),
        ([("a",)], [("A",)], False),
        ([(0.1 + 0.2,)], [(0.3,)], True),
        ([(1e9,)], [(1e9 + 100,)], True),
        ([(1e9,)], [(1e9 + 10_000,)], False),
        ([(10**9,)], [(10**9 + 1,)], False),
        ([(2**53,)], [(2**53 + 1,)], False),
        ([(float("inf"),)], [(float("inf"),)], True),
        ([(float("inf"),)], [(1e308,)], False),
        ([(-1.0,)], [(1.0,)], False),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False),
        ([(1, 2), (3, 4)], [(2, 1), (4, 3)], True),
        ([(1, 2), (3, 4)], [(2, 1), (3, 4)], False),
        ([(1, 1)], [(1,)], False),
        # Tolerance must not let one row stand for two: two rows are near the first value, one row each is needed.
        ([(CHAIN[0],), (CHAIN[2],)], [(CHAIN[1],), (CHAIN[1],)], True),
        ([(CHAIN[0],), (CHAIN[3],)], [(CHAIN[1],), (CHAIN[1],)], False),
        # Close columns are not interchangeable: the first on the left is close to both, the second to one.
        ([(CHAIN[1], CHAIN[3])], [(CHAIN[2], CHAIN[1])], True),
    ],
)
def test_unordered_on_tables_worked_by_hand(left: Rows, right: Rows, same: bool) -> None:
    assert equivalent_unordered(table(left), table(right)) is same
    assert equivalent_unordered(table(right), table(left)) is same


def test_two_empty_results_are_the_same_when_they_have_as_many_columns() -> None:
    assert equivalent_unordered(table([], 2), table([], 2))
    assert not equivalent_unordered(table([], 2), table([], 3))
    assert equivalent_spider(table([], 2), table([], 3), ordered=True)  # the official evaluator does not look


@pytest.mark.parametrize("rows", [[], [(1,)]])
def test_a_prediction_that_fails_is_wrong_also_when_the_gold_result_is_empty(rows: Rows) -> None:
    gold, failed = table(rows, 1), Result(0, (), "syntax", "near FRM")
    verdicts = judge(gold, failed, gold_sql="SELECT 1", official_gold=gold, official_predicted=failed)
    assert verdicts == {"unordered": False, "spider": False, "strict": False}
    verdicts = judge(failed, failed, gold_sql="SELECT 1", official_gold=failed, official_predicted=failed)
    assert not any(verdicts.values())


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The permutations tried in full, one entry each: a count of work that no clock distorts."""
    tried: list[int] = []
    permuted = matching.permuted

    def counting(rows: matching.Table, permutation: matching.Permutation) -> list[tuple[int, ...]]:
        tried.append(len(permutation))
        return permuted(rows, permutation)

    monkeypatch.setattr(matching, "permuted", counting)
    return tried


def random_rows(columns: int, count: int, values: int) -> Rows:
    chance = random.Random(7)
    return [tuple(chance.randrange(values) for _ in range(columns)) for _ in range(count)]


WIDE = {
    "60 columns of three values": random_rows(60, 200, 3),
    "20 columns x 2,000 rows": random_rows(20, 2_000, 5),
    "40 columns of NULL": [(None,) * 40] * 10,
    "40 columns of NULL but one cell": [(None,) * 39 + (1,), *[(None,) * 40] * 9],
    "400 columns of NULL but one cell": [(None,) * 399 + (1,), *[(None,) * 400] * 99],
    "12 columns alike": [(number,) * 12 for number in range(30)],
    "12 columns alike but two": [(number, number + 1) + (number,) * 10 for number in range(30)],
    "12 columns, each a rotation of the first": [tuple((i + j) % 12 for j in range(12)) for i in range(12)],
}


@pytest.mark.parametrize("rows", WIDE.values(), ids=WIDE.keys())
def test_wide_tables_are_matched_in_a_handful_of_looks(rows: Rows, looks: list[int]) -> None:
    other = shuffled(rows, random.Random(3))
    assert equivalent_unordered(table(rows), table(other))
    assert equivalent_spider(table(rows), table(other), ordered=False)
    changed = [*other[:-1], (*other[-1][:-1], "changed")]
    assert not equivalent_unordered(table(rows), table(changed))
    assert not equivalent_spider(table(rows), table(changed), ordered=False)
    assert len(looks) < 40


@pytest.mark.parametrize("rings", [(12,), (6, 6)])
def test_tables_alike_in_every_count_are_still_told_apart(rings: tuple[int, ...]) -> None:
    """One ring of twelve and two rings of six: each row and each column of both holds two ones."""
    rows, start = [], 0
    for ring in rings:
        rows += [[int(column in (start + i, start + (i + 1) % ring)) for column in range(12)] for i in range(ring)]
        start += ring
    other: Rows = [tuple(int(column in (i, (i + 1) % 12)) for column in range(12)) for i in range(12)]
    found = equivalent_unordered(table(list(map(tuple, rows))), table(shuffled(other, random.Random(3))))
    assert found is (rings == (12,))


class TooMuchWorkError(AssertionError):
    """More work than any comparison may cost."""


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ends a test at ten million cells looked at by refinement and by pairing; the total is its one entry."""
    spent = [0]

    def counting(function: Callable[..., Any], cells: Callable[..., int]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            spent[0] += cells(*arguments)
            if spent[0] > 10_000_000:
                raise TooMuchWorkError
            return function(*arguments)

        return counted

    def size(rows: matching.Table, *_: object) -> int:
        return len(rows) * len(rows[0])

    monkeypatch.setattr(matching, "_colour_rows", counting(matching._colour_rows, size))
    monkeypatch.setattr(matching, "_colour_columns", counting(matching._colour_columns, size))
    monkeypatch.setattr(tolerance, "cells_match", counting(cells_match, lambda left, right: 1))
    return spent


def close_rows(columns: int, count: int) -> Rows:
    chance = random.Random(5)
    return [tuple(chance.choice(CHAIN[:3]) for _ in range(columns)) for _ in range(count)]


def rings(count: int, size: int) -> Rows:
    """Rings of ones in a square table: every row and every column holds two of them."""
    columns = count * size
    places = [(start + i, start + (i + 1) % size) for start in range(0, columns, size) for i in range(size)]
    return [tuple(int(column in place) for column in range(columns)) for place in places]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([(1.0,) * 6] * 50, close_rows(6, 50)),
        ([(1.0,) * 6] * 300, close_rows(6, 300)),
        ([(1.0,) * 8] * 400, close_rows(8, 400)),
        (close_rows(5, 50_000), shuffled(close_rows(5, 50_001)[1:], random.Random(1))),
        (close_rows(20, 20), shuffled(close_rows(20, 21)[1:], random.Random(1))),
        (rings(1, 60), rings(2, 30)),
        (rings(1, 120), rings(2, 60)),
    ],
    ids=["50 x 6", "300 x 6", "400 x 8", "50,000 x 5", "20 x 20", "rings of 60", "rings of 120"],
)
def test_tables_built_to_be_searched_for_ever_are_different_within_the_budget(
    left: Rows, right: Rows, bounded: list[int]
) -> None:
    assert not equivalent_unordered(table(left), table(right))
    assert bounded[0] > 0


def test_a_table_of_close_values_with_more_columns_than_nested_calls_is_searched() -> None:
    left = (*(CHAIN[0],) * 1_098, CHAIN[3], CHAIN[3])
    right = (CHAIN[2], *(CHAIN[1],) * 1_099)  # one partner for the two last on the left
    assert not equivalent_unordered(table([left]), table([right]))


@pytest.mark.parametrize("count", [3, 60, 200])
def test_many_close_rows_are_paired_where_sorting_does_not_pair_them(count: int) -> None:
    chance = random.Random(count)
    left: Rows = [(chance.uniform(1, 1 + 3e-6), chance.uniform(1, 1 + 3e-6)) for _ in range(count)]
    right: Rows = [tuple(cell * (1 + chance.uniform(-9e-7, 9e-7)) for cell in row) for row in left]
    by_sorting = [all(map(close, *pair)) for pair in zip(sorted(left), sorted(right), strict=True)]
    assert count < 60 or not all(by_sorting)
    chance.shuffle(right)
    assert equivalent_unordered(table(left), table(right))
    assert equivalent_strict(table(left), table(right), ordered=False)
    spoilt = [*right[:-1], (right[-1][0], 1 + 9e-6)]
    assert not equivalent_unordered(table(left), table(spoilt))


@pytest.mark.parametrize("seed", range(40))
def test_rows_are_paired_where_and_only_where_a_perfect_matching_exists(seed: int) -> None:
    chance = random.Random(seed)
    columns, count = chance.randint(2, 3), chance.randint(5, 40)
    left, right = [[tuple(chance.choice(CHAIN) for _ in range(columns)) for _ in range(count)] for _ in range(2)]
    if seed % 2:
        right = [tuple(chance.choice([near for near in CHAIN if close(cell, near)]) for cell in row) for row in left]
        chance.shuffle(right)
    near = [[all(map(close, mine, theirs)) for theirs in right] for mine in left]
    matched = maximum_bipartite_matching(csr_matrix(near), perm_type="column")
    assert equivalent_strict(table(left), table(right), ordered=False) is bool((matched >= 0).all())


def test_strict_wants_columns_as_written_and_rows_in_the_order_asked_for() -> None:
    rows: Rows = [(1, "a"), (2, "b")]
    backwards, swapped = rows[::-1], [("a", 1), ("b", 2)]
    assert equivalent_strict(table(rows), table(backwards), ordered=False)
    assert not equivalent_strict(table(rows), table(backwards), ordered=True)
    assert not equivalent_strict(table(rows), table(swapped), ordered=False)
    assert equivalent_strict(table([(0.3,), (1,)]), table([(0.1 + 0.2,), (1.0,)]), ordered=True)


def test_strict_takes_order_from_the_query_itself_and_not_from_a_subquery() -> None:
    def strict(gold_sql: str) -> bool:
        rows, backwards = table([(1,), (2,)]), table([(2,), (1,)])
        return judge(rows, backwards, gold_sql=gold_sql, official_gold=rows, official_predicted=backwards)["strict"]

    assert not strict("SELECT x FROM t ORDER  BY x")
    assert not strict("WITH u AS (SELECT 1) SELECT x FROM t order by x LIMIT 3")
    assert strict("SELECT x FROM (SELECT x FROM t ORDER BY x)")
    assert strict("SELECT x FROM t WHERE y = 'ORDER BY'")


def test_spider_compares_exactly_and_in_order_when_the_gold_orders() -> None:
    assert not equivalent_spider(table([(0.1 + 0.2,)]), table([(0.3,)]), ordered=False)
    assert equivalent_spider(table([(1, "a"), (2, "b")]), table([("b", 2), ("a", 1)]), ordered=False)
    assert not equivalent_spider(table([(1, "a"), (2, "b")]), table([("b", 2), ("a", 1)]), ordered=True)
    assert equivalent_spider(table([(1, "a"), (2, "b")]), table([("a", 1), ("b", 2)]), ordered=True)
    assert not equivalent_spider(table([(1,), (1,), (2,)]), table([(1,), (2,), (2,)]), ordered=False)


@given(similar_tables(), st.booleans())
@settings(deadline=None)
def test_spider_agrees_with_trying_all_orders_of_columns(pair: tuple[Rows, Rows], ordered: bool) -> None:
    left, right = [[tuple(map(str, row)) for row in rows] for rows in pair]
    found = any(
        left == changed if ordered else sorted(left) == sorted(changed)
        for order in itertools.permutations(range(len(left[0])))
        for changed in [[tuple(row[column] for column in order) for row in right]]
    )
    assert equivalent_spider(table(left), table(right), ordered=ordered) == found


def test_spider_repeats_the_official_rejection_of_mixed_whole_numbers() -> None:
    # Sorted as text: "10.0" comes before "10/", and "10<class 'int'>" after it.
    left, right = table([(10, "10/")]), table([(10.0, "10/")])
    assert equivalent_unordered(left, right)
    assert not equivalent_spider(left, right, ordered=False)


@pytest.mark.parametrize(
    ("sql", "official"),
    [
        ("SELECT DISTINCT a FROM t", "SELECT  a FROM t"),
        ("SELECT count(distinct a) FROM t", "SELECT count( a) FROM t"),
        ("SELECT a FROM t WHERE b = 'DISTINCT' AND \"distinct\" = 1", None),
        ("SELECT is_distinct, distinct_id FROM t", None),
        ("SELECT a FROM t WHERE b > = 1 AND c ! = 2 AND d < = 3", "SELECT a FROM t WHERE b >= 1 AND c != 2 AND d <= 3"),
        ("SELECT 1; SELECT 2", "SELECT 1;"),
        ("SELECT ';' ; SELECT 2", "SELECT ';' ;"),
        ("SELECT year(curdate( )) - 1", "SELECT 2020- 1"),
        ("", None),
        ("SELECT 'it''s", None),
    ],
)
def test_the_official_form_of_a_query(sql: str, official: str | None) -> None:
    assert official_form(sql) == (sql if official is None else official)
