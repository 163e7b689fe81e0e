"""The DeepEval metric: the same verdicts as a study, no guesses, no network, no process left behind."""

# DeepEval is imported after its settings, and only where it is installed.
# ruff: noqa: E402

import asyncio
import gc
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

# Read by DeepEval when it is imported.
OFFLINE = {"DEEPEVAL_TELEMETRY_OPT_OUT": "1", "DEEPEVAL_FILE_SYSTEM": "READ_ONLY", "DEEPEVAL_DISABLE_DOTENV": "1"}
os.environ.update(OFFLINE)
pytest.importorskip("deepeval", reason="the extra deepeval is not installed")

from deepeval import assert_test, evaluate
from deepeval.errors import MissingTestCaseParamsError
from deepeval.evaluate.configs import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import BaseMetric
from deepeval.test_case import LLMTestCase

from contrapeso.data import load_spider, spider_folder
from contrapeso.errors import DataError, StudyError
from contrapeso.integrations.deepeval import ExecutionAccuracy
from contrapeso.sql import Limits, Sandbox
from contrapeso.tasks.base import Generation
from contrapeso.tasks.text_to_sql import TextToSQL

QUIET = {
    "display_config": DisplayConfig(print_results=False, show_indicator=False),
    "cache_config": CacheConfig(write_cache=False),
}
FOLDER = spider_folder("pocket")
ITEMS = load_spider(FOLDER)[:30]
TWO_COLUMNS = next(item for item in load_spider(FOLDER) if item.gold.startswith("SELECT name, "))


def reply(place: int, gold: str) -> str:
    """What a model might say: right, in a fence, wrong, broken, destructive, nothing."""
    return (
        gold,
        f"Sure, here it is:\n```sql\n{gold};\n```\nHope this helps!",
        "SELECT 'no such answer'",
        "SELECT a FROM nowhere",
        "DROP TABLE nowhere",
        "I do not know.",
    )[place % 6]


CASES = [
    LLMTestCase(
        input=item.question,
        actual_output=reply(place, item.gold),
        expected_output=item.gold,
        metadata={"db_id": item.group},
    )
    for place, item in enumerate(ITEMS)
]
RIGHT = [place % 6 < 2 for place in range(len(ITEMS))]


def case(**changes: object) -> LLMTestCase:
    """A test case about the first item, answered rightly, with some of it changed."""
    item = ITEMS[0]
    fields = {"input": item.question, "actual_output": item.gold, "expected_output": item.gold}
    return LLMTestCase(**(fields | {"metadata": {"database": str(item.database)}} | changes))


def results(**options: object) -> list[bool]:
    """Successes of all cases in a DeepEval evaluation, in their order."""
    found = evaluate(test_cases=CASES, metrics=[ExecutionAccuracy(data=FOLDER)], **QUIET, **options)
    by_input = {result.input: result.metrics_data[0].success for result in found.test_results}
    return [by_input[item.question] for item in ITEMS]


def workers() -> list[psutil.Process]:
    """The sandbox's processes below this one."""
    gc.collect()
    return [child for child in psutil.Process().children() if "worker.py" in " ".join(child.cmdline())]


def test_it_is_a_deepeval_metric_with_the_name_of_the_original():
    metric = ExecutionAccuracy()
    assert isinstance(metric, BaseMetric) and metric.__name__ == "Execution Accuracy"
    assert metric.threshold == 1.0 and metric.score is None and metric.error is None


def test_a_right_query_scores_one_and_says_so():
    metric = ExecutionAccuracy()
    assert metric.measure(case()) == metric.score == 1.0
    assert metric.success is True and metric.is_successful() is True and "the same" in metric.reason
    assert metric.score_breakdown == {"unordered": 1.0, "spider": 1.0, "strict": 1.0}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("SELECT a FROM nowhere", "nowhere"),
        ("DELETE FROM nowhere", "refused"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", "timeout"),
        ("I would rather not say.", "empty"),
        ("", "empty"),
        ("SELECT 'no such answer'", "wrong"),
    ],
)
def test_a_prediction_that_fails_scores_zero_with_its_reason_and_is_no_error(answer, reason):
    metric = ExecutionAccuracy(limits=Limits(steps=1_000_000))
    assert metric.measure(case(actual_output=answer)) == 0.0
    assert reason in metric.reason
    assert metric.success is False and metric.is_successful() is False and metric.error is None


def test_a_broken_query_is_wrong_also_when_the_gold_result_is_empty():
    empty = case(expected_output=f"SELECT * FROM ({ITEMS[0].gold}) WHERE 0", actual_output="SELECT a FROM nowhere")
    assert ExecutionAccuracy().measure(empty) == 0.0


def test_the_rule_decides_the_score():
    first, rest = TWO_COLUMNS.gold.removeprefix("SELECT ").split(" FROM ", 1)
    swapped = "SELECT " + ", ".join(reversed(first.split(", "))) + " FROM " + rest
    given = case(
        actual_output=swapped, expected_output=TWO_COLUMNS.gold, metadata={"database": str(TWO_COLUMNS.database)}
    )
    strict = ExecutionAccuracy(rule="strict")
    assert ExecutionAccuracy().measure(given) == 1.0 and strict.measure(given) == 0.0
    assert "strict" in strict.reason and "unordered right" in strict.reason


def test_an_unknown_rule_or_folder_is_refused_when_the_metric_is_made():
    with pytest.raises(StudyError, match="unordered, spider, strict"):
        ExecutionAccuracy(rule="loose")
    with pytest.raises(DataError, match="no data folder"):
        ExecutionAccuracy(data="nowhere")


@pytest.mark.parametrize(
    ("arguments", "metadata"),
    [
        ({}, {"database": str(ITEMS[0].database)}),
        ({"data": "pocket"}, {"db_id": ITEMS[0].group}),
        ({"data": FOLDER / "database"}, {"db_id": ITEMS[0].group}),
        ({"database": ITEMS[0].database}, None),
        ({"database": str(ITEMS[0].database)}, {"db_id": ITEMS[0].group}),
        ({"database": ITEMS[0].database, "data": FOLDER}, {"database": ITEMS[0].database, "db_id": ITEMS[0].group}),
    ],
)
def test_the_database_comes_from_the_metadata_or_the_arguments(arguments, metadata):
    assert ExecutionAccuracy(**arguments).measure(case(metadata=metadata)) == 1.0


OTHER = next(item for item in load_spider(FOLDER) if item.group != ITEMS[0].group)


@pytest.mark.parametrize(
    ("arguments", "metadata", "message"),
    [
        ({}, None, "give metadata `database` or `db_id`"),
        ({}, {"db_id": ITEMS[0].group}, "the metric's `data`"),
        ({"data": FOLDER}, None, "give metadata"),
        ({"data": FOLDER}, {"db_id": "no_such_database"}, "no database 'no_such_database'"),
        ({"data": FOLDER}, {"db_id": "../database"}, "cannot be the name"),
        ({"data": FOLDER}, {"db_id": 7}, "no database 7"),
        ({"database": OTHER.database}, {"database": ITEMS[0].database}, "different databases"),
        ({"database": OTHER.database}, {"db_id": ITEMS[0].group}, "which is another"),
        ({"data": FOLDER}, {"database": OTHER.database, "db_id": ITEMS[0].group}, "different databases"),
        ({"database": "nowhere.sqlite"}, None, "nowhere.sqlite"),
    ],
)
def test_no_database_or_two_is_an_error_and_not_a_guess(arguments, metadata, message):
    metric = ExecutionAccuracy(**arguments)
    with pytest.raises(DataError, match=message):
        metric.measure(case(metadata=metadata))
    assert metric.score is None and metric.is_successful() is False and message.strip("`") in metric.error


def test_two_files_of_one_name_in_the_folder_are_an_error(tmp_path):
    for file in (tmp_path / "pets.sqlite", tmp_path / "database" / "pets" / "pets.sqlite"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(ITEMS[0].database.read_bytes())
    with pytest.raises(DataError, match="twice"):
        ExecutionAccuracy(data=tmp_path).measure(case(metadata={"db_id": "pets"}))


def test_a_gold_query_that_fails_is_an_error_of_the_case_and_leaves_no_trace_in_the_next():
    metric = ExecutionAccuracy()
    with pytest.raises(DataError, match="gold query"):
        metric.measure(case(expected_output="SELECT a FROM nowhere"))
    assert metric.score is None and metric.reason is None and metric.error and metric.is_successful() is False
    assert metric.measure(case()) == 1.0 and metric.error is None and metric.success


@pytest.mark.parametrize("field", ["actual_output", "expected_output"])
def test_a_case_without_one_of_the_outputs_is_refused_in_deepevals_own_way(field):
    with pytest.raises(MissingTestCaseParamsError, match=field):
        ExecutionAccuracy().measure(case(**{field: None}))


def test_without_a_threshold_the_metric_only_measures():
    metric = ExecutionAccuracy(None)
    assert metric.measure(case(actual_output="SELECT 'no such answer'")) == 0.0
    assert metric.success is None and metric.is_successful() is None


def test_metric_and_study_agree_on_every_reply():
    replies = [Generation(reply(place, item.gold), True, 9, 9, "0" * 16) for place, item in enumerate(ITEMS)]
    with Sandbox(workers=1) as sandbox:
        outcomes = TextToSQL(ITEMS, sandbox).score(ITEMS, replies)
    metric = ExecutionAccuracy(data=FOLDER)
    for given, outcome in zip(CASES, outcomes, strict=True):
        metric.measure(given)
        assert metric.score_breakdown == {rule: float(correct) for rule, correct in outcome.rules.items()}
    assert [outcome.correct for outcome in outcomes] == RIGHT


@pytest.mark.parametrize("run_async", [False, True], ids=["sync", "async"])
def test_deepeval_evaluate_gives_the_verdicts(run_async):
    assert results(async_config=AsyncConfig(run_async=run_async)) == RIGHT


def test_evaluate_reports_a_case_that_cannot_be_judged_and_goes_on():
    bad = case(input="bad gold", expected_output="SELECT a FROM nowhere")
    incomplete = case(input="incomplete", expected_output=None)
    found = evaluate(
        test_cases=[bad, incomplete, case(input="sound")],
        metrics=[ExecutionAccuracy()],
        error_config=ErrorConfig(ignore_errors=True, skip_on_missing_params=True),
        async_config=AsyncConfig(run_async=False),
        **QUIET,
    )
    data = {result.input: result.metrics_data for result in found.test_results}
    assert data["sound"][0].success and data["sound"][0].score == 1.0
    assert not data["bad gold"][0].success and "gold query" in data["bad gold"][0].error
    assert not data["incomplete"]


def test_many_measurements_at_once_do_not_mix_up_their_answers():
    before = {worker.pid for worker in workers()}
    shared = ExecutionAccuracy(data=FOLDER)

    async def all_at_once(metrics):
        pairs = zip(metrics, CASES, strict=True)
        return await asyncio.gather(*(metric.a_measure(given) for metric, given in pairs))

    expected = [float(right) for right in RIGHT]
    assert asyncio.run(all_at_once([shared] * len(CASES))) == expected
    assert asyncio.run(all_at_once([ExecutionAccuracy(data=FOLDER) for _ in CASES])) == expected
    assert len({worker.pid for worker in workers()} - before) <= 2


def test_metrics_share_their_workers_and_the_last_one_ends_them():
    limits = Limits(steps=7_000_000)
    before = {worker.pid for worker in workers()}
    first, second = ExecutionAccuracy(limits=limits), ExecutionAccuracy(limits=limits)
    first.measure(case())
    started = {worker.pid for worker in workers()} - before
    second.measure(case())
    assert started and {worker.pid for worker in workers()} - before == started
    del first
    assert started <= {worker.pid for worker in workers()}
    del second
    assert not started & {worker.pid for worker in workers()}


def test_a_destructive_prediction_changes_no_byte():
    table = ITEMS[0].gold.split(" FROM ")[1].split()[0]
    before = hashlib.sha256(ITEMS[0].database.read_bytes()).hexdigest()
    assert ExecutionAccuracy().measure(case(actual_output=f"DROP TABLE {table}")) == 0.0
    assert hashlib.sha256(ITEMS[0].database.read_bytes()).hexdigest() == before


def test_assert_test_passes_a_right_case_and_fails_a_wrong_one():
    assert_test(case(), [ExecutionAccuracy()], run_async=False)
    with pytest.raises(AssertionError, match="Execution Accuracy"):
        assert_test(case(actual_output="SELECT 'no such answer'"), [ExecutionAccuracy()], run_async=False)


PROGRAM = """
import atexit, socket, sys
tried = []
atexit.register(lambda: print("TRIED", tried))
def refuse(*arguments, **options):
    tried.append(str(arguments))
    raise OSError("no network in this test")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
"""
EVALUATION = """
from deepeval import evaluate
from deepeval.evaluate.configs import AsyncConfig
from deepeval.test_case import LLMTestCase
from contrapeso.integrations.deepeval import ExecutionAccuracy
case = LLMTestCase(input="q", actual_output="SELECT 1", expected_output="SELECT 1", metadata={{"database": {file!r}}})
for run_async in (False, True):
    found = evaluate([case], [ExecutionAccuracy()], async_config=AsyncConfig(run_async=run_async))
    assert found.test_results[0].success
print("TORCH", "torch" in sys.modules)
"""


def run_program(program: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **OFFLINE, **environment},
        capture_output=True,
        text=True,
    )


def test_an_evaluation_opens_no_connection_writes_no_file_and_loads_no_torch(tmp_path):
    done = run_program(PROGRAM + EVALUATION.format(file=str(ITEMS[0].database)), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "TRIED []" in done.stdout and "TORCH False" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_probe_would_see_a_connection(tmp_path):
    done = run_program(PROGRAM + "try: socket.create_connection(('localhost', 9))\nexcept OSError: pass\n", tmp_path)
    assert "TRIED [\"(('localhost', 9),)\"]" in done.stdout


def test_the_metric_works_under_pytest_with_deepevals_plugin(tmp_path):
    (tmp_path / "test_sql.py").write_text(
        "import pytest\nfrom deepeval import assert_test\nfrom deepeval.test_case import LLMTestCase\n"
        "from contrapeso.integrations.deepeval import ExecutionAccuracy\n"
        "@pytest.mark.parametrize('sql', ['SELECT 1', 'SELECT 2'])\n"
        "def test_sql(sql):\n"
        "    case = LLMTestCase(input='q', actual_output=sql, expected_output='SELECT 1')\n"
        f"    assert_test(case, [ExecutionAccuracy(database={str(ITEMS[0].database)!r})])\n",
        encoding="utf-8",
    )
    program = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_sql.py']))"
    done = run_program(program, tmp_path)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr


def test_without_the_extra_the_import_names_what_to_install(tmp_path):
    program = (
        "import sys\nsys.modules['deepeval'] = None\n"
        "try:\n    import contrapeso.integrations.deepeval\nexcept ImportError as error:\n    print(error)\n"
    )
    assert 'pip install "contrapeso[deepeval]"' in run_program(program, tmp_path).stdout
