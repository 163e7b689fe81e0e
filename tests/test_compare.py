"""`contrapeso compare`: three ways in, one paired comparison out, against hand counts and independent statistics."""

import json
from pathlib import Path

import pytest
from own_data import make_own
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportions_ztest
from studies import contrapeso

from contrapeso.answers import answers_in_outcomes, answers_in_predictions, answers_in_table
from contrapeso.compare import compare_answers, comparison_lines
from contrapeso.errors import DataError, StudyError
from contrapeso.tasks.base import Outcome


def table(folder: Path, text: str) -> Path:
    file = folder / "table.csv"
    file.write_text(text, encoding="utf-8")
    return file


def outcomes(file: Path, correct: list[bool], *, sql: bool = False, names: list[str] | None = None, **changes) -> Path:
    names = names or [f"s/{place:04d}" for place in range(len(correct))]
    rows = [
        Outcome(
            item=name,
            group="a" if place % 2 else "b",
            gold="A",
            answer="A" if right else "B",
            correct=right,
            reason="ok" if right else "wrong",
            prompt_sha="",
            prompt_tokens=1,
            truncated=False,
            stopped=True,
            rules={"unordered": right, "spider": not right, "strict": right} if sql else {},
            **changes,
        ).to_json()
        for place, (name, right) in enumerate(zip(names, correct, strict=True))
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_the_real_loss_of_a_fine_tuned_llama_is_found_where_an_unpaired_test_misses_it(shared_data, tmp_path):
    """The documented example: MMLU before and after 200 steps of LoRA, 12,343 questions of 55 subjects."""
    file = shared_data / "mmlu_forgetting" / "fedllm_mmlu_results.csv"
    result = compare_answers(answers_in_table(file, ("correct_0", "correct_200"), group="subject"))
    assert (result["n"], result["lost"], result["gained"], len(result["groups"])) == (12_343, 675, 593, 55)
    assert result["p"] == pytest.approx(binomtest(675, 675 + 593).pvalue)
    assert result["verdict"] == "loss" and result["ci"][1] < 0
    assert result["delta"] == pytest.approx((593 - 675) / 12_343)
    z, p = proportions_ztest([0.4625 * 12_343, 0.4692 * 12_343], [12_343, 12_343])
    assert result["unpaired"]["z"] == pytest.approx(z, abs=0.02) and abs(z) < 1.1 and p > 0.25
    assert result["unpaired"]["p"] == pytest.approx(p, abs=0.01)


def test_the_same_comparison_from_the_command_line_prints_words_and_writes_json(
    shared_data, tmp_path, monkeypatch, capsys
):
    file = shared_data / "mmlu_forgetting" / "fedllm_mmlu_results.csv"
    arguments = ["--columns", "correct_0", "correct_200", "--group", "subject", "--json", tmp_path / "out.json"]
    assert contrapeso(monkeypatch, "compare", file, *arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 9 and lines[0] == "correct_0 -> correct_200: 12,343 items in 55 groups by subject"
    text = "\n".join(lines)
    for words in (
        "verdict: loss",
        "46.9 % -> 46.3 %",
        "675 lost, 593 gained",
        "p = 0.023",
        "z = −1.05",
        "each group (by subject)",
    ):
        assert words in text
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {"lost", "gained", "delta", "ci", "p", "verdict", "n", "groups", "scheme", "lost_items"} <= set(written)
    assert (written["lost"], written["gained"], written["scheme"]) == (675, 593, "stratified")


def test_lost_and_gained_items_and_groups_are_counted_by_hand(tmp_path):
    file = table(tmp_path, "topic,old,new\nx,1,0\nx,1,1\ny,0,1\ny,1,0\ny,0,0\n")
    result = compare_answers(answers_in_table(file, ("old", "new"), group="topic"))
    assert (result["lost_items"], result["gained_items"]) == (["row 2", "row 5"], ["row 4"])
    assert result["groups"] == {"x": {"n": 2, "lost": 1, "gained": 0}, "y": {"n": 3, "lost": 1, "gained": 1}}
    assert result["accuracies"] == [0.6, 0.4] and result["delta"] == pytest.approx(-0.2)
    assert result["p"] == 1.0 and result["verdict"].startswith("not distinguishable at this n")


def test_zeros_and_ones_may_be_spelt_as_people_and_tables_spell_them(tmp_path):
    file = table(tmp_path, "a,b\n1,0\nTrue,FALSE\n 1.0,0.0\n")
    answers = answers_in_table(file, ("a", "b"))
    assert (answers.before, answers.after) == ((True,) * 3, (False,) * 3)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,0\n1,2\n", r"row 3: b is '2'; expected 0 or 1"),
        ("a,b\n1,\n", r"row 2: b is ''; expected 0 or 1"),
        ("a,c\n1,0\n", r"has no column 'b'; it has a, c"),
        ("a,b\n", r"at least one row"),
        ("", r"at least one row"),
    ],
)
def test_a_table_that_is_not_zeros_and_ones_is_refused_by_row(tmp_path, text, complaint):
    with pytest.raises(DataError, match=complaint):
        answers_in_table(table(tmp_path, text), ("a", "b"))


def test_a_group_that_is_no_column_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no column 'subject'; it has a, b"):
        answers_in_table(table(tmp_path, "a,b\n1,0\n"), ("a", "b"), group="subject")


@pytest.mark.parametrize(
    ("group", "scheme"), [("db_id", "cluster"), ("Database", "cluster"), ("subject", "stratified"), ("x", "stratified")]
)
def test_databases_are_resampled_whole_and_any_other_groups_within(tmp_path, group, scheme):
    rows = "".join(f"g{n % 5},{n % 2},{(n + n // 7) % 2}\n" for n in range(50))
    answers = answers_in_table(table(tmp_path, f"{group},a,b\n{rows}"), ("a", "b"), group=group)
    result = compare_answers(answers)
    assert result["scheme"] == scheme
    other = "cluster" if scheme == "stratified" else "stratified"
    assert compare_answers(answers, scheme=other)["scheme"] == other
    assert any("resampled" in line for line in comparison_lines(result))


def test_without_groups_items_are_resampled_and_a_scheme_is_refused(tmp_path):
    answers = answers_in_table(table(tmp_path, "a,b\n1,0\n0,1\n1,1\n"), ("a", "b"))
    assert compare_answers(answers)["scheme"] == "items"
    with pytest.raises(StudyError, match="needs groups"):
        compare_answers(answers, scheme="cluster")


def test_a_margin_turns_no_difference_into_a_finding(tmp_path):
    file = table(tmp_path, "a,b\n" + "1,1\n0,0\n" * 2000 + "1,0\n0,1\n" * 5)
    answers = answers_in_table(file, ("a", "b"))
    assert compare_answers(answers, margin=0.02)["verdict"].startswith("no difference larger than")
    assert compare_answers(answers, margin=0.0005)["verdict"].startswith("not distinguishable")


def test_two_outcome_files_of_a_study_are_compared_in_any_order(tmp_path):
    before = outcomes(tmp_path / "a.jsonl", [True, True, False, False])
    after = outcomes(tmp_path / "b.jsonl", [False, True, False, True][::-1], names=[f"s/000{n}" for n in (3, 2, 1, 0)])
    result = compare_answers(answers_in_outcomes(before, after))
    assert (result["lost_items"], result["gained_items"]) == (["s/0000"], ["s/0003"])
    assert (result["scheme"], result["group"]) == ("stratified", "subject")


def test_sql_outcomes_are_judged_by_the_rule_asked_for_and_grouped_by_database(tmp_path):
    before = outcomes(tmp_path / "a.jsonl", [True, False, True], sql=True)
    after = outcomes(tmp_path / "b.jsonl", [True, True, True], sql=True)
    assert answers_in_outcomes(before, after).scheme == "cluster"
    assert answers_in_outcomes(before, after).after == (True, True, True)
    assert answers_in_outcomes(before, after, rule="spider").after == (False, False, False)


def test_items_that_a_study_reports_apart_are_not_compared(tmp_path):
    before = outcomes(tmp_path / "a.jsonl", [True, False], left_out="why")
    with pytest.raises(DataError, match="no item that counts"):
        answers_in_outcomes(before, before)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: lines[:-1], r"b.jsonl has no outcome for s/0003 and 0 others"),
        (lambda lines: [*lines, lines[0].replace("s/0000", "s/0009")], r"a.jsonl has no outcome for s/0009"),
        (lambda lines: [lines[0].replace('"gold": "A"', '"gold": "C"'), *lines[1:]], r"different gold .* s/0000"),
        (lambda lines: [*lines, lines[0]], r"b.jsonl, line 5: a second outcome for s/0000"),
        (lambda lines: ['{"sql": "SELECT 1"}'], r"line 1 is no outcome of a study .* --data"),
        (lambda lines: [*lines, '{"item": "s/00'], r"b.jsonl, line 5: not valid JSON"),
    ],
)
def test_outcomes_of_other_items_are_refused(tmp_path, change, complaint):
    before = outcomes(tmp_path / "a.jsonl", [True] * 4)
    after = outcomes(tmp_path / "b.jsonl", [True] * 4)
    text = "\n".join(change(after.read_text().splitlines()))
    after.write_text(text)
    with pytest.raises(DataError, match=complaint):
        answers_in_outcomes(before, after)
    assert after.read_text() == text


def test_two_prediction_files_are_judged_and_compared_by_database(tmp_path):
    data = make_own(tmp_path / "data")
    good = ["SELECT count(*) FROM animal", "SELECT name FROM animal", "SELECT name FROM ship"]
    for name, answers in (("a.sql", good), ("b.sql", [good[0], "SELECT 1", good[2]])):
        (tmp_path / name).write_text("\n".join(answers))
    answers = answers_in_predictions(tmp_path / "a.sql", tmp_path / "b.sql", data=data)
    result = compare_answers(answers)
    assert (result["lost_items"], result["gained_items"]) == (["dev/0001"], [])
    assert (result["scheme"], result["group"]) == ("cluster", "database")
    strict = answers_in_predictions(tmp_path / "a.sql", tmp_path / "b.sql", data=data, rule="strict")
    assert strict.before == (True, True, True)


def test_the_same_answers_compared_twice_give_the_same_numbers(tmp_path):
    rows = "".join(f"g{n % 5},{n % 2},{(n + n // 7) % 2}\n" for n in range(50))
    answers = answers_in_table(table(tmp_path, f"g,a,b\n{rows}"), ("a", "b"), group="g")
    assert compare_answers(answers) == compare_answers(answers)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["a.csv"], "give two files, or one table with --columns"),
        (["a.csv", "b.csv", "--columns", "x", "y"], "leave out AFTER"),
        (["a.csv", "--columns", "x", "y", "--data", "pocket"], "leave out AFTER and --data"),
        (["a.jsonl", "b.jsonl", "--group", "x"], "with --columns"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(arguments, complaint, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "compare", *arguments) == 2
    assert complaint in capsys.readouterr().err


def test_prediction_files_without_their_questions_are_told_what_is_missing(tmp_path, monkeypatch, capsys):
    for name in ("a.sql", "b.sql"):
        (tmp_path / name).write_text("SELECT 1")
    assert contrapeso(monkeypatch, "compare", tmp_path / "a.sql", tmp_path / "b.sql") == 3
    assert "name their questions with --data" in capsys.readouterr().err


def test_from_all_right_to_all_wrong_the_unpaired_contrast_is_no_zero(tmp_path):
    file = table(tmp_path, "a,b\n" + "1,0\n" * 60)
    result = compare_answers(answers_in_table(file, ("a", "b")))
    assert result["unpaired"] == {"z": None, "p": 0.0} and (result["lost"], result["gained"]) == (60, 0)
    assert "z infinite, p < 0.001" in "\n".join(comparison_lines(result))
    json.dumps(result, allow_nan=False)


def test_terminal_escapes_in_group_names_are_printed_as_text(tmp_path, monkeypatch, capsys):
    file = table(tmp_path, "a,b,g\n" + "1,0,x\x1b[31m\n" * 20 + "0,1,y\n" * 9 + "1,1,y\n" * 9)
    assert contrapeso(monkeypatch, "compare", file, "--columns", "a", "b", "--group", "g") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "x\\x1b[31m" in out


@pytest.mark.parametrize("option", [("--rule", "strict"), ("--limit", "5"), ("--split", "train")])
def test_options_that_would_be_ignored_are_refused(option, tmp_path, monkeypatch, capsys):
    file = table(tmp_path, "a,b\n1,0\n")
    assert contrapeso(monkeypatch, "compare", file, "--columns", "a", "b", *option) == 2
    assert "leave out" in capsys.readouterr().err
