"""Compare cells with a tolerance for floats, and pair up rows under it.

"Within a relative 1e-6" is not transitive (a is close to b, b to c, a not to c), so no rounding can stand for it:
whatever the digits kept, two close numbers may round apart. Two steps do it soundly. `coarse_cells` gives equal numbers
to all cells that could be close, directly or through others: different numbers prove two rows different. `rows_pair_up`
then pairs the rows of equal numbers one to one, every pair close cell by cell; where sorting does not pair them, by a
search that costs the square of their number. A group too large for what is left of the budget (some 800 rows of six
columns, all of them close and in no common order) counts as unpaired, a "no" that may be wrong.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import chain
from typing import Any

from contrapeso.sql.matching import Budget

RELATIVE_TOLERANCE = 1e-6
_PASSES = 4  # over all cells, by the steps that cost no square: grouping, comparing, sorting, comparing again

Rows = Sequence[tuple[Any, ...]]
CoarseRows = Sequence[tuple[int, ...]]


def cells_match(left: Any, right: Any) -> bool:
    """Whether two cells count as equal: exactly, or within the tolerance when both are numbers and one is a float."""
    if left == right:
        return True
    numbers = isinstance(left, float | int) and isinstance(right, float | int)
    if not numbers or not (isinstance(left, float) or isinstance(right, float)):
        return False
    return math.isclose(left, right, rel_tol=RELATIVE_TOLERANCE)


def coarse_cells(first: Rows, second: Rows) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]] | None:
    """Number the cells of two tables so that cells that match never have different numbers.

    The distinct numeric values are sorted; each float joins all values within its reach into one class, which gets a
    negative number. Integers join nothing by themselves, so keys and counts stay exact.

    Returns:
        Both tables in numbers; None when no two different values are close, so that comparing exactly says it all.
    """
    numeric: dict[float | int, bool] = {}  # each value, and whether it occurs as a float
    for row in chain(first, second):
        for cell in row:
            if isinstance(cell, float | int):
                numeric[cell] = numeric.get(cell, False) or isinstance(cell, float)
    joined = _join_close_values(numeric)
    if not joined:
        return None
    numbers: dict[Hashable, int] = {}

    def coarse(rows: Rows) -> list[tuple[int, ...]]:
        return [tuple([joined.get(cell) or numbers.setdefault(cell, len(numbers)) for cell in row]) for row in rows]

    return coarse(first), coarse(second)


def _join_close_values(numeric: dict[float | int, bool]) -> dict[Hashable, int]:
    """Map each value that has others in its class to the negative number of the class."""
    values = sorted(numeric)
    reach = list(range(len(values)))  # reach[i]: the last value that some float joins to values[i]
    low = high = 0
    for index, value in enumerate(values):
        if not numeric[value]:
            continue
        while not math.isclose(values[low], value, rel_tol=RELATIVE_TOLERANCE):
            low += 1
        high = max(high, index)
        while high + 1 < len(values) and math.isclose(values[high + 1], value, rel_tol=RELATIVE_TOLERANCE):
            high += 1
        reach[low] = max(reach[low], high)
    classes: dict[Hashable, int] = {}
    start = last = 0
    for index in range(len(values)):
        if index > last:
            start = index
        last = max(last, reach[index])
        if last > start:
            classes[values[index]] = -1 - start
    return classes


def rows_pair_up(first: tuple[Rows, CoarseRows], second: tuple[Rows, CoarseRows], *, budget: Budget) -> bool:
    """Whether rows of equal coarse cells can be paired one to one so that all cells of a pair match.

    Args:
        first: rows, at least one, and their coarse cells.
        second: the same for the other table; the bags of coarse rows are equal.
        budget: what the pairing may cost; what it does cost is taken from it.

    Returns:
        False also when the budget does not suffice to tell.
    """
    if not budget.take(_PASSES * len(first[0]) * len(first[0][0])):
        return False
    groups: dict[tuple[int, ...], tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
    for side, (rows, coarse) in enumerate((first, second)):
        for row, key in zip(rows, coarse, strict=True):
            groups[key][side].append(row)
    return all(_pair_up(left, right, budget) for left, right in groups.values())


def _pair_up(left: list[tuple[Any, ...]], right: list[tuple[Any, ...]], budget: Budget) -> bool:
    """Pair the rows of one group: first in sorted order, which is exact for one float column, then by search."""
    if all(map(_rows_match, left, right)):
        return True
    # Within a group, columns hold equal texts, or numbers alone; so sorting needs the numbers alone.
    left, right = (sorted(rows, key=_numbers_of) for rows in (left, right))
    if all(map(_rows_match, left, right)):
        return True
    cells = len(right) * len(right[0])  # to compare one row with all of the other side
    if budget.cells < len(left) * cells:
        return False
    candidates = []
    for wanted in left:
        found = [index for index, row in enumerate(right) if _rows_match(wanted, row)]
        if not (budget.take(cells) and found):
            return False
        candidates.append(found)
    return _perfect_matching(candidates, budget)


def _rows_match(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    return all(map(cells_match, left, right))


def _numbers_of(row: tuple[Any, ...]) -> list[float | int]:
    return [cell for cell in row if isinstance(cell, float | int)]


def _perfect_matching(candidates: list[list[int]], budget: Budget) -> bool:
    """Whether every row can have a partner of its own, `candidates` naming those it may have.

    One row after the other takes the nearest free partner, the rows in between changing theirs (shortest augmenting
    paths; Kuhn 1955). False also when the budget is spent, of which each candidate looked at takes one cell.
    """
    row_of: dict[int, int] = {}
    partner_of: dict[int, int] = {}
    for start in range(len(candidates)):
        reached_from: dict[int, int] = {}
        waiting = [start]
        free = None
        for row in waiting:  # grows while it is read
            if not budget.take(len(candidates[row])):
                return False
            new = [candidate for candidate in candidates[row] if candidate not in reached_from]
            reached_from.update(dict.fromkeys(new, row))
            free = next((candidate for candidate in new if candidate not in row_of), None)
            if free is not None:
                break
            waiting += [row_of[candidate] for candidate in new]
        if free is None:
            return False
        while free is not None:
            row = reached_from[free]
            row_of[free] = row
            partner_of[row], free = free, partner_of.get(row)
    return True
