"""Find out which table's column every name in a query means.

A parsed statement enters; it leaves with aliases, positions and `*` replaced, and with each column of a table marked
by `column.meta["base"]`, e.g. `singer.age`. Needed by `clauses.py` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlglot import exp

# Columns of each table, all in lower case.
Tables = Mapping[str, Sequence[str]]
# A part of a parsed query. The names of sqlglot's own types changed between the versions we allow.
Node = Any
# What a name in FROM stands for: a table of the database, or a query.
Source = str | Node

# An expression of a nested query is put in the place of its name up to this size, and `*` is written out up to so many
# columns (SQLite's own limit): copies of copies would double with every level otherwise.
_LARGEST_COPY = 24
_MOST_COLUMNS = 2_000


def name_columns(tree: Node, tables: Tables) -> None:
    """Resolve all names of a statement, in place; what cannot be resolved stays as it is."""
    namer = _Namer(tree, tables)
    for select in reversed(namer.selects):
        namer.name(select)
    for operation in tree.find_all(exp.SetOperation):
        projections = output_of(operation).expressions
        order = operation.args.get("order")
        for column in list(order.find_all(exp.Column)) if order else ():
            _put_projection(column, projections)
        _fill_positions(operation, projections)


def sources(select: Node) -> dict[str, Source]:
    """What the FROM clause of a query reads, by the name it has there."""
    start = select.args.get("from_") or select.args.get("from")
    stack = [join.this for join in reversed(select.args.get("joins") or ())] + ([start.this] if start else [])
    found: dict[str, Source] = {}
    while stack:
        node = stack.pop()
        stack += [join.this for join in reversed(node.args.get("joins") or ())]
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            stack.append(node.this)
        elif isinstance(node, exp.Table):
            found[node.alias_or_name.lower()] = defined_query(node) or node.name.lower()
        else:
            found[node.alias.lower() or f"({len(found)})"] = node.this if isinstance(node, exp.Subquery) else node
    return found


def output_of(query: Node) -> Node:
    """The SELECT that names the columns of a query: the first branch of a UNION, the inside of parentheses."""
    while isinstance(query, exp.SetOperation | exp.Subquery | exp.Paren):
        query = query.this
    return query


def outputs_of(query: Node) -> list[Node]:
    """What a query selects, without aliases."""
    return [projection.unalias() for projection in output_of(query).expressions]


def defined_query(table: Node) -> Node | None:
    """The query of the CTE that a table's name stands for, if it does."""
    scope = table.parent
    while scope is not None:
        with_clause = scope.args.get("with_") or scope.args.get("with")
        for definition in with_clause.expressions if with_clause else ():
            if definition.alias.lower() == table.name.lower():
                return definition.this
        scope = scope.parent
    return None


class _Namer:
    """Names the queries of one statement, each after the queries it reads from."""

    def __init__(self, tree: Node, tables: Tables) -> None:
        self._tables = tables
        self._begun: set[int] = set()
        self._columns: dict[int, list[Node]] = {}
        self.selects: list[Node] = []
        for node in list(tree.walk()):  # walking is what costs time here: once, not once per query
            if isinstance(node, exp.Select):
                self.selects.append(node)
            elif isinstance(node, exp.Column) and not node.is_star:
                self._columns.setdefault(id(node.parent_select), []).append(node)

    def name(self, select: Node) -> None:
        """Resolve the names in one query, unless that is done or under way (a recursive CTE)."""
        if id(select) in self._begun or not isinstance(select, exp.Select):
            return
        self._begun.add(id(select))
        select.set("expressions", list(self._projections(select)))
        for column in self._columns.get(id(select), ()):
            self._resolve(column, select)
        _fill_positions(select, select.expressions)

    def _outputs(self, source: Source) -> list[Node]:
        """The projections of a query that is read from, named first; no query, none."""
        if isinstance(source, str):
            return []
        output = output_of(source)
        self.name(output)
        return list(output.expressions)

    def _projections(self, select: Node) -> Iterator[Node]:
        """The columns of a query's result: `*` written out, and each name kept as an alias, to outlive its meaning."""
        for projection in select.expressions:
            if projection.is_star:
                wanted = projection.table.lower() if isinstance(projection, exp.Column) else ""
                read = [source for name, source in sources(select).items() if wanted in ("", name)]
                columns = list(islice((column for source in read for column in self._starred(source)), _MOST_COLUMNS))
                yield from columns if 0 < len(columns) < _MOST_COLUMNS else (projection,)
            elif isinstance(projection, exp.Column):
                yield exp.alias_(projection, projection.name, quoted=True, copy=False)
            else:
                yield projection

    def _starred(self, source: Source) -> Iterator[Node]:
        """The columns that `*` means for one source."""
        yield from (projection.copy() for projection in self._outputs(source))
        for name in self._tables.get(source, ()) if isinstance(source, str) else ():
            column = exp.column(name)
            column.meta["base"] = f"{source}.{name}"
            yield column

    def _resolve(self, column: Node, select: Node) -> None:
        """Find one name: in the FROM clause, among the names the query itself gives, in the queries around it."""
        aliases = [] if column.table else [each for each in select.expressions if isinstance(each, exp.Alias)]
        if column.find_ancestor(exp.Order, exp.Select) is not select and _put_projection(column, aliases):
            return  # ORDER BY looks among the query's own names first, the other clauses last
        scope: Node = select
        while scope is not None:
            for name, source in sources(scope).items():
                if column.table.lower() in ("", name) and self._put_source(column, source):
                    return
            clause = column.find_ancestor(exp.Group, exp.Having, exp.Where) if scope is select else None
            if clause is not None and _put_projection(column, aliases):
                return
            scope = scope.find_ancestor(exp.Select)
        if column.this.args.get("quoted") and not column.table:
            column.replace(exp.Literal.string(column.name))  # SQLite reads "France" as text where no column is so named

    def _put_source(self, column: Node, source: Source) -> bool:
        """Mark the column, or put what it stands for in its place, if the source has it."""
        name = column.name.lower()
        if isinstance(source, str) and name in self._tables.get(source, ()):
            column.meta["base"] = f"{source}.{name}"
            return True
        return _put_projection(column, self._outputs(source))


def _put_projection(column: Node, projections: Sequence[Node]) -> bool:
    """Put the projection of the column's name in its place."""
    for projection in projections:
        if projection.alias_or_name.lower() == column.name.lower():
            _put_copy(column, projection)
            return True
    return False


def _put_copy(node: Node, projection: Node) -> None:
    inner = projection.unalias()
    if sum(1 for _ in islice(inner.walk(), _LARGEST_COPY + 1)) <= _LARGEST_COPY and not inner.find(exp.Query):
        node.replace(inner.copy())


def _fill_positions(query: Node, projections: Sequence[Node]) -> None:
    """Replace `ORDER BY 2` and `GROUP BY 1` by what stands there."""
    for clause in ("order", "group"):
        holder = query.args.get(clause)
        for key in list(holder.expressions) if holder else ():
            literal = key.this if isinstance(key, exp.Ordered) else key
            if isinstance(literal, exp.Literal) and literal.this.isdecimal() and not literal.is_string:
                position = int(literal.this[:6]) - 1
                if 0 <= position < len(projections):
                    _put_copy(literal, projections[position])
