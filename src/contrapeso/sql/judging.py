"""Judge predicted SQL: run what must be run, compare, say why.

Triples of database, gold query and predicted query enter; one `Verdict` per triple leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrapeso.errors import StudyError
from contrapeso.sql.diagnosis import diagnose, diagnose_official, diagnose_order
from contrapeso.sql.equivalence import judge, official_form
from contrapeso.sql.sandbox import Result, Sandbox
from contrapeso.sql.schema import Schema, read_schema

if TYPE_CHECKING:
    from contrapeso.sql.ties import Ranking

RULES = ("unordered", "spider", "strict")
JUDGE_RULE = 2
"""Raise it with every change that may change a verdict: outcomes judged by another rule are then made anew."""
# Items judged at a time: bounds the results held in memory, which may be four of 20 MB an item.
_BATCH = 32
Request = tuple[Path, str]
_PREVIEW_ROWS, _PREVIEW_COLUMNS, _PREVIEW_CHARACTERS = 5, 8, 60


@dataclass(frozen=True)
class Preview:
    """The corner of a result, for people.

    Attributes:
        rows: the first 5 rows, of each the first 8 cells, as text of 60 characters at most; NULL is `NULL`.
        row_count: how many rows there are in all.
        column_count: how many columns there are in all.
    """

    rows: tuple[tuple[str, ...], ...]
    row_count: int
    column_count: int

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        rows = [list(row) for row in self.rows]
        return {"rows": rows, "row_count": self.row_count, "column_count": self.column_count}


@dataclass(frozen=True)
class Verdict:
    """What became of one prediction.

    Attributes:
        rules: whether it is correct, by rule (`unordered`, `spider`, `strict`).
        reason: `ok` when correct by the rule asked for; the reason of the failed prediction (`Result.reason`); for one
            that ran, a word of `diagnosis.WORDS`; `gold_fails` when the gold query itself does not run, so that
            nothing can be said.
        detail: more on the reason, in a sentence.
        flags: what there is to know about the item, whatever the prediction: `gold_empty` (the gold result has no
            rows, so it tells little), `gold_ties` (its LIMIT cuts through rows that tie, so another right query may
            return other rows), `gold_fails`.
        gold: the gold result; None when the query failed.
        predicted: the predicted result; None when the query failed.
    """

    rules: dict[str, bool]
    reason: str
    detail: str
    flags: tuple[str, ...]
    gold: Preview | None
    predicted: Preview | None


def judge_sql(sandbox: Sandbox, items: Sequence[tuple[Path, str, str]], *, rule: str = "unordered") -> list[Verdict]:
    """Run and compare gold and predicted queries.

    Each query runs once per batch however often it occurs, gold queries above all.

    Args:
        sandbox: where the queries run.
        items: triples of a SQLite file, the gold query and the predicted query.
        rule: which rule the reasons speak for; the verdicts are given by all three.

    Returns:
        One verdict per item, in their order.

    Raises:
        DataError: a database is missing or broken.
        ResourceError: no worker can be started.
        StudyError: there is no such rule.
    """
    if rule not in RULES:
        raise StudyError(f"there is no rule {rule!r}; take one of {', '.join(RULES)}")
    judging = _Judging(sandbox, rule)
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    verdicts: list[Verdict] = []
    with ThreadPoolExecutor(max_workers=1) as runner:
        try:
            # The queries of the next batch run while this one's results are compared.
            following = [runner.submit(judging.run, batch) for batch in batches[:1]]
            import_module("contrapeso.sql.clauses")  # sqlglot takes 0.1 s, which is to wait anyway
            for place, batch in enumerate(batches):
                results = following.pop().result()
                following += [runner.submit(judging.run, after) for after in batches[place + 1 : place + 2]]
                verdicts += judging.verdicts(batch, results)
        except BaseException:
            sandbox.interrupt()  # or leaving would wait for the queries that run
            runner.shutdown()
            sandbox.close()
            raise
    return verdicts


class _Judging:
    """One call of `judge_sql`: what it knows of databases and gold queries from one batch to the next."""

    def __init__(self, sandbox: Sandbox, rule: str) -> None:
        self._sandbox, self._rule = sandbox, rule
        self._schemas: dict[Path, Schema] = {}
        self._flags: dict[Request, tuple[str, ...]] = {}

    def run(self, items: Sequence[tuple[Path, str, str]]) -> dict[Request, Result]:
        """Run the queries of a few items; the one place where a call uses the sandbox."""
        results = self._run(
            (database, sql)
            for database, gold_sql, predicted_sql in items
            for sql in (gold_sql, predicted_sql, official_form(gold_sql), official_form(predicted_sql))
        )
        golds = dict.fromkeys((database, gold_sql) for database, gold_sql, _ in items)
        self._flag({gold: results[gold] for gold in golds if gold not in self._flags})
        return results

    def verdicts(self, items: Sequence[tuple[Path, str, str]], results: Mapping[Request, Result]) -> Iterator[Verdict]:
        """Verdicts on a few items whose queries have run."""
        for item in items:
            database, gold_sql, predicted_sql = item
            gold, predicted = results[database, gold_sql], results[database, predicted_sql]
            official = [results[database, official_form(sql)] for sql in (gold_sql, predicted_sql)]
            if gold.ok:
                rules = judge(
                    gold, predicted, gold_sql=gold_sql, official_gold=official[0], official_predicted=official[1]
                )
                reason = self._reason(item, (gold, predicted), official, rules)
            else:
                rules, reason = dict.fromkeys(RULES, False), ("gold_fails", f"{gold.reason}: {gold.detail}")
            yield Verdict(rules, *reason, self._flags[database, gold_sql], _preview(gold), _preview(predicted))

    def _reason(
        self,
        item: tuple[Path, str, str],
        results: tuple[Result, Result],
        official: Sequence[Result],
        rules: dict[str, bool],
    ) -> tuple[str, str]:
        """The reason by the rule asked for, and its detail."""
        (database, gold_sql, predicted_sql), (gold, predicted) = item, results
        if rules[self._rule]:
            return "ok", ""
        if rules["unordered"]:
            return diagnose_order(gold, predicted) if self._rule == "strict" else diagnose_official(*official)
        if database not in self._schemas:
            self._schemas[database] = read_schema(database)
        ties = "gold_ties" in self._flags[database, gold_sql]
        return diagnose(
            gold_sql, predicted_sql, gold=gold, predicted=predicted, schema=self._schemas[database], ties=ties
        )

    def _flag(self, golds: Mapping[Request, Result]) -> None:
        """Find the flags of gold queries, running those with a LIMIT once more to see whether it cuts through ties."""
        rankings: dict[Request, Ranking] = {}
        for gold, result in golds.items():
            self._flags[gold] = ("gold_fails",) if not result.ok else () if result.rows else ("gold_empty",)
            if result.ok and "limit" in gold[1].lower():
                # Imported here because it imports sqlglot, which takes 0.1 s.
                from contrapeso.sql.ties import cuts_ties, ranking

                if found := ranking(gold[1], result.columns):
                    rankings[gold] = found
        ranked = self._run((database, found.sql) for (database, _), found in rankings.items())
        for gold, found in rankings.items():
            if cuts_ties(golds[gold], ranked[gold[0], found.sql], found=found):
                self._flags[gold] += ("gold_ties",)

    def _run(self, requests: Iterable[Request]) -> dict[Request, Result]:
        """Results by request, each run once."""
        unique = list(dict.fromkeys(requests))
        return dict(zip(unique, self._sandbox.run(unique), strict=True))


def _preview(result: Result) -> Preview | None:
    if not result.ok:
        return None
    rows = tuple(tuple(map(_cell, row[:_PREVIEW_COLUMNS])) for row in result.rows[:_PREVIEW_ROWS])
    return Preview(rows, len(result.rows), result.columns)


def _cell(value: Any) -> str:
    """A cell as text: NULL and blobs as SQL writes them."""
    if value is None:
        return "NULL"
    text = f"x'{value[:_PREVIEW_CHARACTERS].hex()}'" if isinstance(value, bytes) else str(value)
    return text if len(text) <= _PREVIEW_CHARACTERS else text[: _PREVIEW_CHARACTERS - 1] + "…"
