"""Bring your own: every layout of questions and databases that is read, and every doubt that is an error."""

from pathlib import Path

import pytest
from own_data import QUESTIONS, make_bird, make_database, make_own, write_questions

from contrapeso.data import has_questions, load_questions, load_spider, spider_folder
from contrapeso.errors import DataError


def facts(items):
    return [{"question": item.question, "query": item.gold, "db_id": item.group} for item in items]


@pytest.mark.parametrize("file", ["questions.json", "questions.jsonl", "questions.csv", "dev.csv", "my_own.jsonl"])
def test_a_file_of_questions_beside_sqlite_files_is_enough(tmp_path: Path, file: str) -> None:
    items = load_questions(make_own(tmp_path, questions=file))
    assert facts(items) == QUESTIONS
    assert [item.id for item in items] == ["dev/0000", "dev/0001", "dev/0002"]
    assert [item.database for item in items] == [tmp_path / f"{name}.sqlite" for name in ("zoo", "zoo", "harbour")]


@pytest.mark.parametrize(
    "place",
    ["zoo.sqlite", "zoo.db", "zoo/zoo.sqlite3", "database/zoo/zoo.sqlite", "databases/zoo.db", "dev_databases/zoo.db"],
)
def test_databases_may_lie_in_any_of_the_usual_places(tmp_path: Path, place: str) -> None:
    write_questions(tmp_path / "questions.json", QUESTIONS[:1])
    (item,) = load_questions(make_database(tmp_path / place, "zoo") and tmp_path)
    assert item.database == tmp_path / place


@pytest.mark.parametrize(
    "names",
    [("question", "SQL", "db_id"), ("Question", "gold_sql", "database"), ("question", "expected_sql", "db")],
)
def test_the_names_of_the_three_texts_may_be_any_of_the_usual_ones(tmp_path: Path, names: tuple[str, ...]) -> None:
    make_own(tmp_path)
    renamed = [dict(zip(names, question.values(), strict=True)) for question in QUESTIONS]
    write_questions(tmp_path / "questions.json", renamed)
    assert facts(load_questions(tmp_path)) == QUESTIONS


def test_a_database_may_be_named_with_its_suffix_and_a_parsed_query_beside_the_text_does_not_count(tmp_path) -> None:
    make_database(tmp_path / "zoo.db", "zoo")
    write_questions(tmp_path / "questions.json", [{**QUESTIONS[0], "db_id": "zoo.db", "sql": {"select": []}}])
    (item,) = load_questions(tmp_path)
    assert (item.group, item.gold) == ("zoo", QUESTIONS[0]["query"])


@pytest.mark.parametrize("home", [".", "dev", "dev_20240627"])
def test_birds_layout_loads_with_the_evidence_as_part_of_the_question(tmp_path: Path, home: str) -> None:
    items = load_questions(make_bird(tmp_path, "dev", home=home))
    assert items[0].question == "How many animals?\nHint: animals are in animal"
    assert facts(items[1:]) == QUESTIONS[1:]
    assert items[2].database == tmp_path / home / "dev_databases" / "harbour" / "harbour.sqlite"


def test_birds_two_splits_have_their_own_databases(tmp_path: Path) -> None:
    make_bird(make_bird(tmp_path, "dev", home="dev_20240627"), "train", home="train")
    train, dev = load_questions(tmp_path, "train"), load_questions(tmp_path, "dev")
    assert train[0].id == "train/0000" and "train_databases" in str(train[0].database)
    assert dev[0].id == "dev/0000" and "dev_databases" in str(dev[0].database)


def test_a_set_without_train_questions_says_so_and_still_evaluates(tmp_path: Path) -> None:
    make_own(tmp_path)
    assert has_questions(tmp_path, "dev") and not has_questions(tmp_path, "train")
    with pytest.raises(DataError, match=r"has no train questions \(it holds harbour.sqlite, questions.json, zoo"):
        load_questions(tmp_path, "train")


def test_spiders_layout_is_left_to_its_own_reader() -> None:
    folder = spider_folder("pocket")
    for split in ("dev", "train"):
        assert has_questions(folder, split)
        assert load_questions(folder, split, limit=5) == load_spider(folder, split, limit=5)


def test_a_limit_asks_for_the_databases_of_the_first_questions_only(tmp_path: Path) -> None:
    make_own(tmp_path)
    (tmp_path / "harbour.sqlite").unlink()
    assert facts(load_questions(tmp_path, limit=2)) == QUESTIONS[:2]
    with pytest.raises(DataError, match=r"asks about the database 'harbour', but there is no harbour.sqlite"):
        load_questions(tmp_path)


def test_items_are_left_out_as_in_spiders_layout(tmp_path: Path) -> None:
    make_own(tmp_path)
    (tmp_path / "leave_out.json").write_text('{"items": {"dev/0001": "by the folder"}}', encoding="utf-8")
    items = load_questions(tmp_path, leave_out={"dev/0002": "by the study"})
    assert [item.left_out for item in items] == ["", "by the folder", "by the study"]


def test_two_files_of_questions_are_an_error_that_lists_both(tmp_path: Path) -> None:
    make_own(tmp_path, questions="dev.json")
    write_questions(tmp_path / "dev.csv")
    with pytest.raises(DataError, match=r"several files that may hold the dev questions: dev.json, dev.csv"):
        load_questions(tmp_path)


def test_two_unnamed_files_that_could_be_questions_are_an_error_too(tmp_path: Path) -> None:
    make_own(tmp_path, questions="a.json")
    write_questions(tmp_path / "b.csv")
    with pytest.raises(DataError, match=r"several files .*: a.json, b.csv"):
        load_questions(tmp_path)


def test_two_databases_of_one_name_are_an_error_that_lists_both(tmp_path: Path) -> None:
    make_own(tmp_path)
    make_database(tmp_path / "database" / "zoo" / "zoo.sqlite", "zoo")
    with pytest.raises(DataError, match=r"several databases called 'zoo': database/zoo/zoo.sqlite, zoo.sqlite"):
        load_questions(tmp_path)


def test_two_gold_queries_in_one_entry_are_an_error(tmp_path: Path) -> None:
    make_own(tmp_path)
    write_questions(tmp_path / "questions.json", [{**QUESTIONS[0], "SQL": "SELECT 1"}])
    with pytest.raises(DataError, match=r"questions.json, entry 0: query and SQL name different texts"):
        load_questions(tmp_path)


@pytest.mark.parametrize("name", ["../zoo", "a/b", "..", ".", "a\\b", "../zoo.sqlite"])
def test_the_name_of_a_database_cannot_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    inner = make_own(tmp_path / "inner")
    make_database(tmp_path / "zoo.sqlite", "zoo")
    write_questions(inner / "questions.json", [{**QUESTIONS[0], "db_id": name}])
    with pytest.raises(DataError, match=r"entry 0: '.*' cannot be the name of a database"):
        load_questions(inner)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("questions.json", "[]", r"questions.json holds no questions"),
        ("questions.json", '{"question": "?"}', r"questions.json: expected a list of entries, found an object"),
        ("questions.json", '["?"]', r"entry 0: expected an object with named values, found a text"),
        (
            "questions.json",
            '[{"question": "?", "db_id": "zoo"}]',
            r"no text under query or .* has question, db_id",
        ),
        ("questions.json", '[{"question": " ", "query": "S", "db_id": "zoo"}]', r"entry 0: no text under question"),
        ("questions.jsonl", '\n{"question"\n', r"questions.jsonl, line 2: not valid JSON"),
        ("questions.csv", "question,query,db_id\na,b\n", r"row 2: 2 cells where the header names 3 columns"),
        ("questions.csv", "question,query,query\n", r"two columns are called 'query'"),
        ("questions.csv", 'question,query,db_id\n"a,b,c\n', r"cannot read .*questions.csv as CSV"),
        ("questions.csv", "", r"questions.csv holds no questions"),
    ],
)
def test_a_malformed_file_is_named_with_the_place(tmp_path: Path, file: str, content: str, complaint: str) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    make_database(tmp_path / "zoo.sqlite", "zoo")
    with pytest.raises(DataError, match=complaint):
        load_questions(tmp_path)


def test_a_database_cut_short_is_named(tmp_path: Path) -> None:
    make_own(tmp_path)
    content = (tmp_path / "zoo.sqlite").read_bytes()
    (tmp_path / "zoo.sqlite").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"zoo.sqlite is cut short"):
        load_questions(tmp_path)


def test_a_folder_that_is_no_set_is_told_the_layouts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no dev questions \(it holds nothing\); expected Spider's layout .* BIRD's"):
        load_questions(tmp_path)


def test_half_a_surrogate_pair_in_a_question_is_an_error_that_names_the_item(tmp_path: Path) -> None:
    make_database(tmp_path / "zoo.sqlite", "zoo")
    write_questions(tmp_path / "questions.json", [QUESTIONS[0], QUESTIONS[1] | {"question": "Which \ud800?"}])
    with pytest.raises(DataError, match="dev/0001 holds half a surrogate pair"):
        load_questions(tmp_path)
