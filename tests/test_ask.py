"""`contrapeso ask`: what it asks, what it shows, what it refuses, and that a database is never harmed."""

import csv
import hashlib
import io
import json
import os
import pty
import re
import select
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asking import BASE, KNOWN, RUN, ZOO, query, scripted, write_database, write_study_folder
from studies import contrapeso

from contrapeso import load_study
from contrapeso.ask import WAITING_LIMITS, Asker
from contrapeso.ask_database import open_database
from contrapeso.ask_session import HELP, Session
from contrapeso.ask_source import model_source, study_source
from contrapeso.errors import DataError
from contrapeso.models.loading import POCKET_FOLDER
from contrapeso.sql import Sandbox, read_schema
from contrapeso.sql.apart import read_schema_apart

pytestmark = pytest.mark.skipif(not (POCKET_FOLDER / "config.json").is_file(), reason="the pocket model is not here")

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202e[bold]x[/bold]"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study_folder(tmp_path_factory.mktemp("ask") / "study")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, limits=WAITING_LIMITS) as sandbox:
        yield sandbox


def ask(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, database: Path = ZOO) -> int:
    return contrapeso(monkeypatch, "ask", *arguments, "--database", database)


def silent(source: Any, sandbox: Sandbox) -> Asker:
    return Asker(source, sandbox, say=lambda line: None)


# ---- what is asked, and what comes of it ----


def test_the_pocket_model_answers_out_of_the_box_and_says_what_it_is(monkeypatch, capsys):
    assert ask(monkeypatch, KNOWN) == 0
    printed = capsys.readouterr()
    for skill, age in query(ZOO, "SELECT skill, max(age) FROM keeper GROUP BY skill"):
        assert skill in printed.out and str(age) in printed.out
    assert "SELECT" in printed.out and "4 rows" in printed.out
    assert printed.err.count("\n") == 1 and "toy of 6.5 million parameters" in printed.err


def test_the_model_is_asked_what_it_is_asked_in_the_study(monkeypatch, sandbox, study):
    from contrapeso.gathering import gather
    from contrapeso.models.local import LocalEngine

    task = gather(load_study("pocket"), sandbox).target
    item = next(item for item in task.items if item.question == KNOWN)
    asked: list[Any] = []
    generate = LocalEngine.generate

    def recorded(self, variant, prompts, **settings):
        asked.append((list(prompts), settings))
        return generate(self, variant, prompts, **settings)

    monkeypatch.setattr(LocalEngine, "generate", recorded)
    answer = silent(study_source(study, variant=BASE), sandbox).answer(KNOWN, open_database(item.database))
    ((prompts, settings),) = asked
    assert prompts == [task.prompt(item)]
    assert (settings["max_new_tokens"], settings["stop"]) == (task.max_new_tokens, task.stop)
    assert answer.sql == item.gold and answer.stopped and answer.seconds_writing > answer.seconds_running > 0


def test_json_holds_every_row_on_one_line(monkeypatch, capsys, tmp_path):
    database = write_database(
        tmp_path / "odd.sqlite", "CREATE TABLE t (a)", "INSERT INTO t VALUES (NULL), (1), (1e999), ('é'), (x'00ff')"
    )
    scripted(monkeypatch, " SELECT a FROM t;")
    assert ask(monkeypatch, "all?", "--json", database=database) == 0
    (line,) = capsys.readouterr().out.splitlines()
    answer = json.loads(line)
    assert answer["rows"] == [[None], [1], ["inf"], ["é"], ["X'00ff'"]] and answer["columns"] == ["a"]
    assert (answer["reason"], answer["row_count"], answer["variant"]) == ("ok", 5, BASE)


def test_csv_has_a_head_and_all_rows(monkeypatch, capsys):
    scripted(monkeypatch, "SELECT name, age FROM animal ORDER BY animal_id")
    assert ask(monkeypatch, "all?", "--csv", "--rows", "1") == 0
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    expected = query(ZOO, "SELECT name, age FROM animal ORDER BY animal_id")
    assert head == ["name", "age"] and len(rows) > 1
    assert rows == [["" if value is None else str(value) for value in row] for row in expected]


def test_sql_only_does_not_run_the_query(monkeypatch, capsys):
    scripted(monkeypatch, "Sure: DROP TABLE keeper", "SELECT nothing FROM nowhere;")
    assert ask(monkeypatch, "x", "--sql-only") == 0
    assert capsys.readouterr().out == "DROP TABLE keeper\n"


def test_the_table_says_how_many_rows_there_are(monkeypatch, capsys):
    scripted(monkeypatch, "SELECT name FROM animal")
    (count,) = query(ZOO, "SELECT count(*) FROM animal")[0]
    assert ask(monkeypatch, "all?", "--rows", "2") == 0
    out = capsys.readouterr().out
    assert f"the first 2 of {count} rows" in out and out.count("│ ") == 3 - 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT nope FROM keeper", "unknown column: no such column: nope"),
        ("I do not know.", "the reply holds no SQL"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n", "timeout"),
        ("ATTACH DATABASE '/tmp/owned.sqlite' AS x", "refused"),
    ],
)
def test_a_failing_query_is_one_line_with_the_reason_and_exit_code_1(text, reason, monkeypatch, capsys):
    scripted(monkeypatch, text)
    assert ask(monkeypatch, "x") == 1
    printed = capsys.readouterr()
    assert reason in printed.err.splitlines()[-1] and "Traceback" not in printed.err


def test_a_reason_stays_one_line_whatever_the_database_names(monkeypatch, capsys, tmp_path):
    gone = '"gone\ncontrapeso: all is well"'
    database = write_database(tmp_path / "a.sqlite", "CREATE TABLE t (a)", f"CREATE VIEW v AS SELECT * FROM {gone}")
    scripted(monkeypatch, "SELECT * FROM v")
    assert ask(monkeypatch, "x", "--csv", database=database) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("contrapeso: the query failed: unknown table")


@pytest.mark.parametrize("form", [(), ("--csv",), ("--sql-only",)], ids=str)
def test_a_terminal_that_is_not_utf_8_shows_what_it_cannot_write_as_an_escape(form, monkeypatch, tmp_path):
    database = write_database(tmp_path / "a.sqlite", "CREATE TABLE t (é)", "INSERT INTO t VALUES ('ação')")
    scripted(monkeypatch, "SELECT é FROM t")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert ask(monkeypatch, "x", *form, database=database) == 0
    terminal.flush()
    assert rb"\xe9" in terminal.buffer.getvalue()


def test_a_query_cut_at_the_token_limit_says_so(monkeypatch, capsys):
    scripted(monkeypatch, "SELECT name FROM keeper WHERE", stopped=False)
    assert ask(monkeypatch, "x") == 1
    assert "cut at the token limit" in capsys.readouterr().err


@pytest.mark.parametrize("sql", ["DROP TABLE keeper", "DELETE FROM keeper", "PRAGMA journal_mode=WAL", "VACUUM"])
def test_no_query_changes_the_database_or_leaves_a_file(sql, monkeypatch, tmp_path):
    database = tmp_path / "zoo.sqlite"
    database.write_bytes(ZOO.read_bytes())
    scripted(monkeypatch, sql)
    assert ask(monkeypatch, "x", database=database) == 1
    assert hashlib.sha256(database.read_bytes()).digest() == hashlib.sha256(ZOO.read_bytes()).digest()
    assert list(tmp_path.iterdir()) == [database]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_of_a_database_or_a_model_reaches_the_terminal_as_a_command(form, monkeypatch, capsys, tmp_path):
    named = HOSTILE.replace('"', '""')
    database = write_database(
        tmp_path / "hostile.sqlite",
        f'CREATE TABLE "{named}" ("{named}")',
        f"INSERT INTO \"{named}\" VALUES ('{HOSTILE}')",
    )
    scripted(monkeypatch, f"SELECT *, '{HOSTILE}' FROM \"{named}\"", f"SELECT '{HOSTILE}' FROM nowhere")
    assert ask(monkeypatch, "x", *form, database=database) == 0
    assert ask(monkeypatch, "x", *form, database=database) == 1
    printed = "".join(capsys.readouterr())
    assert not set("\x1b\x07\u202e") & set(printed) and "[bold]" in printed


# ---- what is refused ----


def truncated(path: Path) -> None:
    write_database(path, "CREATE TABLE animal (weight)", "INSERT INTO animal VALUES (zeroblob(9000))")
    path.write_bytes(path.read_bytes()[:5000])


def with_log(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    kept.append(connection)


def with_columns(path: Path) -> None:
    columns = ", ".join(f"c{number}" for number in range(2000))
    write_database(path, *(f"CREATE TABLE t{number} ({columns})" for number in range(11)))


def with_keys(path: Path) -> None:
    keys = ", ".join(["FOREIGN KEY (a) REFERENCES x (b)"] * 21_000)
    write_database(path, "CREATE TABLE x (b)", f"CREATE TABLE t (a, {keys})")


kept: list[sqlite3.Connection] = []
BROKEN = {
    "missing": (lambda path: None, "No such file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a pipe": (os.mkfifo, "is no ordinary file"),  # opening one waits for ever
    "no bytes": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("id,name\n1,x\n"), "no SQLite database, or it is encrypted"),
    "encrypted": (lambda path: path.write_bytes(hashlib.sha256(b"x").digest() * 512), "or it is encrypted"),
    "cut": (truncated, "is cut short, 5,000 of"),
    "without tables": (lambda path: write_database(path, "CREATE TABLE t (a)", "DROP TABLE t"), "has no table"),
    "with changes in a log": (with_log, "changes waiting"),
    "too wide": (with_columns, "22,000 columns"),
    "too many keys": (with_keys, "21,000 in foreign keys"),
    "a name of megabytes": (lambda path: write_database(path, f"CREATE TABLE t ({'c' * 3_000_000})"), "characters"),
}


def test_a_path_that_no_file_can_have_is_one_line(monkeypatch, capsys):
    assert ask(monkeypatch, "x", database=Path("a" * 5000)) == 3
    assert capsys.readouterr().err.splitlines()[-1].endswith("File name too long")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_database_that_cannot_be_asked_is_one_line_that_names_it(kind, monkeypatch, capsys, tmp_path):
    make, words = BROKEN[kind]
    database = tmp_path / "mine.sqlite"
    make(database)
    scripted(monkeypatch, "SELECT sum(weight) FROM animal")
    assert ask(monkeypatch, "x", database=database) == 3
    printed = capsys.readouterr()
    line = printed.err.splitlines()[-1]
    assert words in line and "mine.sqlite" in line and printed.out == ""


def test_a_database_in_wal_mode_or_locked_by_its_owner_is_read(monkeypatch, capsys, tmp_path):
    database = write_database(
        tmp_path / "a.sqlite", "PRAGMA journal_mode=WAL", "CREATE TABLE t (a)", "INSERT INTO t VALUES (7)"
    )
    scripted(monkeypatch, "SELECT a FROM t")
    assert ask(monkeypatch, "x", "--csv", database=database) == 0
    with closing(sqlite3.connect(database)) as owner:
        owner.execute("PRAGMA journal_mode=DELETE")
        owner.execute("BEGIN EXCLUSIVE")
        assert ask(monkeypatch, "x", "--csv", database=database) == 0
    assert capsys.readouterr().out == "a\n7\n" * 2


def test_a_schema_read_apart_is_the_schema():
    for database in sorted(ZOO.parents[1].glob("[b-e]*/*.sqlite")):
        assert read_schema_apart(database) == read_schema(database)


def test_a_schema_that_takes_too_long_or_too_much_is_refused(tmp_path, monkeypatch):
    database = write_database(tmp_path / "a.sqlite", "CREATE TABLE t (a)")
    with pytest.raises(DataError, match=r"longer than 0\.001 s"):
        read_schema_apart(database, seconds=0.001)
    monkeypatch.setattr("contrapeso.sql.apart._CHILD", "import os; os.abort()")
    with pytest.raises(DataError, match="within 512 MB"):
        read_schema_apart(database)


@pytest.mark.parametrize(
    ("question", "words"),
    [("  ", "the question is empty"), ("why " * 1200, "tokens; pocket holds 1,024"), ("\udcff", "not UTF-8")],
)
def test_a_question_that_cannot_be_asked_is_refused(question, words, monkeypatch, capsys):
    assert ask(monkeypatch, question) == 3
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_a_schema_larger_than_the_model_is_refused_and_not_cut(monkeypatch, capsys, tmp_path):
    columns = ", ".join(f"column_number_{number}" for number in range(300))
    database = write_database(tmp_path / "wide.sqlite", f"CREATE TABLE t ({columns})")
    assert ask(monkeypatch, "How many?", database=database) == 3
    assert "wide.sqlite (1 tables) take" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--variant", "x"], 2, "give --study"),
        (["--study", "x", "--model", "pocket"], 2, "leave out --model"),
        (["--json", "--csv"], 2, "exclude each other"),
        (["--adapter", "nowhere"], 4, "no adapter in PEFT format"),
        (["--study", "nowhere"], 6, "not a study folder"),
        (["--model", "./nowhere"], 4, "there is no folder"),
        (["--set", "target.nope=1"], 2, "unknown setting target.nope"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, code, words, monkeypatch, capsys):
    assert ask(monkeypatch, KNOWN, *options) == code
    assert words in capsys.readouterr().err


# ---- variants ----


def test_a_study_answers_with_its_first_run_and_with_whom_one_names(study, monkeypatch, capsys):
    scripted(monkeypatch, "SELECT 1")
    named = []
    for options in ((), ("--variant", "baseline model")):
        assert ask(monkeypatch, "x", "--json", "--study", study, *options) == 0
        named.append(json.loads(capsys.readouterr().out)["variant"])
    assert named == [RUN, BASE]
    assert ask(monkeypatch, "x", "--study", study, "--variant", "Fine-Tuned Run 2") == 6
    assert ask(monkeypatch, "x", "--study", study, "--variant", "Run 9") == 2
    assert "it has Baseline Model, Fine-Tuned Run 1" in capsys.readouterr().err


def test_an_adapter_answers_otherwise_than_its_base_and_the_base_stays_itself(study, sandbox):
    source, database = study_source(study), open_database(ZOO)
    asker = silent(source, sandbox)
    first, tuned, again = (asker.answer(KNOWN, database, variant=source.named(name)) for name in (BASE, RUN, BASE))
    assert first.sql == again.sql != tuned.sql


def test_a_model_given_by_its_folder_gets_the_usual_prompt(tmp_path):
    from tiny import save_random_adapter, save_tiny_mistral

    folder = save_tiny_mistral(tmp_path / "model")
    adapter = save_random_adapter(tmp_path / "mine", folder)
    source = model_source(str(folder), adapter=adapter, overrides=["model.dtype=float32"])
    assert (source.model.id, source.model.dtype) == (str(folder), "float32")
    assert (source.target.schema_style, source.target.max_new_tokens) == ("ddl", 192)
    assert [variant.name for variant in source.variants] == [BASE, "mine"] and source.chosen.adapter == adapter


# ---- giving up ----


def test_a_withdrawn_question_stops_before_the_next_token(sandbox):
    asker, database = silent(model_source(), sandbox), open_database(ZOO)
    looks = iter([False] * 4)
    with pytest.raises(InterruptedError):
        asker.answer(KNOWN, database, cancelled=lambda: next(looks, True))
    assert next(looks, None) is None
    assert asker.answer(KNOWN, database).result.rows == tuple(
        query(ZOO, "SELECT skill, max(age) FROM keeper GROUP BY skill")
    )


def test_an_adapter_interrupted_while_it_is_put_on_leaves_no_trace(study, sandbox, monkeypatch):
    from contrapeso.models.adapters import Adapters

    source, database = study_source(study), open_database(ZOO)
    expected = silent(source, sandbox).answer(KNOWN, database)
    asker = silent(source, sandbox)

    def interrupted(self, folder, name):
        raise KeyboardInterrupt  # after PEFT has wrapped the base, before we know of it

    with monkeypatch.context() as patch:
        patch.setattr(Adapters, "_require_all_weights_used", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asker.answer(KNOWN, database)
    assert asker.answer(KNOWN, database).sql == expected.sql


# ---- the conversation ----


def converse(monkeypatch: pytest.MonkeyPatch, *lines: str, options: tuple[Any, ...] = ()) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    monkeypatch.setenv("COLUMNS", "120")
    return ask(monkeypatch, *options)


def test_piped_questions_are_answered_one_a_line(monkeypatch, capsys):
    scripted(monkeypatch, "SELECT count(*) FROM keeper", "SELECT count(*) FROM animal")
    assert converse(monkeypatch, "keepers?", "", "animals?", options=("--json",)) == 0
    counts = [json.loads(line)["rows"][0][0] for line in capsys.readouterr().out.splitlines()]
    assert counts == [query(ZOO, f"SELECT count(*) FROM {table}")[0][0] for table in ("keeper", "animal")]


def test_a_line_that_fails_does_not_keep_the_next_from_being_answered(monkeypatch, capsys):
    scripted(monkeypatch, "SELECT nope FROM keeper", "SELECT 'the last one'")
    assert converse(monkeypatch, "a?", "\\nope", "\\variant Nobody", "why " * 1200, "b?") == 1
    printed = capsys.readouterr()
    assert "no such column: nope" in printed.out and "the last one" in printed.out
    for words in ("no command \\nope", "no variant 'Nobody'", "tokens"):
        assert words in printed.err


def test_compare_shows_every_variant_beside_the_other(study, monkeypatch, capsys):
    scripted(monkeypatch, "SELECT 'first'", "SELECT 'from the base'", "SELECT nope FROM keeper")
    assert converse(monkeypatch, "who?", "\\compare", "\\quit", "never asked", options=("--study", study)) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = next(line for line in lines if BASE in line)
    assert heads.index(BASE) < heads.index(RUN)
    places = [max(line.find(words) for line in lines) for words in ("'from the base'", "the query failed")]
    assert 0 < places[0] < heads.index(RUN) <= places[1]


def test_schema_and_variant_and_help_are_shown(study, monkeypatch, capsys):
    lines = ("\\schema", "\\schema ANIMAL", "\\schema nope", "\\variant", "\\variant baseline model", "\\help")
    assert converse(monkeypatch, *lines, options=("--study", study)) == 0
    out = capsys.readouterr().out
    for table in read_schema(ZOO).tables:
        assert f"{table.name} ({', '.join(column.name for column in table.columns)})" in out
    assert "to keeper.keeper_id" in out and "there is no table 'nope'" in out
    assert f"* {RUN}\n" in out and f"* {BASE}\n" in out and "\\compare" in out


def test_ctrl_c_gives_up_the_answer_and_takes_the_next_question(monkeypatch, sandbox, capsys):
    from rich.console import Console

    source, database = model_source(), open_database(ZOO)
    asker = silent(source, sandbox)
    scripted(monkeypatch, "SELECT 'after'")
    answer, calls = asker.answer, iter([True])

    def interrupted_once(*arguments, **named):
        if next(calls, False):
            raise KeyboardInterrupt
        return answer(*arguments, **named)

    monkeypatch.setattr(asker, "answer", interrupted_once)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    Session(asker, database, console=Console(), rows=5).take_all(["long?", "short?"])
    printed = capsys.readouterr()
    assert "given up" in printed.err and "after" in printed.out


def test_at_a_terminal_there_is_a_prompt_a_history_and_ctrl_d_leaves(tmp_path):
    master, slave = pty.openpty()
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "TERM": "dumb", "COLUMNS": "100"}
    command = [sys.executable, "-m", "contrapeso", "ask", "--database", str(ZOO)]
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    ) as run:
        os.close(slave)
        seen = until(master, "ask> ")
        assert "zoo.sqlite: 2 tables; Baseline Model answers" in seen and "Ctrl-D leaves" in seen
        os.write(master, KNOWN.encode() + b"\n")
        assert "4 rows" in until(master, "\nask> ")
        os.write(master, b"\x04")
        assert run.wait(timeout=60) == 0
    os.close(master)
    assert KNOWN in (tmp_path / "contrapeso" / "ask_history").read_text(encoding="utf-8")


def until(master: int, words: str) -> str:
    """What a terminal shows until it shows some words."""
    seen = ""
    while words not in seen.replace("\r", ""):
        assert select.select([master], [], [], 120)[0], f"no {words!r} in {seen!r}"
        seen += os.read(master, 4096).decode("utf-8", "replace")
    return seen


# ---- the document ----

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "ask.md"


def test_the_commands_of_the_document_print_what_it_shows(monkeypatch, capsys):
    parts = DOCUMENT.read_text(encoding="utf-8").split("```")[1::2]  # of the fences, what is between them
    commands = [part.removeprefix("console\n$ contrapeso ").strip() for part in parts if "contrapeso ask" in part]
    pairs = list(
        zip(commands, (part.removeprefix("text\n") for part in parts if part.startswith("text")), strict=False)
    )
    assert len(pairs) == 2
    monkeypatch.chdir(DOCUMENT.parents[1])
    for command, shown in pairs:
        assert contrapeso(monkeypatch, *shlex.split(command)) == 0
        assert capsys.readouterr().out == shown


def test_the_document_names_only_options_that_exist_and_the_help_of_the_conversation(monkeypatch, capsys):
    for command in ("ask", "demo"):
        assert contrapeso(monkeypatch, command, "--help") == 0
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    text = DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known
    for line in HELP.splitlines()[1:]:
        assert line.strip() in text
