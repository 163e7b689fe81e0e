"""Execution accuracy as a DeepEval metric: the study's judge inside `deepeval.evaluate` and `assert_test`.

A test case enters: the model's reply as `actual_output`, the gold query as `expected_output`, and the database, named
by the case's metadata or by the metric. A score of 1.0 or 0.0 with its reason leaves. The reply is read as a study
reads it (`extract_sql`: talk, thoughts and code fences are set aside), so the metric and a study agree on a model.

What cannot be judged is an error and no score: a missing field, a database that is not named or named in two ways, a
gold query that does not run. A prediction that fails is no error; it is wrong, and the reason says why.

    from contrapeso.integrations.deepeval import ExecutionAccuracy
    from deepeval.test_case import LLMTestCase

    case = LLMTestCase(input=question, actual_output=reply, expected_output=gold_sql, metadata={"db_id": "pets_1"})
    ExecutionAccuracy(data="data/spider").measure(case)

No language model judges anything here, and nothing leaves the machine. DeepEval itself reports usage unless
DEEPEVAL_TELEMETRY_OPT_OUT=1 is set before it is imported.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from pathlib import Path
from typing import Any

from contrapeso.data import spider_folder
from contrapeso.data.files import DATABASE_SUFFIXES, require_database_name
from contrapeso.errors import DataError, StudyError
from contrapeso.sql import RULES, Limits, Sandbox, Verdict, judge_sql
from contrapeso.tasks.text_to_sql import extract_sql

try:
    from deepeval.errors import MissingTestCaseParamsError
    from deepeval.metrics import BaseMetric
    from deepeval.test_case import LLMTestCase
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f'ExecutionAccuracy is a DeepEval metric and {error.name} is not installed: pip install "contrapeso[deepeval]"',
        name=error.name,
    ) from error

__all__ = ["ExecutionAccuracy"]

_SHELVES = ("database", "databases", "dev_databases", "train_databases", ".")


class _Judge:
    """One sandbox for all threads, one at a time; its workers end with the last metric that uses it."""

    def __init__(self, limits: Limits) -> None:
        self._sandbox = Sandbox(workers=2, limits=limits)
        self._turn = threading.Lock()
        weakref.finalize(self, self._sandbox.close)

    def verdict(self, item: tuple[Path, str, str], rule: str) -> Verdict:
        with self._turn:
            return judge_sql(self._sandbox, [item], rule=rule)[0]


# DeepEval makes a new metric for every test case that it measures asynchronously; the workers must outlive them.
_judges: weakref.WeakValueDictionary[Limits, _Judge] = weakref.WeakValueDictionary()
_judges_lock = threading.Lock()


def _judge_for(limits: Limits) -> _Judge:
    with _judges_lock:
        judge = _judges.get(limits)
        if judge is None:
            judge = _judges[limits] = _Judge(limits)
        return judge


class ExecutionAccuracy(BaseMetric):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """1.0 when the predicted query gives what the gold query gives on the test case's database, else 0.0.

    The database is named by the case's metadata, `database` (a path) or `db_id` (a database of the folder `data`),
    or for all cases by the argument `database`. All that is given must agree.

    After a measurement `score`, `success`, `reason` and `score_breakdown` (the verdict of every rule) tell the
    result; after a failed one `error` tells why, and `score` is None. The parameters are kept under their own names,
    since DeepEval copies a metric by calling its class with them.

    Args:
        threshold: least score that counts as success; None only measures.
        database: the SQLite file of all test cases.
        data: the folder `db_id` is looked up in (Spider's or BIRD's layout, or SQLite files side by side), or `pocket`.
        rule: `unordered` (the headline of a study), `spider` or `strict`.
        limits: what one query may use.

    Raises:
        StudyError: there is no such rule.
        DataError: there is no such folder.
    """

    strict_mode = False
    async_mode = True
    include_reason = True
    verbose_mode = False

    def __init__(
        self,
        threshold: float | None = 1.0,
        *,
        database: str | Path | None = None,
        data: str | Path | None = None,
        rule: str = "unordered",
        limits: Limits | None = None,
    ) -> None:
        if rule not in RULES:
            raise StudyError(f"there is no rule {rule!r}; the rules are {', '.join(RULES)}")
        self.threshold = threshold
        self.database = database
        self.data = spider_folder(data) if data is not None else None
        self.rule = rule
        self.limits = limits or Limits()
        # Shown in reports, and part of the key of DeepEval's cache: another rule must not read this one's results.
        self.evaluation_model = f"SQLite, rule {rule}"
        self._judge = _judge_for(self.limits)

    @property
    def __name__(self) -> str:
        return "Execution Accuracy"

    def measure(self, test_case: LLMTestCase, *args: Any, **kwargs: Any) -> float:
        """Judge one test case.

        Args:
            test_case: with `actual_output`, `expected_output` and, where the metric does not name it, the database.
            args: what DeepEval passes on to metrics that draw a progress bar; not used.
            kwargs: the same.

        Returns:
            1.0 or 0.0.

        Raises:
            MissingTestCaseParamsError: the case has no actual or no expected output; DeepEval can be told to skip it.
            DataError: the database is missing, broken, not named or named in two ways, or the gold query fails.
            ResourceError: no worker process can be started.
        """
        self.score = self.reason = self.success = self.error = None
        self.score_breakdown = {}
        try:
            verdict = _verdict(self, test_case)
        except Exception as error:
            self.error, self.success = str(error), False
            raise
        score = float(verdict.rules[self.rule])
        self.score, self.reason = score, _in_words(verdict, self.rule)
        self.score_breakdown = {rule: float(correct) for rule, correct in verdict.rules.items()}
        self.is_successful()
        return score

    async def a_measure(self, test_case: LLMTestCase, *args: Any, **kwargs: Any) -> float:
        """As `measure`, in a thread, so that the event loop goes on. Cases measured at once wait for each other."""
        score: float = await asyncio.to_thread(self.measure, test_case)
        return score

    def is_successful(self) -> bool | None:
        """Whether the last measurement reached the threshold; None without one."""
        if self.threshold is None:
            self.success = None
        else:
            self.success = self.error is None and self.score is not None and self.score >= self.threshold
        return self.success


# Outside the class, since DeepEval draws every method of a metric as a span of the user's traces.
def _verdict(metric: ExecutionAccuracy, test_case: LLMTestCase) -> Verdict:
    gold, reply = test_case.expected_output, test_case.actual_output
    if gold is None or reply is None:
        missing = "actual_output" if reply is None else "expected_output"
        raise MissingTestCaseParamsError(
            f"the test case {_name(test_case)} has no {missing}; Execution Accuracy compares it with the other output"
        )
    database = _database(test_case, metric.database, metric.data)
    verdict = metric._judge.verdict((database, gold, extract_sql(reply)), metric.rule)
    if verdict.reason == "gold_fails":
        raise DataError(
            f"the gold query of the test case {_name(test_case)} does not run on {database} ({verdict.detail}), "
            "so nothing can be judged against it; correct expected_output or the database"
        )
    return verdict


def _database(test_case: LLMTestCase, database: str | Path | None, data: Path | None) -> Path:
    """The one database that the metric's arguments and the case's metadata name."""
    metadata = test_case.metadata or {}
    db_id = metadata.get("db_id")
    named = {"the metric's database": database, "metadata database": metadata.get("database")}
    found = {source: Path(path).expanduser().resolve() for source, path in named.items() if path is not None}
    if db_id is not None and data is not None:
        found[f"db_id {db_id!r} in {data}:"] = _file_of(db_id, data)
    if not found:
        missing = "metadata `database` or `db_id`" if db_id is None else "the folder of db_id as the metric's `data`"
        raise DataError(f"nothing names the database of the test case {_name(test_case)}: give {missing}")
    if len(set(found.values())) > 1:
        said = ", ".join(f"{source} {path}" for source, path in found.items())
        raise DataError(f"the test case {_name(test_case)} is given different databases ({said}); keep one")
    (file,) = set(found.values())
    if db_id is not None and file.stem != str(db_id):
        raise DataError(
            f"the test case {_name(test_case)} is given the database {file}, and db_id {db_id!r}, which is another; "
            "keep one"
        )
    return file


def _file_of(db_id: Any, data: Path) -> Path:
    """The file of a database in any layout that `data.questions` reads, of whatever split."""
    require_database_name(str(db_id), "metadata db_id")  # it becomes part of a path
    files = [
        data / shelf / f"{stem}{suffix}"
        for shelf in _SHELVES
        for stem in (f"{db_id}/{db_id}", db_id)
        for suffix in DATABASE_SUFFIXES
    ]
    found = {file.resolve() for file in files if file.is_file()}
    if not found:
        raise DataError(f"there is no database {db_id!r} in {data}: expected {files[0]}, or {data / str(db_id)}.sqlite")
    if len(found) > 1:
        raise DataError(f"the database {db_id!r} is in {data} twice ({', '.join(map(str, sorted(found)))}); keep one")
    return found.pop()


def _in_words(verdict: Verdict, rule: str) -> str:
    """One sentence on a verdict."""
    others = ", ".join(f"{name} {'right' if correct else 'wrong'}" for name, correct in verdict.rules.items())
    if verdict.rules[rule]:
        return f"the results are the same by the rule {rule} ({others})"
    detail = f": {verdict.detail}" if verdict.detail else ""
    return f"wrong by the rule {rule}: {verdict.reason}{detail} ({others})"


def _name(test_case: LLMTestCase) -> str:
    text = " ".join(test_case.input.split())
    return repr(text if len(text) <= 60 else text[:57] + "...")
