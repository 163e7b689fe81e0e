"""Say in sentences how two queries differ, clause by clause.

Two `Clauses` enter; sentences leave, by word (`wrong_tables`, `wrong_columns`, `wrong_condition`, `wrong_aggregation`,
`wrong_order`, `duplicates`). There are two drawers: differences that nearly always change the result, and differences
that often change nothing (`COUNT(name)` for `COUNT(*)`, one more key in GROUP BY, a table that is joined and not used).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from contrapeso.sql.clauses import Clauses, Pair, equal_columns, loosely
from contrapeso.sql.conditions import Condition

Differences = dict[str, str]
_AGGREGATES = ("COUNT(", "SUM(", "AVG(", "MIN(", "MAX(", "TOTAL(", "GROUP_CONCAT(")
_PICKS = ("(MAX(", "(MIN(", "LIMIT 1)")
_MOST_NAMED = 4


def large_differences(gold: Clauses, predicted: Clauses) -> Differences:
    """The differences that nearly always change a result; a word is missing when that clause agrees."""
    found = {
        "wrong_columns": _columns(gold, predicted),
        "wrong_aggregation": _aggregation(gold, predicted),
        "wrong_tables": _tables(gold, predicted),
        "wrong_condition": _conditions(gold, predicted),
        "wrong_order": _limits(gold, predicted),
    }
    return {word: sentence for word, sentence in found.items() if sentence}


def small_differences(gold: Clauses, predicted: Clauses) -> Differences:
    """The differences that often change nothing, the likelier ones first."""
    groups = _only_in(gold.groups, predicted.groups, "groups by {}")
    having = any(condition.grouped for condition in gold.conditions | predicted.conditions)
    found = (
        (
            "duplicates",
            f"only the {_which(gold.distinct)} drops repeated rows" if gold.distinct != predicted.distinct else "",
        ),
        ("wrong_aggregation", groups if having else ""),
        ("wrong_condition", _intersections(gold, predicted)),
        ("wrong_tables", _only_in(gold.tables, predicted.tables, "reads {}")),
        ("wrong_tables", _only_in(gold.main_tables, predicted.main_tables, "reads {} in its main query")),
        ("wrong_aggregation", groups or _only_in(gold.selected, predicted.selected, "selects {}")),
        ("wrong_condition", _only_in(gold.conditions, predicted.conditions, "asks for {}")),
    )
    sentences: Differences = {}
    for word, sentence in found:
        if sentence:
            sentences.setdefault(word, sentence)
    return sentences


def picks_rows_by_extreme(gold: Clauses, predicted: Clauses) -> bool:
    """Whether one query takes the first row of an order where the other takes all rows that equal the extreme."""
    return bool(_picks(gold, predicted) or _picks(predicted, gold))


def _tables(gold: Clauses, predicted: Clauses) -> str:
    tables = _only_in(gold.tables - gold.idle_tables, predicted.tables - predicted.idle_tables, "reads {}")
    return (
        tables
        or _only_in(gold.outer_joins, predicted.outer_joins, "uses {}")
        or _pairs(gold, predicted, lambda clauses: clauses.joined, "joins on {}")
    )


def _pairs(gold: Clauses, predicted: Clauses, kind: Callable[[Clauses], frozenset[Pair]], verb: str) -> str:
    """Pairs of columns that one query sets equal and the other does not, not even through a third column."""
    lacking = []
    for one, other in ((gold, predicted), (predicted, gold)):
        implied = equal_columns(other.joined | other.member_of)
        known = one.tables & other.tables
        lacking.append(
            [
                " = ".join(sorted(pair))
                for pair in sorted(kind(one), key=sorted)
                if {column.rpartition(".")[0] for column in pair} <= known
                and len({implied.get(column, column) for column in pair}) > 1
            ]
        )
    return _only_in(lacking[0], lacking[1], verb)


def _columns(gold: Clauses, predicted: Clauses) -> str:
    left, right = _selected_apart(gold, predicted)
    return "" if _functions_differ(left, right) else _only_in(left, right, "selects {}")


def _aggregation(gold: Clauses, predicted: Clauses) -> str:
    left, right = _selected_apart(gold, predicted)
    if _functions_differ(left, right):
        return _only_in(left, right, "selects {}")
    if (gold.groups <= predicted.groups and gold.groups) or (predicted.groups <= gold.groups and predicted.groups):
        return ""
    return _only_in(gold.groups, predicted.groups, "groups by {}")


def _selected_apart(gold: Clauses, predicted: Clauses) -> tuple[list[str], list[str]]:
    """The selected expressions of each query that the other lacks."""
    left, right = (Counter(map(loosely, clauses.selected)) for clauses in (gold, predicted))
    return list((left - right).elements()), list((right - left).elements())


def _functions_differ(left: list[str], right: list[str]) -> bool:
    """Whether the same columns are aggregated differently, or all are aggregated and the functions differ."""
    if not left or len(left) != len(right):
        return False
    if sorted(map(_inside, left)) == sorted(map(_inside, right)):
        return True
    if not all(text.startswith(_AGGREGATES) for text in (*left, *right)):
        return False
    functions = [
        sorted(text.replace("(DISTINCT ", " DISTINCT(").partition("(")[0] for text in side) for side in (left, right)
    ]
    return functions[0] != functions[1]


def _inside(text: str) -> str:
    """What an aggregate is taken of."""
    if not text.startswith(_AGGREGATES):
        return text
    return text.partition("(")[2].removeprefix("DISTINCT ").removesuffix(")")


def _conditions(gold: Clauses, predicted: Clauses) -> str:
    left, right = (
        {Condition(loosely(each.subject), loosely(each.predicate), each.grouped) for each in clauses.conditions}
        for clauses in (gold, predicted)
    )
    left, right = left - right, right - left
    left, right = left - _picks(gold, predicted), right - _picks(predicted, gold)
    if bool(gold.groups) != bool(predicted.groups):  # HAVING without a group to have it is the group's difference
        left, right = ({each for each in side if not each.grouped} for side in (left, right))
    by_subject = sorted({each.subject for each in left} & {each.subject for each in right} - {""})
    if by_subject:
        subject = by_subject[0]
        asked = [" and ".join(sorted(c.predicate for c in side if c.subject == subject)) for side in (left, right)]
        return f"condition on {subject}: gold {asked[0]}, prediction {asked[1]}"
    apart = _only_in(sorted(map(str, left)), sorted(map(str, right)), "asks for {}")
    member = _pairs(gold, predicted, lambda clauses: clauses.member_of, "asks for {}")
    if apart or member:
        return apart or member
    if bool(gold.alternatives) != bool(predicted.alternatives):
        sentence = f"only the {_which(bool(gold.alternatives))} joins conditions by OR"
        return "; ".join(filter(None, (sentence, _intersections(gold, predicted))))
    return ""


def only_totals(clauses: Clauses) -> bool:
    """Whether the result is one row of aggregates whatever the tables hold."""
    return not clauses.groups and all(text.startswith(_AGGREGATES) for text in clauses.selected)


def _picks(one: Clauses, other: Clauses) -> set[Condition]:
    """Conditions such as `age = (MAX(age))` in one query that do the work of the other's `ORDER BY age LIMIT 1`."""
    if len(one.limits) >= len(other.limits):
        return set()
    keys = {loosely(key.removesuffix(" DESC")) for keys, _ in other.limits for key in keys}
    picks = (Condition(loosely(each.subject), loosely(each.predicate), each.grouped) for each in one.conditions)
    return {
        each
        for each in picks
        if each.subject in keys and each.predicate.startswith("= (") and any(sign in each.predicate for sign in _PICKS)
    }


def _intersections(gold: Clauses, predicted: Clauses) -> str:
    if bool(gold.intersections) == bool(predicted.intersections):
        return ""
    return f"only the {_which(bool(gold.intersections))} takes what two queries have in common (INTERSECT)"


def _which(gold: bool) -> str:
    return "gold" if gold else "prediction"


def _limits(gold: Clauses, predicted: Clauses) -> str:
    sides = [[(tuple(map(loosely, keys)), count) for keys, count in clauses.limits] for clauses in (gold, predicted)]
    if sides[0] == sides[1]:
        return ""
    told = [_limit_text(side) for side in sides]
    return f"gold {told[0]}, prediction {told[1]}"


def _limit_text(limits: list[tuple[tuple[str, ...], str]]) -> str:
    if not limits:
        return "has no LIMIT"
    keys, count = limits[0]
    return (f"ORDER BY {', '.join(keys)} " if keys else "") + f"LIMIT {count}"


def _only_in(gold: Iterable[object], predicted: Iterable[object], verb: str) -> str:
    """A sentence on what only one of two collections holds; "" when there is nothing."""
    left, right = Counter(map(str, gold)), Counter(map(str, predicted))
    left, right = left - right, right - left
    if not left and not right:
        return ""
    if not right:
        return f"the gold also {verb.format(_listed(left))}"
    if not left:
        return f"the prediction also {verb.format(_listed(right))}"
    return f"the gold {verb.format(_listed(left))}, the prediction {_listed(right)}"


def _listed(texts: Counter[str]) -> str:
    # Sets come in another order in every process; selected columns keep theirs only as far as sorting allows.
    names = sorted(texts.elements())
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
