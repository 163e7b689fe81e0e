"""`contrapeso score`: its numbers against hand counts and official verdicts, its files, and what it prints."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from own_data import QUESTIONS, make_own
from statsmodels.stats.proportion import proportion_confint
from studies import contrapeso

from contrapeso.data import load_questions, read_predictions, spider_folder
from contrapeso.errors import DataError
from contrapeso.score import score_predictions, scores_csv

# Right; rows in another order than the gold asks, which only `unordered` forgives; a table that is not there.
ANSWERS = ["SELECT count(name) FROM animal", "SELECT name FROM animal ORDER BY name DESC", "SELECT name FROM boat"]


@pytest.fixture
def data(tmp_path) -> Path:
    return make_own(tmp_path / "data")


@pytest.fixture
def predictions(tmp_path) -> Path:
    file = tmp_path / "answers.sql"
    file.write_text("".join(f"{sql}\n" for sql in ANSWERS), encoding="utf-8")
    return file


def test_every_rule_is_counted_over_all_by_hardness_and_by_database(predictions, data):
    scores = score_predictions(predictions, data)
    assert scores["n"] == 3
    assert {rule: entry["correct"] for rule, entry in scores["rules"].items()} == {
        "unordered": 2,
        "spider": 1,
        "strict": 1,
    }
    assert scores["rules"]["unordered"]["accuracy"] == pytest.approx(2 / 3)
    assert {name: part["n"] for name, part in scores["databases"].items()} == {"harbour": 1, "zoo": 2}
    assert scores["databases"]["zoo"]["rules"]["strict"]["correct"] == 1
    assert sum(part["n"] for part in scores["hardness"].values()) == 3
    assert scores["reasons"] == {"unknown_table": 1}


def test_the_interval_of_one_database_is_wilsons(predictions, data):
    entry = score_predictions(predictions, data)["databases"]["zoo"]["rules"]["strict"]
    assert entry["ci"] == pytest.approx(proportion_confint(1, 2, method="wilson"))
    assert entry["ci_method"] == "wilson"


def test_items_stand_in_the_order_of_the_split_with_a_verdict_per_rule_and_the_reason(predictions, data):
    first, second, third = score_predictions(predictions, data)["items"]
    assert (first["index"], first["item"], first["db_id"], first["hardness"]) == (0, "dev/0000", "zoo", "easy")
    assert [first[rule] for rule in ("unordered", "spider", "strict")] == [True, True, True]
    assert [second[rule] for rule in ("unordered", "spider", "strict")] == [True, False, False]
    assert (first["reason"], second["reason"], third["reason"]) == ("ok", "ok", "unknown_table")
    assert "boat" in third["detail"]
    assert (third["question"], third["gold"], third["predicted"]) == (*list(QUESTIONS[2].values())[:2], ANSWERS[2])


def test_another_headline_rule_counts_what_is_wrong_by_it(predictions, data):
    scores = score_predictions(predictions, data, rule="strict")
    assert scores["reasons"] == {"row_order": 1, "unknown_table": 1}
    assert [row["reason"] for row in scores["items"]] == ["ok", "row_order", "unknown_table"]


def test_a_limit_scores_the_first_questions(predictions, data):
    predictions.write_text("\n".join(ANSWERS[:2]), encoding="utf-8")
    assert score_predictions(predictions, data, limit=2)["n"] == 2
    with pytest.raises(DataError, match="2 predictions for 3 questions"):
        score_predictions(predictions, data)


def test_questions_left_out_by_the_folder_stay_among_the_items_and_count_nowhere(predictions, data):
    (data / "leave_out.json").write_text('{"items": {"dev/0002": "no such harbour"}}', encoding="utf-8")
    scores = score_predictions(predictions, data)
    assert (scores["n"], scores["left_out"], scores["reasons"]) == (2, 1, {})
    assert scores["items"][2]["left_out"] == "no such harbour" and "left_out" not in scores["items"][0]
    assert list(scores["databases"]) == ["zoo"]


def test_a_set_left_out_whole_is_an_error(predictions, data):
    reasons = {f"dev/000{n}": "why" for n in range(3)}
    (data / "leave_out.json").write_text(json.dumps({"items": reasons}), encoding="utf-8")
    with pytest.raises(DataError, match="leaves out every dev question"):
        score_predictions(predictions, data)


def test_an_empty_gold_result_is_flagged_and_counted(predictions, data):
    questions = json.loads((data / "questions.json").read_text())
    questions[2]["query"] = "SELECT name FROM ship WHERE name = 'none'"
    (data / "questions.json").write_text(json.dumps(questions))
    scores = score_predictions(predictions, data)
    assert scores["items"][2]["flags"] == ["gold_empty"]
    assert scores["flags"] == {"gold_empty": {"n": 1, "correct": 0}}


def test_the_hash_of_the_data_changes_with_a_row_of_a_database(predictions, data):
    import sqlite3

    before = score_predictions(predictions, data)["data"]["sha256"]
    assert before == score_predictions(predictions, data)["data"]["sha256"]
    with sqlite3.connect(data / "zoo.sqlite") as connection:
        connection.execute("INSERT INTO animal VALUES ('cat')")
    connection.close()
    assert before != score_predictions(predictions, data)["data"]["sha256"]


def test_the_csv_has_a_row_per_question_and_is_read_back_as_predictions(predictions, data, tmp_path):
    scores = score_predictions(predictions, data)
    text = scores_csv(scores)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["unordered"] for row in rows] == ["1", "1", "0"]
    assert [row["reason"] for row in rows] == ["ok", "ok", "unknown_table"]
    (tmp_path / "again.csv").write_text(text, encoding="utf-8", newline="")
    assert read_predictions(tmp_path / "again.csv", load_questions(data)) == ANSWERS


def test_line_ends_and_quotes_of_a_prediction_survive_the_csv(data, tmp_path):
    answers = ["SELECT 1\r-- one", "SELECT \"a\",\n'b'", "\r\n"]
    (tmp_path / "a.json").write_text(json.dumps(answers), encoding="utf-8")
    text = scores_csv(score_predictions(tmp_path / "a.json", data))
    (tmp_path / "again.csv").write_text(text, encoding="utf-8", newline="")
    assert read_predictions(tmp_path / "again.csv", load_questions(data)) == answers


def test_gold_against_itself_is_right_by_every_rule(tmp_path):
    items = load_questions(spider_folder("pocket"))
    (tmp_path / "gold.json").write_text(json.dumps([item.gold for item in items]), encoding="utf-8")
    scores = score_predictions(tmp_path / "gold.json", "pocket")
    assert {entry["correct"] for entry in scores["rules"].values()} == {scores["n"]}
    assert scores["reasons"] == {}


@pytest.mark.parametrize(
    ("system", "by_hardness"),
    [
        ("din_sql_gpt4", (0.923, 0.883, 0.764, 0.627)),
        ("dts_sql_mistral7b", (0.935, 0.870, 0.523, 0.464)),
        ("chatgpt_zero_shot", (0.895, 0.767, 0.603, 0.446)),
    ],
)
def test_published_predictions_score_what_the_official_evaluator_says(system, by_hardness, shared_data):
    folder = shared_data / "spider_predictions"
    scores = score_predictions(folder / f"{system}.sql", shared_data / "spider")
    official = json.loads((folder / f"{system}.verdicts.json").read_text())
    assert [int(row["spider"]) for row in scores["items"]] == official
    assert [row["hardness"] for row in scores["items"]] == json.loads((folder / "hardness.json").read_text())
    accuracies = [part["rules"]["spider"]["accuracy"] for part in scores["hardness"].values()]
    assert accuracies == pytest.approx(by_hardness, abs=0.0005)
    assert sum(scores["reasons"].values()) == 1034 - scores["rules"]["unordered"]["correct"]


def test_the_command_prints_about_a_dozen_lines_and_writes_both_files(predictions, data, tmp_path, monkeypatch, capsys):
    files = ["--json", tmp_path / "new" / "scores.json", "--csv", tmp_path / "scores.csv"]
    assert contrapeso(monkeypatch, "score", predictions, "--data", data, *files) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 13 and len(lines) == len([line for line in lines if line.strip()])
    assert lines[0].startswith("answers.sql: 3 dev questions of ") and lines[0].endswith("headline rule: unordered")
    assert lines[1].split()[-3:] == ["unordered", "spider", "strict"]
    assert lines[2].startswith("all, 3 ") and "66.7 % [" in lines[2] and lines[2].count("33.3 % [") == 2
    text = "\n".join(lines)
    assert "wrong, 1: unknown_table 1" in text
    assert "dev/0002" in lines[-1] and ANSWERS[2] in lines[-1]
    scores = json.loads((tmp_path / "new" / "scores.json").read_text(encoding="utf-8"))
    assert scores == score_predictions(predictions, data)
    assert (tmp_path / "scores.csv").read_bytes().decode() == scores_csv(scores)


def test_all_right_says_so(data, tmp_path, monkeypatch, capsys):
    (tmp_path / "gold.json").write_text(json.dumps([question["query"] for question in QUESTIONS]), encoding="utf-8")
    assert contrapeso(monkeypatch, "score", tmp_path / "gold.json", "--data", data) == 0
    assert "wrong: none" in capsys.readouterr().out


def test_markup_in_a_prediction_is_printed_as_text(data, tmp_path, monkeypatch, capsys):
    predicted = "SELECT [bold]x[/bold] FROM [nowhere]"
    (tmp_path / "a.json").write_text(json.dumps([predicted] * 3), encoding="utf-8")
    assert contrapeso(monkeypatch, "score", tmp_path / "a.json", "--data", data) == 0
    assert predicted in capsys.readouterr().out


def test_a_short_file_is_one_line_on_stderr_and_exit_code_3(predictions, data, monkeypatch, capsys):
    predictions.write_text(ANSWERS[0], encoding="utf-8")
    assert contrapeso(monkeypatch, "score", predictions, "--data", data) == 3
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and "1 predictions for 3 questions" in printed.err


@pytest.mark.parametrize("command", ["score", "compare"])
def test_scoring_loads_neither_torch_nor_transformers_nor_scipys_statistics(command, predictions, data):
    files = [str(predictions)] * (2 if command == "compare" else 1)
    heavy = ("torch", "transformers", "peft", "trl", "pandas", "statsmodels", "scipy.stats", "altair", "typst")
    program = (
        f"import sys; sys.argv = ['contrapeso', {command!r}, *{files!r}, '--data', {str(data)!r}]\n"
        "from contrapeso.cli import main\n"
        "try:\n    main()\nexcept SystemExit as leaving:\n    assert not leaving.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_terminal_escapes_in_predictions_are_printed_as_text(data, tmp_path, monkeypatch, capsys):
    hostile = tmp_path / "hostile.sql"
    hostile.write_text("SELECT \x1b]0;owned\x07\x1b[2J x FROM nowhere\n" * 3, encoding="utf-8")
    assert contrapeso(monkeypatch, "score", hostile, "--data", data) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "\\x1b]0;owned\\x07" in out


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_results_never_replace_what_is_scored(option, predictions, data, tmp_path, monkeypatch, capsys):
    before = predictions.read_bytes()
    assert contrapeso(monkeypatch, "score", predictions, "--data", data, option, predictions) == 2
    assert predictions.read_bytes() == before and "named twice" in capsys.readouterr().err
    assert contrapeso(monkeypatch, "score", predictions, "--data", data, option, tmp_path) == 2
    assert "is a folder" in capsys.readouterr().err
