from collections import Counter
from pathlib import Path

import pytest

from contrapeso.data import CATEGORY_OF_SUBJECT, load_mmlu, mmlu_folder
from contrapeso.errors import DataError

HEADER = "question,choice0,choice1,choice2,choice3,answer\n"


def make_mmlu(folder: Path, test: str, *, dev: str = "1 + 1?,1,2,3,4,B\n", subject: str = "sums") -> Path:
    for split, content in (("test", test), ("dev", dev)):
        (folder / split).mkdir(exist_ok=True)
        (folder / split / f"{subject}_{split}.csv").write_text(content, encoding="utf-8")
    return folder


def test_both_layouts_give_the_same_items_told_apart_file_by_file(tmp_path: Path) -> None:
    rows = [("2 + 2?", "3", "4", "5", "6", 1), ("3 + 3?", "6", "7", "8", "9", 0)]
    numbered = HEADER + "".join(f"{','.join(map(str, row))}\n" for row in rows)
    lettered = "".join(f"{','.join(map(str, row[:5]))},{'ABCD'[row[5]]}\n" for row in rows)
    (tmp_path / "numbered").mkdir()
    (tmp_path / "lettered").mkdir()
    first = load_mmlu(make_mmlu(tmp_path / "numbered", numbered))
    assert first == load_mmlu(make_mmlu(tmp_path / "lettered", lettered))
    assert [(item.id, item.group, item.gold, item.choices) for item in first.test] == [
        ("sums/0000", "sums", "B", ("3", "4", "5", "6")),
        ("sums/0001", "sums", "A", ("6", "7", "8", "9")),
    ]
    assert [(item.id, item.gold) for item in first.dev["sums"]] == [("dev/sums/0000", "B")]


def test_cells_keep_line_breaks_commas_quotes_and_the_word_none(tmp_path: Path) -> None:
    content = '"A, ""b""\nor c?",None,NaN,, 4 ,D\n'
    (item,) = load_mmlu(make_mmlu(tmp_path, content)).test
    assert item.question == 'A, "b"\nor c?'
    assert item.choices == ("None", "NaN", "", " 4 ")


def test_a_byte_order_mark_does_not_hide_the_header(tmp_path: Path) -> None:
    (item,) = load_mmlu(make_mmlu(tmp_path, "\ufeff" + HEADER + "q,a,b,c,d,3\n")).test
    assert (item.question, item.gold) == ("q", "D")


def test_subjects_and_a_limit_choose_questions_but_no_fewer_shots(tmp_path: Path) -> None:
    for subject in ("sums", "art", "zoology"):
        make_mmlu(tmp_path, "q1,a,b,c,d,A\nq2,a,b,c,d,A\n", dev="s1,a,b,c,d,A\ns2,a,b,c,d,A\n", subject=subject)
    chosen = load_mmlu(tmp_path, subjects=("zoology", "art"), limit_per_subject=1)
    assert [item.id for item in chosen.test] == ["art/0000", "zoology/0000"]
    assert {subject: len(shots) for subject, shots in chosen.dev.items()} == {"art": 2, "zoology": 2}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("q,a,b,c,d,E\n", r"sums_test.csv, record 1: the answer is 'E', expected one of A, B, C, D \(without"),
        ("q,a,b,c,d,1\n", r"record 1: the answer is '1', expected one of A, B, C, D \(without the header"),
        (HEADER + "q,a,b,c,d,0\nq,a,b,c,d,4\n", r"record 3: the answer is '4', expected one of 0, 1, 2, 3 \(with"),
        ('"two\nlines",a,b,c,d,A\nq,a,b,c,A\n', r"record 2: 5 columns where 6 are expected"),
        ("", r"sums_test.csv is empty"),
        (HEADER, r"sums_test.csv holds no questions"),
        ('"never closed,a,b,c,d,A\n', r"cannot read .*sums_test.csv as CSV"),
    ],
)
def test_a_malformed_file_is_named_with_the_record(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        load_mmlu(make_mmlu(tmp_path, content))


def test_an_unknown_subject_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    make_mmlu(tmp_path, "q,a,b,c,d,A\n", subject="astronomy")
    make_mmlu(tmp_path, "q,a,b,c,d,A\n", subject="virology")
    with pytest.raises(DataError, match=r"no subject 'astrology'; the nearest name is 'astronomy'"):
        load_mmlu(tmp_path, subjects=("virology", "astrology"))


def test_missing_files_are_named_with_the_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file matches .*\*_test.csv: expected dev/<subject>_dev.csv"):
        load_mmlu(tmp_path)
    make_mmlu(tmp_path, "q,a,b,c,d,A\n")
    (tmp_path / "dev" / "sums_dev.csv").unlink()
    with pytest.raises(DataError, match=r"there is no .*sums_dev.csv: expected"):
        load_mmlu(tmp_path)
    with pytest.raises(DataError, match="there is no data folder"):
        mmlu_folder(tmp_path / "nowhere")


def test_the_real_set_is_the_same_in_both_layouts(shared_data: Path) -> None:
    mmlu = load_mmlu(shared_data / "mmlu")
    assert mmlu == load_mmlu(shared_data / "mmlu" / "hendrycks_layout")
    assert len(mmlu.test) == len({item.id for item in mmlu.test}) == 14_042
    assert Counter(item.gold for item in mmlu.test) == {"A": 3222, "B": 3462, "C": 3582, "D": 3776}
    assert {len(shots) for shots in mmlu.dev.values()} == {5} and len(mmlu.dev) == 57
    assert sum(choice == "None" for item in mmlu.test for choice in item.choices) == 10


def test_every_real_subject_has_a_category_and_the_categories_their_published_sizes(shared_data: Path) -> None:
    mmlu = load_mmlu(shared_data / "mmlu")
    assert set(mmlu.dev) == set(CATEGORY_OF_SUBJECT)
    sizes = Counter(CATEGORY_OF_SUBJECT[item.group] for item in mmlu.test)
    assert sizes == {"STEM": 3153, "Humanities": 4705, "Social Sciences": 3077, "Other": 3107}
