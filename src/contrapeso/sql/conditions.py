"""Read the conditions of a query one by one, in one form each.

A parsed query whose columns are named (`names.py`) enters; `Condition`s and pairs of equal columns leave. Needed by
`clauses.py`, which tells what is put away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from contrapeso.sql.names import Node, output_of, outputs_of
from contrapeso.sql.tokens import tokenize

# Six times the longest of 3,102 predictions for Spider. A text of this length takes 0.1 s at worst.
LONGEST_SQL = 6_000
_OPERATORS = {exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_MIRRORED = {"=": "=", "!=": "!=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
_NEGATED = {"=": "!=", "!=": "=", ">": "<=", ">=": "<", "<": ">=", "<=": ">"}


@dataclass(frozen=True)
class Condition:
    """What a condition asks of something: subject `singer.age`, predicate `> 20`; `grouped` when of an aggregate."""

    subject: str
    predicate: str
    grouped: bool = False

    def __str__(self) -> str:
        return f"{self.subject} {self.predicate}".strip()


def parse(sql: str) -> Node | None:
    """The tree of a query, lone semicolons left out as the sandbox does; None when too long or not a query to sqlglot.

    Raises:
        RecursionError: it is nested too deeply; so may whatever works on a tree.
    """
    if len(sql) > LONGEST_SQL:
        return None
    try:
        tree = sqlglot.parse_one("".join(token.text for token in tokenize(sql) if token.text != ";"), read="sqlite")
    except sqlglot.errors.SqlglotError:
        return None
    return tree if isinstance(tree, exp.Query | exp.Values) else None


def leaves(select: Node) -> Iterator[tuple[Node, bool]]:
    """The single conditions of one query's WHERE, HAVING and ON, and whether each is negated."""
    holders = [select.args.get("where"), select.args.get("having")]
    starts = [holder.this for holder in holders if holder] + [
        join.args["on"] for join in select.args.get("joins") or () if join.args.get("on")
    ]
    stack: list[tuple[Node, bool]] = [(start, False) for start in starts]
    while stack:
        node, negated = stack.pop()
        if isinstance(node, exp.And | exp.Or):
            stack += [(node.left, negated), (node.right, negated)]
        elif isinstance(node, exp.Paren | exp.Not):
            stack.append((node.this, negated ^ isinstance(node, exp.Not)))
        else:
            yield node, negated ^ bool(node.args.get("negate"))


def conditions(leaf: Node, negated: bool) -> Iterator[Condition]:
    """What one single condition asks; nothing where it is a join."""
    word = "NOT " if negated else ""
    subject = "" if isinstance(leaf.this, str | bool | None) else brief(leaf.this)
    grouped = leaf.find(exp.AggFunc) is not None
    if type(leaf) in _OPERATORS:
        if not negated and isinstance(leaf, exp.EQ) and any(equated(leaf)):
            return
        operator, left, right = _OPERATORS[type(leaf)], leaf.left, leaf.right
        if isinstance(left, exp.Literal | exp.Subquery) and not isinstance(right, exp.Literal | exp.Subquery):
            operator, left, right = _MIRRORED[operator], right, left
        operator = _NEGATED[operator] if negated else operator
        yield Condition(brief(left), f"{operator} {brief(right)}", left.find(exp.AggFunc) is not None)
    elif isinstance(leaf, exp.In) and leaf.expressions:
        for value in leaf.expressions:
            yield Condition(subject, f"{'!=' if negated else '='} {brief(value)}", grouped)
    elif isinstance(leaf, exp.In) and (query := leaf.args.get("query")) is not None:
        if negated or not any(member_pair(leaf.this, query)):
            yield Condition(subject, f"{word}IN {brief(query)}", grouped)
    elif isinstance(leaf, exp.Between) and not negated:
        yield Condition(subject, f">= {brief(leaf.args['low'])}", grouped)
        yield Condition(subject, f"<= {brief(leaf.args['high'])}", grouped)
    elif isinstance(leaf, exp.Is):
        yield Condition(subject, f"IS {word}{text_of(leaf.expression)}", grouped)
    elif isinstance(leaf, exp.Like | exp.Glob):
        yield Condition(subject, f"{word}{leaf.key.upper()} {brief(leaf.expression)}", grouped)
    elif isinstance(leaf, exp.Exists):
        if negated:
            yield Condition("", "NOT EXISTS")
    elif not isinstance(leaf, exp.Boolean):  # sqlglot writes ON TRUE where there is no ON
        yield Condition("", word + text_of(leaf), grouped)


def equated(equality: Node) -> Iterator[frozenset[str]]:
    """The pair of columns that an equality joins, if it does."""
    return pair_of(equality.left, equality.right)


def pair_of(left: Node, right: Node) -> Iterator[frozenset[str]]:
    """The pair of two different columns of tables, if that is what they are."""
    bases = frozenset(side.meta.get("base", "") for side in (left, right) if isinstance(side, exp.Column))
    if len(bases) == 2 and all(bases):
        yield bases


def member_pair(member: Node, query: Node) -> Iterator[frozenset[str]]:
    """The pair of columns that `member IN (query)` sets equal, if it does."""
    outputs = outputs_of(query)
    if len(outputs) == 1:
        yield from pair_of(member, outputs[0])


def limit_of(query: Node, limit: Node) -> tuple[tuple[str, ...], str]:
    """The keys of ORDER BY and the text of LIMIT and OFFSET."""
    offset, order = query.args.get("offset"), query.args.get("order")
    keys = [text_of(key.this) + (" DESC" if key.args.get("desc") else "") for key in order.expressions] if order else []
    return tuple(keys), text_of(limit.expression) + (f" OFFSET {text_of(offset.expression)}" if offset else "")


def brief(node: Node) -> str:
    """The text of a value; of a query only what it selects and how it picks rows, as its conditions are told apart."""
    if not isinstance(node, exp.Query):
        return text_of(node)
    output = output_of(node)
    text = ", ".join(map(text_of, outputs_of(node)))
    if (limit := output.args.get("limit")) is not None:
        keys, count = limit_of(output, limit)
        text += f" ORDER BY {', '.join(keys)} LIMIT {count}" if keys else f" LIMIT {count}"
    return f"({text})" if isinstance(node, exp.Subquery) else text


def text_of(node: Node) -> str:
    """The SQL of a part of a query, in one spelling."""
    return str(node.sql(dialect="sqlite", comments=False, unsupported_level=sqlglot.ErrorLevel.IGNORE))
