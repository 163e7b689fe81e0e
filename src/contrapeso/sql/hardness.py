"""Say how hard a query is, in Spider's four levels, from its text alone.

SQL text enters, one of `LEVELS` leaves. Equal to `eval_hardness` of the official `evaluation.py` (Yu et al. 2018,
github.com/taoyds/spider) wherever its parser reads a query of SQLite: on all 1,034 gold queries of dev and on the 6,999
of 7,000 of train that it reads.

Three things are counted, in the outermost SELECT (of a compound: the first):

* parts: WHERE, GROUP BY, ORDER BY, LIMIT, each join, each OR and each LIKE in a condition;
* nested queries: in conditions, and a UNION, INTERSECT or EXCEPT with all that follows it, as one;
* extras: more than one aggregate, selected column, WHERE condition or GROUP BY column, one point for each.

Oddities of the official count are kept: a selected expression that begins with a parenthesis hides its aggregates; a
NOT in WHERE or HAVING and every AND or OR in HAVING count as aggregates; behind a comparison with a column, all up to
the next AND is read over, an OR too; a query in FROM is one more table, not a nested query.

The official parser fails on much of SQL: aliases of columns, commas in FROM, LEFT JOIN, IS NULL, EXISTS, CASE,
functions, arithmetic between aggregates, parentheses in conditions, WITH. There the same three things are counted, with
parentheses looked into: a comma in FROM is a join; each query of a WITH, of a SELECT list, GROUP BY, ORDER BY or LIMIT
is a nested query; functions, CASE and windows count nothing by themselves. Text without SELECT is "extra": nothing says
that it is easier. It also skips some text that it does not understand instead of failing (`SELECT name age` is two
columns to it when both exist); that is not copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import TypeAlias

from contrapeso.sql.tokens import tokenize

LEVELS = ("easy", "medium", "hard", "extra")

# A statement with its parentheses as lists: words in lower case, "" for anything quoted.
Item: TypeAlias = "str | list[Item]"

_CLAUSES = frozenset(("from", "where", "group", "having", "order", "limit", "window"))
_COMPOUNDS = frozenset(("union", "intersect", "except"))
_AGGREGATES = frozenset(("count", "sum", "avg", "min", "max", "total", "group_concat"))
_BEFORE_A_VALUE = ("=", "<", ">", "like", "in", "between")


@dataclass(frozen=True)
class _Conditions:
    """What the count asks of a condition: its connecting ANDs and ORs, its ORs, LIKEs, NOTs and nested queries."""

    connectors: int = 0
    ors: int = 0
    likes: int = 0
    negations: int = 0
    queries: int = 0


@lru_cache(4096)
def hardness(sql: str) -> str:
    """The level of a query.

    Args:
        sql: any text.

    Returns:
        One of `LEVELS`.
    """
    tree = _tree(sql)
    if "select" not in tree:
        return "extra"
    start = tree.index("select")
    clauses, compound = _split_clauses(tree[start + 1 :])
    tables, joined = _read_from(clauses.get("from", []))
    where, having = _read_condition(clauses.get("where", [])), _read_condition(clauses.get("having", []))
    conditions = (*joined, where, having)
    elsewhere = [clauses.get(name, []) for name in ("select", "group", "order", "limit")]

    parts = sum(name in clauses for name in ("where", "group", "order", "limit"))
    parts += max(tables - 1, 0) + sum(condition.ors + condition.likes for condition in conditions)
    nested = compound + sum(condition.queries for condition in conditions)
    nested += sum(_count_queries(items) for items in (tree[:start], *elsewhere))
    columns, groups = _split_commas(clauses["select"]), _split_commas(clauses.get("group", []))
    aggregates = sum(_count_aggregates(column) > 0 for column in columns if not isinstance(column[0], list))
    aggregates += _count_aggregates(clauses.get("group", [])) + _count_aggregates(clauses.get("order", []))
    aggregates += where.negations + having.negations + having.connectors
    extras = (aggregates > 1) + (len(columns) > 1) + (where.connectors > 0) + (len(groups) > 1)
    return _level(parts, nested, extras)


def _level(parts: int, nested: int, extras: int) -> str:
    """The official table. Its gaps are as published: two parts with two extras are "extra"."""
    if nested == 0:
        if parts <= 1 and extras == 0:
            return "easy"
        if (parts <= 1 and extras <= 2) or (parts <= 2 and extras <= 1):
            return "medium"
        if (parts <= 2 and extras > 2) or (parts == 3 and extras <= 2):
            return "hard"
    elif nested == 1 and parts <= 1 and extras == 0:
        return "hard"
    return "extra"


def _tree(sql: str) -> list[Item]:
    """The statement with its parentheses as lists, those at its head opened.

    A lone ")" is passed over, a "(" never closed reaches to the end.
    """
    root: list[Item] = []
    open_lists = [root]
    for kind, text in tokenize(sql):
        if text == "(":
            inner: list[Item] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif text == ")":
            del open_lists[max(1, len(open_lists) - 1) :]
        elif kind != "space":
            open_lists[-1].append("" if kind == "quoted" else text.lower())
    tails: list[list[Item]] = []
    while root and isinstance(root[0], list):  # (SELECT ...) UNION (SELECT ...)
        tails.append(root[1:])
        root = root[0]
    return [*root, *chain.from_iterable(reversed(tails))]


def _split_clauses(items: Sequence[Item]) -> tuple[dict[str, list[Item]], bool]:
    """What stands behind each keyword of the first SELECT, and whether a UNION, INTERSECT or EXCEPT follows it."""
    clauses: dict[str, list[Item]] = {"select": []}
    current = "select"
    for item in items:
        if isinstance(item, str) and item in _COMPOUNDS:
            return clauses, True
        if item == ";":
            break
        # FROM begins a clause only behind the SELECT list: `a IS DISTINCT FROM b` is a condition.
        if isinstance(item, str) and item in _CLAUSES and (item != "from" or current == "select"):
            current = item
            clauses[current] = []
        elif item not in ("by", "distinct"):
            clauses[current].append(item)
    return clauses, False


def _read_from(items: Sequence[Item]) -> tuple[int, list[_Conditions]]:
    """The number of tables joined, and what stands behind each ON."""
    tables = 1 if items else 0
    conditions: list[list[Item]] = []
    in_condition = False
    for item in items:
        if item in ("join", ","):
            tables += 1
            in_condition = False
        elif item in ("on", "using"):
            conditions.append([])
            in_condition = True
        elif in_condition:
            conditions[-1].append(item)
        elif isinstance(item, list) and not _is_query(item):  # FROM (a JOIN b)
            tables += sum(word in ("join", ",") for word in _words(item))
    return tables, [_read_condition(condition) for condition in conditions]


def _read_condition(items: Sequence[Item]) -> _Conditions:
    """Count what a condition holds, reading over what the official parser reads over."""
    connectors = ors = likes = negations = queries = 0
    between = read_over = False
    for previous, item in pairwise(("", *_words(items))):
        if item == "and":
            connectors += not between
            between = read_over = False
        elif read_over:  # `a = b OR c = 1`; but not behind a function, where the official parser fails
            read_over = item != "("
        elif isinstance(item, list):
            queries += 1
        elif item == "or":
            connectors, ors = connectors + 1, ors + 1
        elif item == "like":
            likes += 1
        elif item == "not":
            negations += previous != "is"
        elif item == "between":
            between = True
        elif previous in _BEFORE_A_VALUE:
            read_over = item[:1].isalpha() or item[:1] == "_"
    return _Conditions(connectors, ors, likes, negations, queries)


def _words(items: Sequence[Item]) -> Iterator[Item]:
    """The items with parentheses opened, "(" before what was inside; a nested query stays one item."""
    waiting = [iter(items)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, list) and not _is_query(item):
                yield "("
                waiting.append(iter(item))
                break
            yield item
        else:
            waiting.pop()


def _is_query(items: Sequence[Item]) -> bool:
    return bool(items) and items[0] in ("select", "with")


def _count_queries(items: Sequence[Item]) -> int:
    return sum(isinstance(item, list) for item in _words(items))


def _count_aggregates(items: Sequence[Item]) -> int:
    """Calls of aggregate functions outside nested queries."""
    return sum(after == "(" and word in _AGGREGATES for word, after in pairwise(_words(items)) if isinstance(word, str))


def _split_commas(items: Sequence[Item]) -> list[list[Item]]:
    """The parts between commas; empty ones are left out."""
    parts: list[list[Item]] = [[]]
    for item in items:
        if item == ",":
            parts.append([])
        else:
            parts[-1].append(item)
    return [part for part in parts if part]
