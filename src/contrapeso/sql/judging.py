"""Judge predicted SQL: run what must be run, compare, say why.

Triples of database, gold query and predicted query enter; one `Verdict` per triple leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contrapeso.sql.equivalence import judge, official_form
from contrapeso.sql.sandbox import Result, Sandbox

RULES = ("unordered", "spider", "strict")
JUDGE_RULE = 1
"""Raise it with every change that may change a verdict: outcomes judged by another rule are then made anew."""
# Items judged at a time: bounds the results held in memory.
_BATCH = 128


@dataclass(frozen=True)
class Verdict:
    """What became of one prediction.

    Attributes:
        rules: whether it is correct, by rule (`unordered`, `spider`, `strict`).
        reason: `ok` when correct by `unordered`; `wrong_result` when it ran and is not; `gold_fails` when the gold
            query itself does not run, so that nothing can be said; otherwise the reason of the failed prediction.
        detail: more on the reason, for people.
    """

    rules: dict[str, bool]
    reason: str
    detail: str


def judge_sql(sandbox: Sandbox, items: Sequence[tuple[Path, str, str]]) -> list[Verdict]:
    """Run and compare gold and predicted queries.

    Each query runs once per batch however often it occurs, gold queries above all.

    Args:
        sandbox: where the queries run.
        items: triples of a SQLite file, the gold query and the predicted query.

    Returns:
        One verdict per item, in their order.

    Raises:
        DataError: a database is missing or broken.
        ResourceError: no worker can be started.
    """
    return [
        verdict
        for start in range(0, len(items), _BATCH)
        for verdict in _judge_batch(sandbox, items[start : start + _BATCH])
    ]


def _judge_batch(sandbox: Sandbox, items: Sequence[tuple[Path, str, str]]) -> Iterator[Verdict]:
    wanted = [
        (database, sql)
        for database, gold_sql, predicted_sql in items
        for sql in (gold_sql, predicted_sql, official_form(gold_sql), official_form(predicted_sql))
    ]
    requests = list(dict.fromkeys(wanted))
    results = dict(zip(requests, sandbox.run(requests), strict=True))
    for database, gold_sql, predicted_sql in items:
        gold, predicted = results[database, gold_sql], results[database, predicted_sql]
        if not gold.ok:
            yield Verdict(dict.fromkeys(RULES, False), "gold_fails", f"{gold.reason}: {gold.detail}")
            continue
        rules = judge(
            gold,
            predicted,
            gold_sql=gold_sql,
            official_gold=results[database, official_form(gold_sql)],
            official_predicted=results[database, official_form(predicted_sql)],
        )
        yield Verdict(rules, *_reason(gold, predicted, correct=rules["unordered"]))


def _reason(gold: Result, predicted: Result, *, correct: bool) -> tuple[str, str]:
    """The reason of a verdict and its detail."""
    if correct or not predicted.ok:
        return predicted.reason, predicted.detail
    shapes = [f"{len(result.rows)} x {result.columns}" for result in (gold, predicted)]
    return "wrong_result", f"rows x columns: gold {shapes[0]}, prediction {shapes[1]}"
