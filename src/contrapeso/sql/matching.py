"""Find the order of columns that makes two tables the same bag of rows.

Two tables of cells enter, a permutation of columns leaves, or None. This is what both `unordered` and `spider` rest on.

Trying all permutations is out of the question (12 columns have 479 million), so columns and rows are coloured: a
column's colour is the bag of (row colour, cell) in it, a row's colour is the bag of (column colour, cell) in it, and
both are refined in turn until nothing changes (colour refinement, as used for graph isomorphism). Two columns can only
correspond when their colours agree. Columns that are still alike then are tried one against the other, each choice
refined again. Of 364 searches on 3,102 real predictions for Spider none had to choose at all. Tables built to defeat
refinement end with "no" when the budget is spent; every "yes" has been checked cell by cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence

# Rows of cell numbers. A negative number stands for several values that are close but not equal (`tolerance.py`).
Table = Sequence[Sequence[int]]
Permutation = tuple[int, ...]

# Cells looked at in one comparison, or this many times both tables for large ones; less than a second either way.
# Those 364 searches looked at their tables twice at most.
BUDGET_CELLS = 4_000_000
BUDGET_LOOKS = 8


class Budget:
    """How many cells one comparison may still look at, in the search for columns and in the pairing of rows together.

    Counted, not timed, so that a verdict is the same on every machine.
    """

    def __init__(self, cells: int) -> None:
        self.cells = cells

    @classmethod
    def for_tables(cls, rows: int, columns: int) -> Budget:
        """The budget to compare two tables of this size."""
        return cls(max(BUDGET_CELLS, BUDGET_LOOKS * 2 * rows * columns))

    def take(self, cells: int) -> bool:
        """Take so many cells, or nothing when fewer are left; whether it took them."""
        if cells > self.cells:
            return False
        self.cells -= cells
        return True


def number_cells(
    first: Sequence[Sequence[Hashable]], second: Sequence[Sequence[Hashable]]
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Replace cells by small integers, equal where Python finds the cells equal (so 1 is 1.0, and '1' is not)."""
    numbers: dict[Hashable, int] = {}

    def numbered(rows: Sequence[Sequence[Hashable]]) -> list[tuple[int, ...]]:
        return [tuple([numbers.setdefault(cell, len(numbers)) for cell in row]) for row in rows]

    return numbered(first), numbered(second)


def permuted(rows: Table, permutation: Permutation) -> list[tuple[int, ...]]:
    """The rows with their columns in the order of the permutation."""
    return [tuple([row[column] for column in permutation]) for row in rows]


def find_permutation(
    first: Table, second: Table, *, budget: Budget, accept: Callable[[Permutation], bool] = lambda permutation: True
) -> Permutation | None:
    """Find an order of the second table's columns in which both tables hold the same bag of rows.

    Args:
        first: rows of cell numbers (`number_cells`); one at least.
        second: as many rows, of the same width.
        budget: what the search may cost; `accept` may draw on it too.
        accept: a further condition on a permutation under which the bags agree.

    Returns:
        `permutation[i]` is the column of `second` that corresponds to column i of `first`; None when there is none,
        or none was found within the budget.
    """
    width = len(first[0])
    bag = Counter(map(tuple, first))

    def works(permutation: Permutation) -> bool:
        return bag == Counter(permuted(second, permutation)) and accept(permutation)

    identity = tuple(range(width))
    if works(identity):
        return identity
    # Identical columns are interchangeable (merely close ones are not): keep one of each, coloured by their number.
    kinds_first, kinds_second = _kinds_of_columns(first), _kinds_of_columns(second)
    if Counter(map(len, kinds_first)) != Counter(map(len, kinds_second)):
        return None

    def expanded(permutation: Permutation) -> Permutation:
        order = [0] * width
        for kind, partner in enumerate(permutation):
            for column, target in zip(kinds_first[kind], kinds_second[partner], strict=True):
                order[column] = target
        return tuple(order)

    search = _Search(
        permuted(first, tuple(kind[0] for kind in kinds_first)),
        permuted(second, tuple(kind[0] for kind in kinds_second)),
        lambda permutation: works(expanded(permutation)),
        budget,
    )
    found = search.search([len(kind) for kind in kinds_first], [len(kind) for kind in kinds_second])
    return None if found is None else expanded(found)


def _kinds_of_columns(table: Table) -> list[list[int]]:
    """The columns grouped by equality, in the order of their first one; columns with close values stay alone."""
    kinds: dict[Hashable, list[int]] = {}
    for column, cells in enumerate(zip(*table, strict=True)):
        kinds.setdefault((cells, column if min(cells) < 0 else -1), []).append(column)
    return list(kinds.values())


class _Search:
    """Refinement with backtracking over the columns that refinement leaves alike."""

    def __init__(self, first: Table, second: Table, works: Callable[[Permutation], bool], budget: Budget) -> None:
        self.first, self.second, self.works, self.budget = first, second, works, budget
        self.cells = max(1_000, 2 * len(first) * len(first[0]))  # a look at small tables costs no less than this

    def search(self, colours_first: list[int], colours_second: list[int]) -> Permutation | None:
        """Extend a colouring of columns to a permutation that works, depth first; None also when the budget is spent.

        The way back is a list, since a table may have more columns than Python allows nested calls.
        """
        ways = [iter([(colours_first, colours_second)])]
        while ways:
            colours = next(ways[-1], None)
            if colours is None:
                ways.pop()
                continue
            if self.budget.cells < self.cells:
                return None
            refined = self._refine(*colours)
            if refined is None:
                continue
            alike = _smallest_shared_colour(refined[0])
            if alike is not None:
                ways.append(_choices(*refined, alike))
                continue
            place = {colour: column for column, colour in enumerate(refined[1])}
            permutation = tuple(place[colour] for colour in refined[0])
            if self.works(permutation):
                return permutation
        return None

    def _refine(self, colours_first: list[int], colours_second: list[int]) -> tuple[list[int], list[int]] | None:
        """Refine colours of columns until stable; None when the tables are seen to differ or the budget is spent."""
        while self.budget.take(self.cells):
            names: dict[Hashable, int] = {}
            rows_first = _colour_rows(self.first, colours_first, names)
            rows_second = _colour_rows(self.second, colours_second, names)
            if Counter(rows_first) != Counter(rows_second):
                return None
            names = {}
            next_first = _colour_columns(self.first, rows_first, colours_first, names)
            next_second = _colour_columns(self.second, rows_second, colours_second, names)
            if Counter(next_first) != Counter(next_second):
                return None
            if len(set(next_first)) == len(set(colours_first)):
                return next_first, next_second
            colours_first, colours_second = next_first, next_second
        return None


def _choices(colours_first: list[int], colours_second: list[int], alike: int) -> Iterator[tuple[list[int], list[int]]]:
    """Colourings in which the first column of a shared colour corresponds to one of those of the other table."""
    new, chosen = max(colours_first) + 1, colours_first.index(alike)
    for column, colour in enumerate(colours_second):
        if colour == alike:
            yield _with(colours_first, chosen, new), _with(colours_second, column, new)


def _with(colours: list[int], column: int, colour: int) -> list[int]:
    return [*colours[:column], colour, *colours[column + 1 :]]


def _smallest_shared_colour(colours: list[int]) -> int | None:
    """The colour that the fewest columns, but more than one, share; None when all columns differ."""
    shared = [(count, colour) for colour, count in Counter(colours).items() if count > 1]
    return min(shared)[1] if shared else None


def _colour_rows(table: Table, colours: list[int], names: dict[Hashable, int]) -> list[int]:
    """Colour each row by the bag of (column colour, cell) in it; equal bags share a name."""
    return [names.setdefault(tuple(sorted(zip(colours, row, strict=True))), len(names)) for row in table]


def _colour_columns(table: Table, row_colours: list[int], colours: list[int], names: dict[Hashable, int]) -> list[int]:
    """Colour each column by its old colour and the bag of (row colour, cell) in it."""
    return [
        names.setdefault((colours[column], tuple(sorted(zip(row_colours, cells, strict=True)))), len(names))
        for column, cells in enumerate(zip(*table, strict=True))
    ]
