import json
import sqlite3
from pathlib import Path

import pytest

from contrapeso.data import load_spider, spider_folder
from contrapeso.errors import DataError


def make_spider(folder: Path, *, questions: int = 3) -> Path:
    entries = [{"db_id": "zoo", "question": f"Question {n}?", "query": f"SELECT {n}"} for n in range(questions)]
    (folder / "database" / "zoo").mkdir(parents=True)
    with sqlite3.connect(folder / "database" / "zoo" / "zoo.sqlite") as connection:
        connection.execute("CREATE TABLE animal (name TEXT)")
    for file in ("dev.json", "train_spider.json"):
        (folder / file).write_text(json.dumps(entries), encoding="utf-8")
    (folder / "tables.json").write_text('[{"db_id": "zoo"}]', encoding="utf-8")
    return folder


def test_items_carry_question_gold_group_database_and_a_stable_id(tmp_path: Path) -> None:
    folder = make_spider(tmp_path)
    first, second, _ = load_spider(folder, "train")
    assert (first.id, first.group, first.question, first.gold) == ("train/0000", "zoo", "Question 0?", "SELECT 0")
    assert first.database == folder / "database" / "zoo" / "zoo.sqlite"
    assert (second.id, second.left_out, second.choices) == ("train/0001", "", ())


def test_ids_grow_a_digit_after_ten_thousand_questions(tmp_path: Path) -> None:
    items = load_spider(make_spider(tmp_path, questions=10_002))
    assert [items[9_999].id, items[10_000].id] == ["dev/9999", "dev/10000"]


def test_a_limit_takes_the_first_questions_of_the_whole_split(tmp_path: Path) -> None:
    folder = make_spider(tmp_path)
    assert load_spider(folder, limit=2) == load_spider(folder)[:2]


def test_items_left_out_stay_in_the_list_with_their_reason(tmp_path: Path) -> None:
    folder = make_spider(tmp_path)
    (folder / "leave_out.json").write_text('{"items": {"dev/0001": "by the folder", "dev/0002": "by the folder"}}')
    items = load_spider(folder, leave_out={"dev/0002": "by the study", "train/0000": "the other split"})
    assert [item.left_out for item in items] == ["", "by the folder", "by the study"]
    assert [item.left_out for item in load_spider(folder, "train")] == ["", "", ""]


def test_an_item_beyond_the_limit_may_be_named_to_be_left_out(tmp_path: Path) -> None:
    assert len(load_spider(make_spider(tmp_path), limit=1, leave_out={"dev/0002": "why"})) == 1


@pytest.mark.parametrize("unknown", ["dev/0003", "0459", "test/0000", ""])
def test_leaving_out_an_unknown_item_names_it_and_the_range(tmp_path: Path, unknown: str) -> None:
    with pytest.raises(DataError, match=f"do not exist in .*dev.json: {unknown};.*dev/0000 to dev/0002"):
        load_spider(make_spider(tmp_path), leave_out={unknown: "why"})


@pytest.mark.parametrize("file", ["dev.json", "tables.json", "database/zoo/zoo.sqlite"])
def test_a_missing_file_is_named_with_the_expected_layout(tmp_path: Path, file: str) -> None:
    folder = make_spider(tmp_path)
    (folder / file).unlink()
    with pytest.raises(DataError, match=rf"{Path(file).name}: expected dev.json, train_spider.json"):
        load_spider(folder)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no data folder .*nowhere.*`pocket`"):
        spider_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("dev.json", '[\n {"db_id": "zoo",\n', r"dev.json, line 3: not valid JSON"),
        ("dev.json", "[]", r"dev.json: expected a non-empty list"),
        ("dev.json", '{"db_id": "zoo"}', r"dev.json: expected a non-empty list"),
        ("dev.json", '[{"db_id": "zoo", "question": "?"}]', r"dev.json, entry 0: no text under the key\(s\) query"),
        ("dev.json", '[{"db_id": "zoo", "question": null, "query": ""}]', r"entry 0: no text .* question"),
        ("dev.json", '[{"db_id": "zoo", "question": "", "query": ""}, 7]', r"entry 1: no text .* db_id"),
        ("dev.json", '[{"db_id": "../zoo", "question": "", "query": ""}]', r"entry 0: '../zoo' cannot be the name"),
        (
            "dev.json",
            '[{"db_id": "farm", "question": "", "query": ""}]',
            r"entry 0: database 'farm' is not in .*tables",
        ),
        ("dev.json", '[{"db_id": "..", "question": "", "query": ""}]', r"entry 0: '..' cannot be the name"),
        ("leave_out.json", '{"dev/0000": "why"}', r"leave_out.json: expected"),
        ("leave_out.json", '{"items": {"dev/0000": ""}}', r"leave_out.json: expected"),
        ("database/zoo/zoo.sqlite", "<html>not found</html>", r"zoo.sqlite is not a SQLite database .*<html>"),
        ("database/zoo/zoo.sqlite", "", r"zoo.sqlite is not a SQLite database"),
    ],
)
def test_a_malformed_file_is_named_with_the_place(tmp_path: Path, file: str, content: str, complaint: str) -> None:
    folder = make_spider(tmp_path)
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=complaint):
        load_spider(folder)


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    folder = make_spider(tmp_path)
    (folder / "dev.json").write_bytes(b"\xef\xbb\xbf" + (folder / "dev.json").read_bytes())
    assert len(load_spider(folder)) == 3


def test_a_file_in_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    folder = make_spider(tmp_path)
    (folder / "dev.json").write_bytes(b'[{"question": "caf\xe9"}]')
    with pytest.raises(DataError, match=r"cannot read .*dev.json.*utf-8"):
        load_spider(folder)


def test_the_real_set_has_7000_and_1034_questions_on_databases_that_open(shared_data: Path) -> None:
    folder = shared_data / "spider"
    train, dev = load_spider(folder, "train"), load_spider(folder, "dev")
    assert (len(train), len(dev)) == (7000, 1034)
    assert (len({item.group for item in train}), len({item.group for item in dev})) == (140, 20)
    assert dev[12].gold == "SELECT song_name FROM singer WHERE age  >  (SELECT avg(age) FROM singer)"
    databases = sorted((folder / "database").glob("*/*.sqlite"))
    assert len(databases) == 166 and {item.database for item in train + dev} <= set(databases)
    for database in databases:
        connection = sqlite3.connect(database.as_uri() + "?mode=ro&immutable=1", uri=True)
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
        connection.close()


def test_the_questions_on_the_empty_rankings_table_are_the_eight_to_leave_out(shared_data: Path) -> None:
    numbers = (459, 460, 469, 470, 471, 472, 479, 480)
    items = load_spider(shared_data / "spider", leave_out={f"dev/{n:04d}": "wta_1.rankings is empty" for n in numbers})
    assert [item for item in items if item.left_out] == [
        item for item in items if item.group == "wta_1" and "rankings" in item.gold.lower()
    ]
