"""Take two queries apart into clauses that can be compared: tables, joins, columns, conditions, groups, limits.

Two SQL texts and a schema enter, two `Clauses` leave. What does not change the meaning is put away: aliases, case,
quoting and qualified names, `AS` and positions in ORDER BY and GROUP BY, `*`, which of two joined columns is named,
the order of joins and conditions, `IN (...)` against OR, BETWEEN against two comparisons, `3 < a` against `a > 3`, a
number against its text. Clauses of nested queries, CTEs and the branches of UNION count with those of the statement,
so a table read in a subquery is a table read. What is lost thereby (which branch holds a condition) is not needed to
say in a sentence how two queries differ. Nothing here decides a score.

This and `ties.py` import sqlglot, which takes 0.08 s: import them where they are needed, not at the top.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sqlglot import exp

from contrapeso.sql.conditions import (
    Condition,
    brief,
    conditions,
    equated,
    leaves,
    limit_of,
    member_pair,
    parse,
    text_of,
)
from contrapeso.sql.names import Node, Tables, defined_query, name_columns, output_of, outputs_of, sources
from contrapeso.sql.schema import Schema

_COUNTED_COLUMN = re.compile(r"COUNT\((?!DISTINCT )[^()]*\)")
Pair = frozenset[str]


@dataclass(frozen=True)
class Clauses:
    """The parts of one statement. Texts name columns so that equal text means equal columns in both queries.

    Attributes:
        tables: every table read, anywhere in the statement.
        main_tables: the tables in the FROM of the query whose columns are the result.
        idle_tables: tables of which nothing is used but columns that equal a column of a table both queries read.
        outer_joins: `LEFT JOIN concert` and the like.
        joined: pairs of columns that a join or a condition sets equal.
        member_of: the pairs that `a IN (SELECT b ...)` and `... a INTERSECT ... b` set equal.
        selected: the columns of the result, in order.
        conditions: of WHERE, HAVING and ON, nested ones too; EXCEPT counts as NOT IN.
        alternatives: how many OR and UNION there are.
        intersections: how many INTERSECT there are.
        groups: the keys of GROUP BY where anything is aggregated.
        distinct: whether repeated rows of the result are dropped.
        limits: the ORDER BY and LIMIT of queries that have a LIMIT, outside conditions.
    """

    tables: frozenset[str]
    main_tables: frozenset[str]
    idle_tables: frozenset[str]
    outer_joins: frozenset[str]
    joined: frozenset[Pair]
    member_of: frozenset[Pair]
    selected: tuple[str, ...]
    conditions: frozenset[Condition]
    alternatives: int
    intersections: int
    groups: frozenset[str]
    distinct: bool
    limits: tuple[tuple[tuple[str, ...], str], ...]


def equal_columns(pairs: Iterable[Pair]) -> dict[str, str]:
    """A representative for each column named in the pairs, the same one for all that are equal."""
    classes: dict[str, str] = {}
    for pair in sorted(map(sorted, pairs)):
        first, second = (classes.setdefault(column, column) for column in pair)
        classes.update({column: first for column, name in classes.items() if name == second})
    return classes


def loosely(text: str) -> str:
    """The text with `COUNT(column)` written `COUNT(*)`, which is the same unless the column holds NULLs."""
    return _COUNTED_COLUMN.sub("COUNT(*)", text)


def read_clauses(gold_sql: str, predicted_sql: str, schema: Schema) -> tuple[Clauses, Clauses] | None:
    """Take a gold query and a prediction apart, in each other's light.

    Args:
        gold_sql: a query that SQLite runs.
        predicted_sql: another on the same database.
        schema: the database's tables.

    Returns:
        The clauses of both; None when one of them is longer than `conditions.LONGEST_SQL`, nested too deeply, or of a
        form that sqlglot does not parse (none of 3,006 real predictions that run).
    """
    tables: Tables = {table.name.lower(): [column.name.lower() for column in table.columns] for table in schema.tables}
    try:
        trees = [tree for sql in (gold_sql, predicted_sql) if (tree := parse(sql)) is not None]
        if len(trees) < 2:
            return None
        readers = [_Reader(tree, tables) for tree in trees]
        labels = _labels(readers, tables)
        common = readers[0].tables & readers[1].tables
        gold, predicted = (reader.clauses(labels, common) for reader in readers)
    except RecursionError:
        return None
    return gold, predicted


class _Reader:
    """One parsed statement on its way to `Clauses`: named first, written out once the other one is named too."""

    def __init__(self, tree: Node, tables: Tables) -> None:
        self.tree = tree
        name_columns(self.tree, tables)
        self.nodes = list(self.tree.walk())
        for literal in self._all(exp.Literal):
            if literal.is_string and _is_number(literal.this):
                literal.set("is_string", False)
        read = (table for table in self._all(exp.Table) if defined_query(table) is None)
        self.tables = frozenset(table.name.lower() for table in read)
        self.selects = self._all(exp.Select)
        self.leaves = [leaf for select in self.selects for leaf in leaves(select)]
        self.joined, self.member_of = frozenset(self._joined(tables)), frozenset(self._member_of())
        joins = {id(leaf) for leaf, negated in self.leaves if isinstance(leaf, exp.EQ) and any(equated(leaf))}
        self.columns = [column for column in self._all(exp.Column) if "base" in column.meta]
        self.used = [column.meta["base"] for column in self.columns if id(column.parent) not in joins]

    def _all(self, *kinds: type) -> list[Node]:
        return [node for node in self.nodes if isinstance(node, kinds)]

    def _joined(self, tables: Tables) -> Iterator[frozenset[str]]:
        for leaf, negated in self.leaves:
            if isinstance(leaf, exp.EQ) and not negated:
                yield from equated(leaf)
        for select in self.selects:
            read = [name for name in sources(select).values() if isinstance(name, str)]
            for join in select.args.get("joins") or ():
                shared: Sequence[str] = [identifier.name.lower() for identifier in join.args.get("using") or ()]
                if join.method == "NATURAL" and isinstance(join.this, exp.Table):
                    shared = tables.get(join.this.name.lower(), [])
                for column in shared:
                    holders = [f"{name}.{column}" for name in read if column in tables.get(name, ())]
                    yield from (frozenset((holders[0], other)) for other in holders[1:] if other != holders[0])

    def _member_of(self) -> Iterator[frozenset[str]]:
        for leaf, negated in self.leaves:
            query = leaf.args.get("query") if isinstance(leaf, exp.In) else None
            if query is not None and not negated:
                yield from member_pair(leaf.this, query)
        for operation in self._all(exp.Intersect):
            outputs = outputs_of(operation.left)
            if len(outputs) == 1:
                yield from member_pair(outputs[0], operation.right)

    def clauses(self, labels: Mapping[str, str], common: frozenset[str]) -> Clauses:
        """Write the parts out, with every column under its label; `common` are the tables both queries read."""
        named = {column.meta["base"] for column in self.columns}.union(*self.joined, *self.member_of)
        shared = {label for base, label in labels.items() if base.rpartition(".")[0] in common}
        busy = {base.rpartition(".")[0] for base in named if labels[base] not in shared}
        for column in self.columns:
            column.set("db", None)
            column.set("table", None)
            column.set("this", exp.to_identifier(labels[column.meta["base"]], quoted=False))
        output = output_of(self.tree)
        counting = {id(function.parent_select) for function in self._all(exp.AggFunc)}
        groups = [select.args.get("group") for select in self.selects if id(select) in counting]
        listed = (_listed(leaf) for leaf, negated in self.leaves if not negated)
        return Clauses(
            tables=self.tables,
            main_tables=frozenset(_tables_behind(output)),
            idle_tables=self.tables - common - busy,
            outer_joins=frozenset(
                f"{join.side} JOIN {join.this.name.lower()}" for join in self._all(exp.Join) if join.side
            ),
            joined=self.joined,
            member_of=self.member_of,
            selected=tuple(map(text_of, outputs_of(output))),
            conditions=frozenset(self._conditions()),
            alternatives=len(self._all(exp.Or, exp.Union)) + sum(listed),
            intersections=len(self._all(exp.Intersect)),
            groups=frozenset(text_of(key) for group in groups if group for key in group.expressions),
            distinct=bool(output.args.get("distinct") or (output.args.get("group") and id(output) not in counting)),
            limits=tuple(_limits(self._all(exp.Query))),
        )

    def _conditions(self) -> Iterator[Condition]:
        for leaf, negated in self.leaves:
            yield from conditions(leaf, negated)
        for operation in self._all(exp.Except):
            left, right = (brief(side) for side in (operation.left, operation.right))
            yield Condition(left, f"NOT IN ({right})")


def _labels(readers: Iterable[_Reader], tables: Tables) -> dict[str, str]:
    """A name for each column `table.column`: one for all that the queries set equal, short where that is clear."""
    readers = list(readers)
    equal = equal_columns(chain.from_iterable(reader.joined for reader in readers))
    spoken: dict[str, str] = {}  # of equal columns, the one that the gold, then the prediction uses beside its joins
    for column in chain.from_iterable(reader.used for reader in readers):
        spoken.setdefault(equal.get(column, column), column)
    read = sorted(frozenset().union(*(reader.tables for reader in readers)))
    columns = [f"{table}.{column}" for table in read for column in tables.get(table, ())]
    roots = {column: equal.get(column, column) for column in columns}
    chosen = {column: spoken.get(root, root) for column, root in roots.items()}
    holders: dict[str, set[str]] = {}
    for label in chosen.values():
        holders.setdefault(label.rpartition(".")[2], set()).add(label)
    return {
        column: label if len(holders[label.rpartition(".")[2]]) > 1 else label.rpartition(".")[2]
        for column, label in chosen.items()
    }


def _limits(queries: Iterable[Node]) -> Iterator[tuple[tuple[str, ...], str]]:
    for query in queries:
        limit = query.args.get("limit")
        if limit is not None and not query.find_ancestor(exp.Where, exp.Having, exp.Predicate):
            yield limit_of(query, limit)


def _listed(leaf: Node) -> int:
    """How many OR an `IN (...)` of values stands for."""
    return max(0, len(leaf.expressions) - 1) if isinstance(leaf, exp.In) else 0


def _tables_behind(select: Node) -> set[str]:
    """The tables in FROM, those of nested queries and CTEs there included."""
    found: set[str] = set()
    seen: set[int] = set()
    stack = [select]
    while stack:
        query = stack.pop()
        if id(query) not in seen:
            seen.add(id(query))
            read = sources(query).values()
            found.update(source for source in read if isinstance(source, str))
            stack += [output_of(source) for source in read if not isinstance(source, str)]
    return found


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
