"""The pocket Spider data and the SQL pretraining text keep their promises."""

import json
import random
import re
import sqlite3
import sys
from collections import Counter
from pathlib import Path
from string import Formatter

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))

from tools.pocket import make_spider, sql_text  # noqa: E402
from tools.pocket.questions import INTENTS, ask, condition  # noqa: E402
from tools.pocket.worlds import DEV, TRAIN  # noqa: E402
from tools.pocket.worlds.lexicon import NOUNS, word_for  # noqa: E402

DATA = REPOSITORY / "src" / "contrapeso" / "data" / "pocket" / "spider"


def load(name):
    return json.loads((DATA / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def splits():
    return {"train": load("train_spider.json"), "dev": load("dev.json")}


@pytest.fixture(scope="module")
def sampled_documents():
    rng = random.Random(11)
    return [sql_text.sql_document(rng) for _ in range(2000)]


def database_file(db_id):
    return DATA / "database" / db_id / f"{db_id}.sqlite"


def test_the_folder_is_what_the_generator_writes_byte_for_byte(tmp_path):
    make_spider.make(tmp_path)
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    shipped = {path.relative_to(DATA) for path in DATA.rglob("*") if path.is_file()}
    assert written == shipped
    assert [str(path) for path in written if (tmp_path / path).read_bytes() != (DATA / path).read_bytes()] == []


def test_the_folder_stays_under_a_megabyte():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 1_000_000


def test_there_are_enough_questions_spread_evenly_over_databases(splits):
    assert len(splits["train"]) >= 1000
    assert len(splits["dev"]) >= 320
    for rows, worlds in ((splits["train"], TRAIN), (splits["dev"], DEV)):
        counts = Counter(row["db_id"] for row in rows)
        assert set(counts) == {world.name for world in worlds}
        assert len(set(counts.values())) == 1


def test_levels_have_their_stated_shares(splits):
    for rows in splits.values():
        counts = Counter(make_spider.level(row["query"]) for row in rows)
        for name, share in make_spider.LEVEL_SHARES.items():
            assert counts[name] / len(rows) == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT count(*) FROM singer", "easy"),
        ("SELECT name FROM singer WHERE age BETWEEN 20 AND 30", "easy"),
        ("SELECT name FROM singer ORDER BY age DESC LIMIT 1", "medium"),
        ("SELECT a.name FROM b JOIN a ON b.a_id = a.a_id WHERE a.x > 1", "medium"),
        ("SELECT country FROM singer GROUP BY country ORDER BY count(*) DESC LIMIT 1", "hard"),
        ("SELECT a.name FROM b JOIN a ON b.a_id = a.a_id GROUP BY a.name HAVING count(*) > 2", "extra"),
    ],
)
def test_levels_follow_the_structure_of_the_query(sql, expected):
    assert make_spider.level(sql) == expected


def test_every_gold_query_runs_and_says_something(splits):
    for row in splits["train"] + splits["dev"]:
        connection = sqlite3.connect(f"{database_file(row['db_id']).as_uri()}?mode=ro", uri=True)
        rows = connection.execute(row["query"]).fetchall()
        connection.close()
        assert any(cell not in (None, 0) for found in rows for cell in found), row


def test_a_ranking_with_a_tie_is_not_asked():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE cake (name TEXT, price REAL)")
    connection.executemany("INSERT INTO cake VALUES (?, ?)", [("a", 3), ("b", 3), ("c", 1)])

    def telling(sql):
        return make_spider.is_telling(make_spider.Question("", sql, "", ()), connection)

    assert not telling("SELECT name FROM cake ORDER BY price DESC LIMIT 1")
    assert not telling("SELECT name FROM cake ORDER BY price")
    assert telling("SELECT name FROM cake ORDER BY price LIMIT 1")


def test_a_comparison_that_changes_nothing_is_not_asked():
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE cake (name TEXT, price REAL)")
    connection.executemany("INSERT INTO cake VALUES (?, ?)", [("a", 3), ("b", 2)])
    for comparison, worth in (("price > 1", False), ("price > 2", True)):
        question = make_spider.Question("", f"SELECT name FROM cake WHERE {comparison}", "", (comparison,))
        assert make_spider.is_telling(question, connection) is worth


def test_no_question_is_asked_twice_of_a_database(splits):
    for rows in splits.values():
        assert len({(row["db_id"], row["question"]) for row in rows}) == len(rows)
        assert len({(row["db_id"], row["query"]) for row in rows}) == len(rows)


def test_values_in_conditions_stand_in_the_question(splits):
    for row in splits["train"] + splits["dev"]:
        for value in re.findall(r"(?<!LIKE )'([^']+)'", row["query"]):
            assert value in row["question"] or value.strip("%") in row["question"], row


def test_dev_shares_no_database_table_set_or_question_with_train(splits):
    assert not {world.name for world in DEV} & {world.name for world in TRAIN}
    assert not {world.table_set for world in DEV} & {world.table_set for world in TRAIN}
    assert not {row["question"] for row in splits["dev"]} & {row["question"] for row in splits["train"]}
    assert not {row["query"] for row in splits["dev"]} & {row["query"] for row in splits["train"]}


def test_tables_json_agrees_with_the_database_files():
    for entry in load("tables.json"):
        connection = sqlite3.connect(f"{database_file(entry['db_id']).as_uri()}?mode=ro", uri=True)
        columns = entry["column_names_original"]
        assert columns[0] == [-1, "*"]
        for place, name in enumerate(entry["table_names_original"]):
            real = connection.execute(f"PRAGMA table_info({name})").fetchall()
            stated = [
                (column, kind)
                for (table, column), kind in zip(columns, entry["column_types"], strict=True)
                if table == place
            ]
            assert stated == [(row[1], "text" if row[2] == "TEXT" else "number") for row in real]
            assert [columns[key][1] for key in entry["primary_keys"] if columns[key][0] == place] == [
                row[1] for row in real if row[5]
            ]
            real_links = {(row[3], row[2], row[4]) for row in connection.execute(f"PRAGMA foreign_key_list({name})")}
            assert real_links == {
                (columns[child][1], entry["table_names_original"][columns[parent][0]], columns[parent][1])
                for child, parent in entry["foreign_keys"]
                if columns[child][0] == place
            }
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()


def test_specifications_are_small_linked_and_made_of_lexicon_words():
    assert len(TRAIN) >= 18
    assert len(DEV) >= 8
    for world in (*TRAIN, *DEV):
        assert 2 <= len(world.tables) <= 3
        assert world.links
        for table in world.tables:
            assert table.name in NOUNS, f"{world.name}: the noun {table.name!r} is not in the lexicon"
            assert 3 <= len(table.columns) <= 7
            assert 6 <= len(table.key.values) <= 18
            for column in table.columns:
                assert len(column.values) == len(table.key.values)
                assert word_for(column.name)
                if column.role == "label":
                    assert len(set(column.values)) == len(column.values), f"{world.name}.{table.name} repeats a name"


def test_some_parents_have_no_children():
    for world in (*TRAIN, *DEV):
        for link in world.links:
            used = next(column for column in link.child.columns if column.name == link.column).values
            assert set(used) < set(link.parent.key.values)


def test_the_two_sets_share_no_wording():
    study = [wording for intent in INTENTS for wording in intent.study]
    pretraining = [wording for intent in INTENTS for wording in intent.pretraining]
    assert len(set(study)) == len(study)
    assert len(set(pretraining)) == len(pretraining)
    assert not set(study) & set(pretraining)
    for fragments in (*condition.TEXT_CONDITIONS, condition.PLACE_CONDITION, *condition.NUMBER_CONDITIONS):
        assert not set(fragments.study) & set(fragments.pretraining)
    assert all(len(intent.study) >= 4 and len(intent.pretraining) >= 4 for intent in INTENTS)


def test_wordings_use_only_slots_their_query_has():
    for intent in INTENTS:
        known = {name.partition(".")[0] for _, name, _, _ in Formatter().parse(intent.sql) if name}
        for wording in intent.study + intent.pretraining:
            used = {name.partition(".")[0] for _, name, _, _ in Formatter().parse(wording) if name}
            assert used <= known, f"{intent.name}: {wording}"


def test_every_intent_is_asked_somewhere(splits):
    shapes = [
        re.compile(re.escape(re.sub(r"{[^}]*}", "\0", intent.sql)).replace("\0", ".+").replace("\\\0", ".+"))
        for intent in INTENTS
    ]
    queries = [row["query"] for row in splits["train"]]
    assert all(any(shape.fullmatch(query) for query in queries) for shape in shapes)


def test_pretraining_text_holds_no_dev_question_and_no_pocket_schema(splits, sampled_documents):
    known = {row["question"] for row in splits["dev"] + splits["train"]}
    text = "\n".join(sampled_documents)
    assert not [question for question in known if question in text]
    rng = random.Random(12)
    assert all(sql_text.random_world(rng).table_set not in sql_text.POCKET_TABLE_SETS for _ in range(2000))


def test_only_the_task_layout_shows_the_task_layout(sampled_documents):
    assert not [text for text in sampled_documents if "[INST]" in text or "Write one SQLite query" in text]
    text = sql_text.task_layout_document(random.Random(3))
    assert re.fullmatch(
        r"\[INST\] Write one SQLite query that answers the question\. Reply with the query only\.\n\n"
        r"(\w+\([\w, ]+\)\n){2,3}(\w+\.\w+ = \w+\.\w+\n){1,2}\nQuestion: .+ \[/INST\] SELECT .+",
        text,
    )


def test_invented_sql_parses_and_names_existing_columns():
    rng = random.Random(13)
    for _ in range(150):
        world = sql_text.random_world(rng)
        connection = sqlite3.connect(":memory:")
        for statement in make_spider.create_statements(world):
            connection.execute(statement)
        for question in sql_text.questions_about(world, 2, rng):
            connection.execute(question.sql)
        connection.close()


def test_every_layout_writes_and_one_seed_writes_one_text():
    for layout in sql_text.LAYOUTS:
        first, again = (sql_text.sql_document(random.Random(5), layout) for _ in range(2))
        assert first == again
        assert "SELECT" in first
    assert len(sql_text.LAYOUTS) >= 4


def test_an_intent_the_world_cannot_fill_is_declined():
    bridge = next(intent for intent in INTENTS if intent.scene == "bridge")
    library = next(world for world in TRAIN if world.name == "library")
    assert ask(bridge, library, rng=random.Random(0), pretraining=False) is None
