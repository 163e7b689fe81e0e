"""Multiple-choice questions from one file, in the layouts that are in circulation."""

import json

import pytest

from contrapeso.data.choices import load_choices
from contrapeso.errors import DataError

RECORDS = [
    {"question": "2 + 2?", "choices": ["3", "4", "5"], "answer": 1},
    {"question": "2 + 2?", "choices": ["3", "4", "5"], "answer": "B", "subject": "sums"},
    {"question": "2 + 2?", "options": ["three", "four"], "answer": "four"},
    {"question": "2 + 2?", "choices": {"text": ["3", "4"], "label": ["A", "B"]}, "answerKey": "B"},
    {"question": "2 + 2?", "choices": {"text": ["3", "4"], "label": ["1", "2"]}, "answerKey": "2"},
    {"sentence": "The trophy did not fit because _ was big.", "option1": "the case", "option2": "it", "answer": "1"},
    {"ctx": "She sat", "endings": ["on it.", "it on."], "label": "1"},
    {"question": "2 + 2?", "A": "3", "B": "4", "C": "5", "answer": "B"},
]
RIGHT = ["4", "4", "four", "4", "4", "the case", "it on.", "4"]


@pytest.mark.parametrize(("record", "right"), list(zip(RECORDS, RIGHT, strict=True)))
def test_every_layout_gives_the_same_kind_of_item(record, right, tmp_path):
    file = tmp_path / "set.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    (item,) = load_choices(file)
    assert item.choices["ABC".index(item.gold)] == right
    assert item.id == "set/0000" and item.group == record.get("subject", "set")


def test_json_lists_and_csv_say_the_same_as_json_lines(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(RECORDS[:1]), encoding="utf-8")
    (tmp_path / "b.csv").write_text("question,choice0,choice1,choice2,answer\n2 + 2?,3,4,5,1\n", encoding="utf-8")
    from_json, from_csv = (load_choices(tmp_path / name, prefix="x")[0] for name in ("a.json", "b.csv"))
    assert (from_json.question, from_json.choices, from_json.gold) == ("2 + 2?", ("3", "4", "5"), "B")
    assert (from_csv.question, from_csv.choices, from_csv.gold) == ("2 + 2?", ("3", "4", "5"), "B")


def test_a_line_break_inside_a_quoted_cell_belongs_to_the_question(tmp_path):
    (tmp_path / "b.csv").write_text('question,A,B,answer\n"one\ntwo?",x,y,B\n', encoding="utf-8")
    (item,) = load_choices(tmp_path / "b.csv")
    assert item.question == "one\ntwo?" and item.gold == "B"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no questions"),
        ("{", "cannot read"),
        ('{"question": "?", "choices": ["a"], "answer": 0}', "two to 26"),
        ('{"question": "?", "choices": ["a", ""], "answer": 0}', "empty"),
        ('{"question": "?", "choices": ["a", "b"], "answer": 7}', "is no option"),
        ('{"question": "?", "choices": ["a", "b"]}', "is no option"),
        ('{"choices": ["a", "b"], "answer": 0}', "no question"),
        ("[1]", "record 0"),
    ],
)
def test_a_broken_file_is_a_data_error_that_says_where(text, words, tmp_path):
    file = tmp_path / "bad.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"bad\.jsonl.*{words}|{words}"):
        load_choices(file)
