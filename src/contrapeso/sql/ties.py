"""Find gold queries whose LIMIT cuts through rows that tie, so that another right query may return other rows.

A query with a LIMIT enters, a second query leaves that ranks the same rows by the same order and looks a little
further; its result then says whether rows on both sides of the cut have one rank and are not all the same. SQLite
ranks them itself (`RANK() OVER (ORDER BY ...)`), so collations, NULLs, DESC and expressions tie here exactly as they do
there. LIMIT without ORDER BY is a tie of all rows. Where that cannot be told, nothing is said: a LIMIT that is not a
number, an order by something that DISTINCT or UNION has dropped, a query too long or too deep, a rank that takes too
many steps, more than 200 equal rows at the cut, or a ranking that does not give back the gold's own rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from contrapeso.sql.conditions import parse
from contrapeso.sql.names import Node, output_of
from contrapeso.sql.sandbox import Result

_LOOK_FURTHER = 200


@dataclass(frozen=True)
class Ranking:
    """A query that gives the rows of another without its LIMIT, each followed by its rank, and where the LIMIT cut.

    Attributes:
        sql: the query; it stops `_LOOK_FURTHER` rows behind the cut.
        start: rows that OFFSET skips.
        stop: `start` plus the rows that LIMIT lets pass.
    """

    sql: str
    start: int
    stop: int


def ranking(gold: str, columns: int) -> Ranking | None:
    """The query that ranks the rows of a gold query.

    Args:
        gold: a query that runs.
        columns: how many columns it gives.

    Returns:
        None when the query has no LIMIT of its own, or when ties cannot be told.
    """
    try:
        tree = parse(gold)
        if tree is None or isinstance(tree, exp.Subquery | exp.Values) or (limit := _number(tree, "limit")) is None:
            return None
        start = _number(tree, "offset") or 0
        if (tree.args.get("offset") and _number(tree, "offset") is None) or limit == 0:
            return None
        order = tree.args.get("order")
        keys = list(order.expressions) if order else []
        whole = isinstance(tree, exp.Select) and not tree.args.get("distinct")
        ranked = _ranked(tree, keys) if whole else _ranked_around(tree, keys, columns)
        if ranked is None:
            return None
        ranked.set("limit", exp.Limit(expression=exp.Literal.number(start + limit + _LOOK_FURTHER)))
        ranked.set("offset", None)
        return Ranking(ranked.sql(dialect="sqlite", comments=False), start, start + limit)
    except RecursionError:
        return None


def cuts_ties(gold: Result, ranked: Result, *, found: Ranking) -> bool:
    """Whether the gold's LIMIT or OFFSET cuts through rows that tie and differ; False also where it cannot be told.

    Args:
        gold: what the gold query gave.
        ranked: what `found.sql` gave.
        found: the gold query's ranking.
    """
    if not (gold.ok and ranked.ok) or ranked.columns != gold.columns + 1:
        return False
    ranks = [row[-1] for row in ranked.rows]
    cut_ranks = {
        ranks[cut] for cut in (found.start, found.stop) if 0 < cut < len(ranks) and ranks[cut - 1] == ranks[cut]
    }
    groups = [{row[:-1] for row in ranked.rows if row[-1] == rank} for rank in cut_ranks]
    sure = Counter(row[:-1] for row in ranked.rows[found.start : found.stop] if row[-1] not in cut_ranks)
    return any(len(group) > 1 for group in groups) and not sure - Counter(gold.rows)


def _ranked(select: Node, keys: Sequence[Node]) -> Node | None:
    """The query itself with the rank of each row as one more column."""
    projections = select.expressions
    ordered = []
    for key in keys:
        position = _position(key.this, projections)
        if position is None and _names_an_alias(key.this, projections):
            return None
        copy = key.copy()
        if position is not None:
            copy.set("this", projections[position].unalias().copy())
        ordered.append(copy)
    select.append("expressions", _rank(ordered))
    return select


def _ranked_around(query: Node, keys: Sequence[Node], columns: int) -> Node | None:
    """A query around one with DISTINCT or UNION, whose order can only be told by its own columns."""
    output = output_of(query)
    if not isinstance(output, exp.Select) or any(projection.is_star for projection in output.expressions):
        return None
    positions = [_position(key.this, output.expressions) for key in keys]
    names = [f"c{number}" for number in range(columns)]
    ordered = []
    for key, position in zip(keys, positions, strict=True):
        if position is None or position >= columns:
            return None
        copy = key.copy()
        copy.set("this", exp.column(names[position]))
        ordered.append(copy)
    inner = query.copy()
    for clause in ("order", "limit", "offset"):
        inner.set(clause, None)
    outer = exp.select(*names, _rank(ordered)).from_("q")
    if ordered:
        outer.set("order", exp.Order(expressions=[key.copy() for key in ordered]))
    alias = exp.TableAlias(this=exp.to_identifier("q"), columns=[exp.to_identifier(name) for name in names])
    outer.set(
        "with_" if "with_" in exp.Select.arg_types else "with", exp.With(expressions=[exp.CTE(this=inner, alias=alias)])
    )
    return outer


def _rank(ordered: Sequence[Node]) -> Node:
    order = exp.Order(expressions=[key.copy() for key in ordered]) if ordered else None
    return exp.Window(this=exp.Anonymous(this="RANK"), order=order)


def _position(key: Node, projections: Sequence[Node]) -> int | None:
    """Which column of the result a key of ORDER BY is: by number, by name, or by the same expression."""
    if isinstance(key, exp.Literal) and not key.is_string and key.this.isdecimal():
        return int(key.this[:6]) - 1 if 0 < int(key.this[:6]) <= len(projections) else None
    for index, projection in enumerate(projections):
        named = isinstance(projection, exp.Alias) and isinstance(key, exp.Column) and not key.table
        if named and projection.alias.lower() == key.name.lower():
            return index
    for index, projection in enumerate(projections):
        if projection.unalias() == key:
            return index
    return None


def _names_an_alias(key: Node, projections: Sequence[Node]) -> bool:
    """Whether a key holds a name that the query gave to a column, which may then mean two things."""
    aliases = {projection.alias.lower() for projection in projections if isinstance(projection, exp.Alias)}
    return any(not column.table and column.name.lower() in aliases for column in key.find_all(exp.Column))


def _number(tree: Node, clause: str) -> int | None:
    """The plain number of LIMIT or OFFSET."""
    holder = tree.args.get(clause)
    value = holder.expression if holder else None
    if isinstance(value, exp.Literal) and not value.is_string and value.this.isdecimal() and len(value.this) < 10:
        return int(value.this)
    return None
