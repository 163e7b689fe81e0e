"""Predictions from anywhere: every form gives the same queries, and nothing is ever shifted in silence."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contrapeso.data import load_questions, read_predictions, spider_folder
from contrapeso.errors import DataError
from contrapeso.tasks.base import Item, Outcome

ITEMS = (
    Item("dev/0000", "zoo", "How many?", "SELECT 1"),
    Item("dev/0001", "zoo", "Which ones?\nHint: by name", "SELECT 2;"),
    Item("dev/0002", "harbour", "Which ships?", "SELECT 3"),
)
SQL = ["SELECT 'a,\"b'", "", "SELECT\n 3"]
FLAT = ["SELECT 'a'", "", "SELECT 3"]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def as_csv(columns: dict[str, list[str]]) -> str:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerows([list(columns), *zip(*columns.values(), strict=True)])
    return table.getvalue()


def as_jsonl(values: list) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


OUTCOMES = [
    Outcome(item.id, item.group, item.gold, sql, False, "x", "", 1, False, True).to_json()
    for item, sql in zip(ITEMS, SQL, strict=True)
]
MULTI_LINE_FORMS = {
    "texts.json": json.dumps(SQL),
    "texts.jsonl": as_jsonl(SQL),
    "null.json": json.dumps([SQL[0], None, SQL[2]]),
    "objects.json": json.dumps([{"predicted_sql": sql} for sql in SQL]),
    "objects.jsonl": as_jsonl([{"question": i.question, "prediction": s} for i, s in zip(ITEMS, SQL, strict=True)]),
    "gold_beside.json": json.dumps([{"query": "SELECT gold", "pred_sql": sql} for sql in SQL]),
    "plain.json": json.dumps([{"sql": sql} for sql in SQL]),
    "shuffled.json": json.dumps({"2": SQL[2], "0": SQL[0], "1": SQL[1]}),
    "bird.json": json.dumps(
        {str(n): f"{sql}\t----- bird -----\t{ITEMS[n].group}" for n, sql in enumerate(SQL)},
    ),
    "outcomes.jsonl": as_jsonl(OUTCOMES),
    "outcomes_in_batch_order.jsonl": as_jsonl([OUTCOMES[2], OUTCOMES[0], OUTCOMES[1]]),
    "original.csv": as_csv(
        {
            "question": ["How many?", "Which ones?", "Which ships?"],
            "generated_sql": SQL,
            "expected_sql": ["SELECT 1", "select  2", "SELECT 3 ;"],
            "score": ["1.0", "0.0", "0.0"],
        }
    ),
    "scored.csv": as_csv({"index": ["2", "0", "1"], "generated_sql": [SQL[2], SQL[0], SQL[1]]}),
    "LOUD.CSV": as_csv({"generated_sql": SQL, "n": ["", "", ""]}),
    "marked.csv": "\ufeff" + as_csv({"Generated_SQL ": SQL}),
}
LINE_FORMS = {
    "lines.sql": "SELECT 'a'\n\nSELECT 3\n",
    "no_end.txt": "SELECT 'a'\n\nSELECT 3",
    "windows.txt": "SELECT 'a'\r\n\r\nSELECT 3\r\n",
    "mark.sql": "\ufeffSELECT 'a'\n\nSELECT 3\n",
    "official.txt": "SELECT 'a'\tzoo\n\tzoo\nSELECT 3\tharbour\n",
    "official_with_a_gap.out": "SELECT 'a'\tzoo\n\nSELECT 3\tharbour\n",
}


@pytest.mark.parametrize("name", MULTI_LINE_FORMS)
def test_every_structured_form_gives_the_same_queries_letter_for_letter(tmp_path: Path, name: str) -> None:
    assert read_predictions(write(tmp_path, name, MULTI_LINE_FORMS[name]), ITEMS) == SQL


@pytest.mark.parametrize("name", LINE_FORMS)
def test_every_form_of_lines_gives_the_same_queries(tmp_path: Path, name: str) -> None:
    assert read_predictions(write(tmp_path, name, LINE_FORMS[name]), ITEMS) == FLAT


@given(st.lists(st.text().filter(lambda text: "--- bird ---" not in text), min_size=3, max_size=3))
def test_any_text_survives_json_csv_and_back(tmp_path_factory, queries: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    assert read_predictions(write(folder, "a.json", json.dumps(queries)), ITEMS) == queries
    table = as_csv({"question": [i.question for i in ITEMS], "generated_sql": queries})
    assert read_predictions(write(folder, "a.csv", table), ITEMS) == queries


def test_a_tab_inside_sql_is_white_space(tmp_path: Path) -> None:
    lines = ["SELECT\tname FROM animal", "SELECT 2", "SELECT name\tFROM ship"]
    assert read_predictions(write(tmp_path, "a.sql", "\n".join(lines)), ITEMS) == lines


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    lines = ["SELECT 'a\u2028b'", "SELECT '\x0b'", "SELECT '\x85'"]
    assert read_predictions(write(tmp_path, "a.sql", "\n".join(lines) + "\n"), ITEMS) == lines


def test_a_cell_of_a_megabyte_is_read(tmp_path: Path) -> None:
    long = "SELECT '" + "x" * 1_000_000 + "'"
    file = write(tmp_path, "a.csv", as_csv({"generated_sql": [long, "", ""], "n": ["0", "1", "2"]}))
    assert read_predictions(file, ITEMS)[0] == long


def test_half_a_surrogate_pair_becomes_a_replacement_character(tmp_path: Path) -> None:
    file = write(tmp_path, "a.json", '["SELECT \'\\ud83d\'", "", ""]')
    assert read_predictions(file, ITEMS)[0] == "SELECT '\N{REPLACEMENT CHARACTER}'"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (
            "a.sql",
            "SELECT 1\nSELECT 2\n",
            r"holds 2 predictions for 3 questions \(dev/0000 to dev/0002\).* limit to 2 ",
        ),
        ("a.sql", "SELECT 1\nSELECT 2\nSELECT 3\n\n", r"holds 4 predictions \(1 of them empty\) for 3 questions"),
        ("a.sql", "", r"holds 1 predictions \(1 of them empty\) for 3"),
        ("a.json", "[]", r"holds 0 predictions for 3"),
        ("a.csv", as_csv({"generated_sql": SQL[:2]}), r"holds 2 predictions \(1 of them empty\) for 3"),
        ("a.json", '{"0": "", "1": "", "3": ""}', r"no prediction for question 2 \(from 0\), dev/0002"),
        ("a.sql", "S\tzoo\nS\tharbour\nS\tharbour\n", r"line 2: database 'harbour', but dev/0001 is about 'zoo'"),
        ("a.sql", "S\tzoo\nS\nS\tharbour\n", r"line 1 ends in a tab and the database 'zoo', line 2 does not"),
        ("a.sql", "S\tfarm\nS\tfarm\nS\tfarm\n", r"line 1: database 'farm', but dev/0000 is about 'zoo'"),
        (
            "a.csv",
            as_csv({"question": ["Which ones?", "How many?", "Which ships?"], "generated_sql": SQL}),
            r"row 2: question 'Which ones\?', but dev/0000 asks 'How many\?'; the predictions are in another order",
        ),
        (
            "a.csv",
            as_csv({"expected_sql": ["SELECT 1", "SELECT 9", "SELECT 3"], "generated_sql": SQL}),
            r"row 3: gold SQL 'SELECT 9', but that of dev/0001 is 'SELECT 2;'",
        ),
        ("a.jsonl", as_jsonl([OUTCOMES[0], OUTCOMES[0], OUTCOMES[2]]), r"line 1 and line 2 both answer question 0"),
        (
            "a.jsonl",
            as_jsonl([{**row, "item": f"astronomy/000{n}"} for n, row in enumerate(OUTCOMES)]),
            r"line 1: answers 'astronomy/0000', which is not among the questions dev/0000 to dev/0002",
        ),
        (
            "a.json",
            json.dumps({"0": "S\t----- bird -----\tfarm", "1": "", "2": ""}),
            r"key 0: database 'farm', but dev/0000 is about 'zoo'",
        ),
        (
            "a.json",
            json.dumps([{"answer": "", "index": 1}, {"answer": ""}, {"answer": ""}]),
            r"entry 0: answers question 1 \(from 0\) in place 0, and other entries do not say",
        ),
        ("a.json", '{"first": "SELECT 1"}', r"expected a list, or an object whose keys are .* found 'first'"),
        ("a.json", "[1, 2, 3]", r"entry 0: expected an object with named values, found a number"),
        ("a.json", '[{"text": "SELECT 1"}, "", ""]', r"entry 0: no SQL under generated_sql, .*; it has text"),
        (
            "a.json",
            '[{"prediction": "SELECT 1", "answer": "SELECT 2"}, "", ""]',
            r"entry 0: prediction and answer name different texts",
        ),
        ("a.csv", "SELECT 1\nSELECT 2\nSELECT 3\nSELECT 4\n", r"row 2: no SQL under .*; it has SELECT 1"),
        ("a.sql", b"SELECT 1\nSELECT 'caf\xe9'\nSELECT 3\n", r"cannot read .*: line 2 is not utf-8 \(byte 0xe9\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_place_found_and_expected(
    tmp_path: Path, name: str, content: str | bytes, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        read_predictions(write(tmp_path, name, content), ITEMS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*nowhere.sql; check the path"):
        read_predictions(tmp_path / "nowhere.sql", ITEMS)


def test_predictions_shifted_by_one_are_refused_wherever_the_file_can_tell(tmp_path: Path) -> None:
    items = load_questions(spider_folder("pocket"))
    shifted = [{"question": item.question, "prediction": item.gold} for item in items[1:] + items[:1]]
    with pytest.raises(DataError, match="entry 0: question"):
        read_predictions(write(tmp_path, "a.json", json.dumps(shifted)), items)


def test_the_published_predictions_of_spider_are_read_whole(shared_data: Path) -> None:
    items = load_questions(shared_data / "spider")
    for file in sorted((shared_data / "spider_predictions").glob("*.sql")):
        assert read_predictions(file, items) == file.read_text(encoding="utf-8").splitlines()


def test_the_originals_results_are_refused_against_a_newer_version_of_the_questions(shared_data: Path) -> None:
    items = load_questions(shared_data / "spider", limit=100)
    with pytest.raises(DataError, match=r"row 18: question 'What is the average and .*but dev/0016 asks"):
        read_predictions(shared_data / "seed_results" / "avaliacao_Baseline_Model.csv", items)


@pytest.mark.parametrize("shift", [-2, -1, 1, 2])
def test_bare_lines_that_are_shifted_are_refused_because_they_resemble_their_neighbours(
    tmp_path: Path, shift: int
) -> None:
    items = load_questions(spider_folder("pocket"))
    lines = [item.gold.replace("SELECT ", "SELECT DISTINCT ") for item in items]
    moved = lines[-shift:] + lines[:-shift]
    with pytest.raises(DataError, match=f"{abs(shift)} places? {'before' if shift > 0 else 'after'} their own"):
        read_predictions(write(tmp_path, "a.sql", "\n".join(moved)), items)
    assert read_predictions(write(tmp_path, "b.sql", "\n".join(lines)), items) == lines


def test_predictions_that_resemble_nothing_are_only_wrong(tmp_path: Path) -> None:
    items = load_questions(spider_folder("pocket"))
    for lines in (["SELECT 1"] * len(items), [""] * len(items), [items[0].gold] * len(items)):
        assert read_predictions(write(tmp_path, "a.sql", "\n".join(lines) + "\n"), items) == lines
