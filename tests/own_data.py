"""Small text-to-SQL folders in layouts of every kind, for tests."""

import csv
import io
import json
import sqlite3
from pathlib import Path

QUESTIONS = [
    {"question": "How many animals?", "query": "SELECT count(*) FROM animal", "db_id": "zoo"},
    {"question": "Which animals?", "query": "SELECT name FROM animal ORDER BY name", "db_id": "zoo"},
    {"question": "Which ships?", "query": "SELECT name FROM ship", "db_id": "harbour"},
]
ROWS = {"zoo": ("animal", ("ape", "bear")), "harbour": ("ship", ("Ada", "Bea", "Cleo"))}


def make_database(file: Path, name: str) -> Path:
    table, rows = ROWS[name]
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file)
    connection.execute(f"CREATE TABLE {table} (name TEXT)")
    connection.executemany(f"INSERT INTO {table} VALUES (?)", [(row,) for row in rows])
    connection.commit()
    connection.close()
    return file


def write_questions(file: Path, questions=QUESTIONS) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".json":
        text = json.dumps(questions)
    elif file.suffix == ".jsonl":
        text = "".join(json.dumps(question) + "\n" for question in questions)
    else:
        table = io.StringIO()
        writer = csv.DictWriter(table, list(questions[0]))
        writer.writeheader()
        writer.writerows(questions)
        text = table.getvalue()
    file.write_text(text, encoding="utf-8", newline="")
    return file


def make_own(folder: Path, *, questions: str = "questions.json") -> Path:
    write_questions(folder / questions)
    for name in ROWS:
        make_database(folder / f"{name}.sqlite", name)
    return folder


def make_bird(folder: Path, split: str, *, home: str = ".") -> Path:
    entries = [
        {
            "question_id": place,
            "db_id": question["db_id"],
            "question": question["question"],
            "evidence": "animals are in animal" if place == 0 else "",
            "SQL": question["query"],
            "difficulty": "simple",
        }
        for place, question in enumerate(QUESTIONS)
    ]
    write_questions(folder / home / f"{split}.json", entries)
    for name in ROWS:
        make_database(folder / home / f"{split}_databases" / name / f"{name}.sqlite", name)
    return folder
