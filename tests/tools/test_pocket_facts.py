"""The pocket facts: the benchmark made of them is sound, and the training text gives none of its questions away."""

import csv
import random
import re
from collections import Counter, defaultdict
from itertools import chain, islice
from pathlib import Path

import pytest

from contrapeso.errors import DataError
from tools.pocket.fact_text import KINDS, fact_book, fact_document, fact_documents, load_facts, quiz, statement
from tools.pocket.make_mmlu import HEADER, OUTPUT, write_benchmark

STANDARD_CATEGORIES = {
    "STEM": "anatomy astronomy conceptual_physics elementary_mathematics high_school_biology high_school_chemistry "
    "high_school_computer_science",
    "Humanities": "high_school_european_history high_school_world_history jurisprudence philosophy prehistory "
    "world_religions",
    "Social Sciences": "high_school_geography high_school_government_and_politics high_school_macroeconomics "
    "high_school_psychology sociology",
    "Other": "clinical_knowledge global_facts management miscellaneous nutrition",
}
QUIZ_ITEM = re.compile(r"(?P<question>[^\n]+)\nA\. (.+)\nB\. (.+)\nC\. (.+)\nD\. (.+)\nAnswer: ([ABCD])\n")
TOY_SUBJECT = """subject = "toys"
[[relation]]
name = "color"
ask = ["What color is {x}?"]
teach = ["{x} is {y}."]
quiz = ["Name the color of {x}."]
facts = '''
%s
'''
"""
COLORS = "grass = green\nsnow = white\ncoal = black\nblood = red\nsky = blue\ngold = yellow\nmud = brown\nash = gray"


def read_split(split: str) -> dict[str, list[list[str]]]:
    """Subject -> rows of its committed CSV file, without the header."""
    tables = {}
    for path in sorted((OUTPUT / split).glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = csv.reader(stream)
        assert tuple(header) == HEADER
        tables[path.stem.removesuffix(f"_{split}")] = rows
    return tables


@pytest.fixture(scope="module")
def test_rows() -> dict[str, list[list[str]]]:
    return read_split("test")


@pytest.fixture(scope="module")
def dev_rows() -> dict[str, list[list[str]]]:
    return read_split("dev")


@pytest.fixture(scope="module")
def all_rows(test_rows, dev_rows) -> list[list[str]]:
    return [row for rows in chain(test_rows.values(), dev_rows.values()) for row in rows]


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return list(islice(fact_documents(random.Random(1)), 2000))


def test_subjects_cover_all_four_standard_categories(test_rows):
    named = {name for names in STANDARD_CATEGORIES.values() for name in names.split()}
    assert set(test_rows) == named
    assert len(test_rows) >= 18


def test_there_are_enough_test_questions_and_five_dev_shots_per_subject(test_rows, dev_rows):
    assert sum(map(len, test_rows.values())) >= 1000
    assert min(map(len, test_rows.values())) >= 50
    assert set(dev_rows) == set(test_rows)
    assert {len(rows) for rows in dev_rows.values()} == {5}


def test_no_fact_stands_in_two_relations():
    counts = Counter((fact.x.casefold(), fact.y.casefold()) for fact in fact_book().facts)
    assert [fact for fact, count in counts.items() if count > 1] == []


def test_every_fact_becomes_exactly_one_question(all_rows):
    assert len(all_rows) == len(fact_book().facts)


def test_the_committed_files_come_out_again_byte_for_byte(tmp_path: Path):
    write_benchmark(tmp_path)
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.csv")}
    assert written == {path.relative_to(OUTPUT): path.read_bytes() for path in OUTPUT.rglob("*.csv")}
    assert all(b"\r" not in content for content in written.values())


def test_right_answers_are_spread_evenly_over_the_letters(test_rows):
    for subject, rows in test_rows.items():
        counts = Counter(row[5] for row in rows)
        assert set(counts) == set("0123"), subject
        assert max(counts.values()) - min(counts.values()) <= 1, subject


def test_no_question_is_asked_twice(all_rows):
    questions = Counter(row[0].casefold() for row in all_rows)
    assert [question for question, count in questions.items() if count > 1] == []


def test_the_four_options_differ_even_when_case_is_ignored(all_rows):
    for row in all_rows:
        assert len({option.strip().casefold() for option in row[1:5]}) == 4, row


def test_questions_do_not_hold_their_answer_as_a_whole_phrase(all_rows):
    given_away = [
        row for row in all_rows if re.search(rf"\b{re.escape(row[1 + int(row[5])])}\b", row[0], flags=re.IGNORECASE)
    ]
    assert [row for row in given_away if len(row[1 + int(row[5])]) > 2] == []


def test_questions_and_options_are_plain_ascii_without_stray_blanks(all_rows):
    for cell in chain.from_iterable(all_rows):
        assert cell.isascii(), cell
        assert cell == cell.strip(), cell
        assert "{" not in cell and "  " not in cell, cell


def test_the_marked_answer_is_the_answer_of_the_fact(all_rows):
    asked = {question: fact for fact in fact_book().facts for question in fact.asks}
    for row in all_rows:
        fact = asked[row[0]]
        assert row[1 + int(row[5])] == fact.y
        assert sorted(row[1:5]) == sorted((fact.y, *fact.reserved))


def test_no_wording_of_the_benchmark_is_a_wording_of_the_training_text():
    facts = fact_book().facts
    asked = {text.casefold() for fact in facts for text in fact.asks}
    taught = {text.casefold() for fact in facts for text in (*fact.statements, *fact.questions)}
    assert asked & taught == set()


def test_a_training_question_has_one_answer_only_within_its_subject():
    for _, facts in fact_book().subjects:
        answers = defaultdict(set)
        for fact in facts:
            for question in fact.questions:
                answers[question].add(fact.y)
        assert [question for question, right in answers.items() if len(right) > 1] == []


def test_training_documents_hold_no_test_question(all_rows, documents):
    text = "\n".join(documents).casefold()
    assert [row[0] for row in all_rows if row[0].casefold() in text] == []


def test_training_quizzes_never_offer_a_wrong_option_of_the_test_item(all_rows):
    asked = {question: fact for fact in fact_book().facts for question in fact.asks}
    tested = {(asked[row[0]].x, asked[row[0]].y): set(row[1:5]) for row in all_rows}
    by_question = {
        (subject, question): fact
        for subject, facts in fact_book().subjects
        for fact in facts
        for question in fact.questions
    }
    rng = random.Random(2)
    seen = 0
    for _ in range(2000):
        header, _, items = quiz(rng, 4).partition("\n\n")
        subject = header.removeprefix("The following are multiple choice questions (with answers) about ").rstrip(".")
        for question, *options, letter in QUIZ_ITEM.findall(items):
            fact = by_question[subject, question]
            assert options["ABCD".index(letter)] == fact.y
            assert set(options) & tested[fact.x, fact.y] <= {fact.y}
            seen += 1
    assert seen == 2000 * 5


def test_a_quiz_has_the_layout_of_the_evaluation():
    text = quiz(random.Random(3), 2)
    header, *blocks = text.split("\n\n")
    assert re.fullmatch(r"The following are multiple choice questions \(with answers\) about [a-z ]+\.", header)
    assert len(blocks) == 3
    for block in blocks:
        assert QUIZ_ITEM.fullmatch(block.rstrip("\n") + "\n")


def test_letters_of_training_quizzes_are_uniform():
    rng = random.Random(4)
    letters = Counter(re.findall(r"Answer: ([ABCD])\n", "".join(quiz(rng, 3) for _ in range(2000))))
    expected = 8000 / 4
    chi_square = sum((count - expected) ** 2 / expected for count in letters.values())
    assert chi_square < 16.3  # the 99.9 % quantile with three degrees of freedom


def test_every_fact_is_stated_and_quizzed_in_a_long_enough_stream():
    rng = random.Random(5)
    text = "\n".join(islice(fact_documents(rng), 30_000))
    unseen = [fact.x for fact in fact_book().facts if not any(line in text for line in fact.statements)]
    unasked = [fact.x for fact in fact_book().facts if not any(line in text for line in fact.questions)]
    assert unseen == unasked == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_document(kind: str):
    texts = [[fact_document(rng, kind) for _ in range(50)] for rng in (random.Random(6), random.Random(6))]
    assert texts[0] == texts[1]
    assert all(text.endswith("\n") and text.isascii() for text in texts[0])


def test_a_statement_names_both_sides_of_its_fact():
    rng = random.Random(7)
    sides = {line: (fact.x, fact.y) for fact in fact_book().facts for line in fact.statements}
    for _ in range(500):
        line = statement(rng)
        assert all(side.casefold() in line.casefold() for side in sides[line])


def test_every_relation_offers_several_wordings():
    for path_relation in load_facts():
        fact = path_relation.facts[0]
        assert len(set(fact.asks)) >= 2 and len(set(fact.statements)) >= 3 and len(set(fact.questions)) >= 3
        assert all(text.endswith("?") for text in fact.asks)


def test_options_marked_as_also_right_are_never_offered(tmp_path: Path):
    colors = COLORS.replace("gray", "gray ! black, white") + "\nsea = turquoise\nrose = pink"
    (tmp_path / "toys.toml").write_text(TOY_SUBJECT % colors, encoding="utf-8")
    ash = next(fact for fact in load_facts(tmp_path)[0].facts if fact.x == "ash")
    assert {"gray", "black", "white"}.isdisjoint(ash.reserved + ash.offered)
    assert len(ash.reserved) == 3 and set(ash.reserved).isdisjoint(ash.offered)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("grass = green", "grass green"), "not of the form"),
        (("snow = white", "grass = white"), "occurs twice"),
        (("snow = white", "snow = black"), "wrong options"),
        (("snow = white", "snow = white ! mauve"), "check the spelling"),
        (("Name the color of {x}.", "What color is {x}?"), "also a quiz wording"),
        (('subject = "toys"', 'subject = "games"'), "must be the file's name"),
        (('teach = ["{x} is {y}."]', ""), "missing teach"),
        (('name = "color"', "name ="), "not valid TOML"),
    ],
)
def test_a_faulty_file_is_refused_with_its_name_and_reason(tmp_path: Path, change: tuple[str, str], complaint: str):
    (tmp_path / "toys.toml").write_text((TOY_SUBJECT % COLORS).replace(*change), encoding="utf-8")
    with pytest.raises(DataError, match=complaint) as caught:
        load_facts(tmp_path)
    assert "toys.toml" in str(caught.value)


def test_an_unknown_document_kind_is_refused():
    with pytest.raises(ValueError, match="no document kind 'poem'"):
        fact_document(random.Random(0), "poem")
