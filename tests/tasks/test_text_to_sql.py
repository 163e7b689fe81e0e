import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrapeso.data import load_spider
from contrapeso.errors import DataError
from contrapeso.models.engine import Variant
from contrapeso.sql import Limits, Sandbox
from contrapeso.tasks import Prompt, TextToSQL, choose_shots, extract_sql
from contrapeso.tasks.base import Generation, Item, OptionScores


def make_database(file: Path, table: str) -> Path:
    with sqlite3.connect(file) as connection:
        connection.execute(f"CREATE TABLE {table} (name TEXT, age INT)")
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", [("Ada", 3), ("Bob", 5)])
    return file


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(1) as box:
        yield box


@pytest.fixture
def items(tmp_path: Path) -> tuple[Item, ...]:
    animals = make_database(tmp_path / "zoo.sqlite", "animal")
    return (
        Item("dev/0000", "zoo", "How many animals?", "SELECT count(*) FROM animal", database=animals),
        Item("dev/0001", "zoo", "Who is five?", "SELECT name FROM animal WHERE age = 5;", database=animals),
    )


@pytest.fixture
def shot(tmp_path: Path) -> Item:
    cars = make_database(tmp_path / "cars.sqlite", "car")
    return Item("train/0007", "cars", "List the cars.", "SELECT name FROM car ;", database=cars)


def reply(text: str, *, stopped: bool = True) -> Generation:
    return Generation(text, stopped, tokens=9, prompt_tokens=40, prompt_sha="0123456789abcdef")


def test_a_plain_prompt_is_this_text(sandbox: Sandbox, items: tuple[Item, ...], shot: Item) -> None:
    task = TextToSQL(items, sandbox, shots=(shot,), schema_style="compact")
    assert task.prompt(items[0]).text == (
        "Write one SQLite query that answers the question. Reply with the query only.\n"
        "\n"
        "car(name, age)\n"
        "\n"
        "Question: List the cars.\n"
        "SQL: SELECT name FROM car\n"
        "\n"
        "Write one SQLite query that answers the question. Reply with the query only.\n"
        "\n"
        "animal(name, age)\n"
        "\n"
        "Question: How many animals?\n"
        "SQL:"
    )
    assert not task.prompt(items[0]).chat and task.prompt(items[0]).turns == ()


def test_a_chat_prompt_is_the_user_text_with_shots_as_earlier_turns(
    sandbox: Sandbox, items: tuple[Item, ...], shot: Item
) -> None:
    prompt = TextToSQL(items, sandbox, shots=(shot,), schema_style="compact", chat=True).prompt(items[0])
    instruction = "Write one SQLite query that answers the question. Reply with the query only."
    assert prompt.chat
    assert prompt.text == f"{instruction}\n\nanimal(name, age)\n\nQuestion: How many animals?"
    assert prompt.turns == ((f"{instruction}\n\ncar(name, age)\n\nQuestion: List the cars.", "SELECT name FROM car"),)


def test_questions_of_one_database_share_their_prefix(sandbox: Sandbox, items: tuple[Item, ...]) -> None:
    first, second = map(TextToSQL(items, sandbox).prompt, items)
    assert first.prefix == second.prefix and first.prefix.endswith("\n\nQuestion: ")
    assert "CREATE TABLE animal" in first.prefix and first.body.startswith("How many")


def test_replies_are_judged_by_what_they_return(sandbox: Sandbox, items: tuple[Item, ...]) -> None:
    count, who = items
    task = TextToSQL(items, sandbox)
    asked = [count, count, count, replace(who, left_out="why"), who]
    texts = [
        " SELECT 2",
        "SELECT 3",
        "I do not know.",
        "```sql\nSELECT name FROM animal WHERE age > 4",
        "DROP TABLE animal",
    ]
    outcomes = task.score(asked, [reply(text, stopped=text != "SELECT 3") for text in texts])
    assert [outcome.correct for outcome in outcomes] == [True, False, False, True, False]
    assert [outcome.reason for outcome in outcomes] == ["ok", "wrong_columns", "empty", "ok", "refused"]
    assert outcomes[0].detail == "" and all(outcome.detail for outcome in outcomes if not outcome.correct)
    assert outcomes[1].results == {
        "gold": {"rows": [["2"]], "row_count": 1, "column_count": 1},
        "predicted": {"rows": [["3"]], "row_count": 1, "column_count": 1},
    }
    assert set(outcomes[4].results) == {"gold"}
    assert [outcome.answer for outcome in outcomes][2:] == [
        "",
        "SELECT name FROM animal WHERE age > 4",
        "DROP TABLE animal",
    ]
    assert [outcome.left_out for outcome in outcomes] == ["", "", "", "why", ""]
    assert [outcome.stopped for outcome in outcomes] == [True, False, True, True, True]
    assert outcomes[0].rules == {"unordered": True, "spider": True, "strict": True}
    assert outcomes[2].rules == {"unordered": False, "spider": False, "strict": False}
    assert (outcomes[0].item, outcomes[0].group, outcomes[0].prompt_tokens) == ("dev/0000", "zoo", 40)


def test_the_headline_is_the_unordered_rule(sandbox: Sandbox, items: tuple[Item, ...]) -> None:
    item = replace(items[0], gold="SELECT name, age FROM animal")
    (outcome,) = TextToSQL((item,), sandbox).score([item], [reply("SELECT age, name FROM animal")])
    assert outcome.rules["unordered"] and not outcome.rules["strict"]
    assert outcome.correct and outcome.reason == "ok"


def test_option_scores_are_no_reply_to_a_text_task(sandbox: Sandbox, items: tuple[Item, ...]) -> None:
    with pytest.raises(TypeError, match="OptionScores"):
        TextToSQL(items, sandbox).score(items[:1], [OptionScores((0.0,), True, 1, "")])


def test_the_engine_is_asked_every_prompt_with_the_tasks_limits(sandbox: Sandbox, items: tuple[Item, ...]) -> None:
    asked: list[Any] = []

    class Recorder:
        def generate(self, variant: Variant, prompts: Sequence[Prompt], **settings: Any) -> Iterator[Any]:
            asked.extend([variant.name, prompts, settings])
            yield [1], [reply(" SELECT name FROM animal WHERE age = 5")]

        def score_options(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("text-to-SQL never scores options")

    task = TextToSQL(items, sandbox, max_new_tokens=33)
    ((indices, replies),) = task.ask(Recorder(), Variant("Baseline Model"), skip=frozenset({0}))
    settings = {"max_new_tokens": 33, "stop": (";", "\n\n"), "skip": frozenset({0})}
    assert asked == ["Baseline Model", [task.prompt(item) for item in items], settings]
    assert task.score([items[index] for index in indices], replies)[0].correct


def test_generation_stops_at_a_semicolon_and_plain_prompts_also_at_a_blank_line(
    sandbox: Sandbox, items: tuple[Item, ...]
) -> None:
    assert TextToSQL(items, sandbox).stop == (";", "\n\n")
    assert TextToSQL(items, sandbox, chat=True).stop == (";",)


def test_the_fingerprint_moves_with_everything_a_score_depends_on(
    sandbox: Sandbox, items: tuple[Item, ...], shot: Item, tmp_path: Path
) -> None:
    task = TextToSQL(items, sandbox)
    assert task.fingerprint == TextToSQL(items, sandbox).fingerprint
    changed = [
        TextToSQL(items[:1], sandbox),
        TextToSQL((items[0], replace(items[1], gold="SELECT 1")), sandbox),
        TextToSQL((items[0], replace(items[1], question="Who?")), sandbox),
        TextToSQL(items, sandbox, shots=(shot,)),
        TextToSQL(items, sandbox, chat=True),
        TextToSQL(items, sandbox, schema_style="compact"),
        replace(task, max_new_tokens=99),
        TextToSQL(items, Sandbox(1, Limits(steps=1_000))),
    ]
    fingerprints = {task.fingerprint, *(other.fingerprint for other in changed)}
    with sqlite3.connect(tmp_path / "zoo.sqlite") as connection:
        connection.execute("INSERT INTO animal VALUES ('Cid', 8)")
    fingerprints.add(TextToSQL(items, sandbox).fingerprint)
    assert len(fingerprints) == len(changed) + 2


def test_the_fingerprint_does_not_depend_on_where_the_data_lie(
    sandbox: Sandbox, items: tuple[Item, ...], tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.sqlite"
    copy.write_bytes((tmp_path / "zoo.sqlite").read_bytes())
    moved = tuple(replace(item, database=copy) for item in items)
    assert TextToSQL(moved, sandbox).fingerprint == TextToSQL(items, sandbox).fingerprint


def test_shots_are_about_distinct_databases_and_repeat_with_the_seed() -> None:
    train = [Item(f"train/{n:04d}", f"db{n % 4}", "?", "SELECT 1") for n in range(200)]
    draws = [choose_shots(train, 3, seed=seed) for seed in range(20)]
    assert all(len({shot.group for shot in draw}) == 3 for draw in draws)
    assert choose_shots(reversed(train), 3, seed=7) == draws[7]
    assert choose_shots(train, 2, seed=7) == draws[7][:2]
    assert len({draw[0].id for draw in draws}) > 10
    assert choose_shots(train, 0, seed=7) == ()
    with pytest.raises(DataError, match=r"5 shots about different databases .* has 4 databases"):
        choose_shots(train, 5, seed=7)


def test_items_left_out_are_never_shots() -> None:
    train = [Item("train/0000", "a", "?", "SELECT 1", left_out="bad gold"), Item("train/0001", "b", "?", "SELECT 1")]
    assert [shot.id for shot in choose_shots(train, 1, seed=0)] == ["train/0001"]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        (" SELECT a FROM t", "SELECT a FROM t"),
        ("SELECT a  ,\n b FROM t\n", "SELECT a  ,\n b FROM t"),
        ("SQL: SELECT a FROM t; SELECT b", "SELECT a FROM t"),
        ("SQLite query:\nselect a from t", "select a from t"),
        ("The query you want is SELECT a FROM t", "SELECT a FROM t"),
        ("Here you go:\n```sql\nSELECT a FROM t\n```\nI will select more.", "SELECT a FROM t"),
        ("To select a:\n```sql\nSELECT a FROM t\n```", "SELECT a FROM t"),
        ("```\nSELECT a FROM t", "SELECT a FROM t"),
        ("```SELECT a FROM t```", "SELECT a FROM t"),
        ("SELECT a FROM t\n```\nDone.", "SELECT a FROM t"),
        ("```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2\n```", "SELECT 1"),
        ('SELECT ";", `;`, [;] -- ;\n, 1 /* ; */ FROM t; x', 'SELECT ";", `;`, [;] -- ;\n, 1 /* ; */ FROM t'),
        ("SELECT 'it''s; so' FROM t;", "SELECT 'it''s; so' FROM t"),
        ("SELECT a FROM t\n\nThis query lists a.", "SELECT a FROM t"),
        ("SELECT a\n\nFROM t\n\nWHERE b = 'x\n\ny'", "SELECT a\n\nFROM t\n\nWHERE b = 'x\n\ny'"),
        ("WITH c AS (SELECT 1)\n\nSELECT * FROM c", "WITH c AS (SELECT 1)\n\nSELECT * FROM c"),
        ("With care: WITH RECURSIVE c(n) AS (SELECT 1) SELECT n", "WITH RECURSIVE c(n) AS (SELECT 1) SELECT n"),
        ("With the schema given: SELECT a FROM t", "SELECT a FROM t"),
        ("DELETE FROM t WHERE a IN (SELECT a FROM t)", "DELETE FROM t WHERE a IN (SELECT a FROM t)"),
        ("```sql\nDROP TABLE t;\n```", "DROP TABLE t"),
        ("SQL: insert into t select 1", "insert into t select 1"),
        ("I selected nothing without a query.", ""),
        ("", ""),
        ("```", ""),
    ],
)
def test_sql_is_found_in_a_reply(text: str, sql: str) -> None:
    assert extract_sql(text) == sql


@given(st.text(alphabet=" \n;'\"`[]()-/*SELECTWITHASselect:,.a1"))
def test_extraction_never_fails_and_is_stable(text: str) -> None:
    once = extract_sql(text)
    assert once in text
    assert extract_sql(once) == once


def test_every_real_gold_query_is_found_whole_and_scores_right(shared_data: Path, sandbox: Sandbox) -> None:
    dev = load_spider(shared_data / "spider", "dev")
    train = load_spider(shared_data / "spider", "train")
    assert all(extract_sql(f" {item.gold}") == item.gold.rstrip("; ") for item in (*dev, *train))
    outcomes = TextToSQL(dev, sandbox).score(dev, [reply(f" {item.gold}") for item in dev])
    assert all(outcome.correct and outcome.reason == "ok" for outcome in outcomes)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("To select all names, use: SELECT name FROM t", "SELECT name FROM t"),
        ("<think>\nselect maybe\n</think>\nSELECT 5", "SELECT 5"),
        ("Create a query: SELECT 2", "SELECT 2"),
        ("Replace the x with SELECT 1", "SELECT 1"),
        ("DELETE FROM t WHERE a IN (SELECT 1)", "DELETE FROM t WHERE a IN (SELECT 1)"),
        ("SELECT name FROM t WHERE a = 1\nQ: How many rows?\nA: SELECT 2", "SELECT name FROM t WHERE a = 1"),
        ("SELECT name FORM t", "SELECT name FORM t"),
    ],
)
def test_a_model_that_talks_is_judged_by_its_query(text: str, sql: str) -> None:
    assert extract_sql(text) == sql


def test_why_an_item_is_left_out_does_not_change_what_was_asked(sandbox: Sandbox, items: tuple[Item, ...]) -> None:
    count, who = items
    reworded = TextToSQL((count, replace(who, left_out="why")), sandbox)
    assert reworded.fingerprint == TextToSQL(items, sandbox).fingerprint


def test_a_statement_that_takes_ages_to_compile_is_told_from_prose_at_once() -> None:
    # Two references to the one before, 60 deep: compiled, it would take 2^60 steps.
    links = ["c0 AS (SELECT 1 x)", *(f"c{n} AS (SELECT a.x FROM c{n - 1} a, c{n - 1} b)" for n in range(1, 61))]
    statement = f"WITH {', '.join(links)} SELECT x FROM c60"
    assert extract_sql(f"Sure, select this:\n{statement}; thanks") == statement
