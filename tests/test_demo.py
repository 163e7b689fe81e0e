"""The page of `contrapeso demo`: who may talk to it, what it takes in, and what it shows in a real browser."""

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from asking import BASE, KNOWN, RUN, ZOO, query, scripted, write_database, write_study_folder
from studies import contrapeso

from contrapeso.ask_source import Source, model_source, study_source
from contrapeso.demo import shelf as shelf_module
from contrapeso.models.loading import POCKET_FOLDER
from contrapeso.models.local import LocalEngine
from tests.report.test_browser import CONTRAST, browser  # noqa: F401

pytest.importorskip("starlette", reason="the extra `demo` is not installed")
pytest.importorskip("uvicorn", reason="the extra `demo` is not installed")
pytestmark = pytest.mark.skipif(not (POCKET_FOLDER / "config.json").is_file(), reason="the pocket model is not here")

TOKEN = "the-token-of-this-test"
OWNED = "document.title='owned'"
HOSTILE = f'<script>{OWNED}</script><img src=x onerror="{OWNED}">\u202e\x1b[2J'
PATIENCE = {"timeout": 60_000}


@dataclass
class Served:
    """A page that is being served."""

    port: int
    room: Any
    uploads: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, dict[str, str]]:
        """A request as the page makes it, but for the headers given; returns status, body and headers."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            named = {"X-Contrapeso-Token": TOKEN} | {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {name: value for name, value in named.items() if value})
            answer = connection.getresponse()
            text = answer.read().decode()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return (
                answer.status,
                json.loads(text)
                if "json" in found.get("content-type", "") and "ndj" not in found["content-type"]
                else text,
                found,
            )

    def upload(self, content: bytes, name: str = "mine.sqlite") -> tuple[int, Any]:
        return self.call("POST", "/databases", content, X_File_Name=quote(name))[:2]

    def ask(self, question: str, database: str) -> list[dict[str, Any]]:
        body = json.dumps({"question": question, "database": database}).encode()
        return [json.loads(line) for line in self.call("POST", "/ask", body)[1].splitlines()]

    def named(self, name: str) -> str:
        return next(entry.id for entry in self.room.shelf.entries() if entry.name == name)


@contextmanager
def serving(source: Source) -> Iterator[Served]:
    from contrapeso.demo.server import application, http_server, listening, opened_room

    with opened_room(source, say=lambda line: None) as room, listening(0) as listener:
        port = listener.getsockname()[1]
        assert listener.getsockname()[0] == "127.0.0.1"
        server = http_server(application(room, port=port, token=TOKEN))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Served(port, room, room.shelf._uploads)
        finally:
            server.should_exit = True
            thread.join(timeout=60)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study_folder(tmp_path_factory.mktemp("demo") / "study")


@pytest.fixture(scope="module")
def served(study: Path) -> Iterator[Served]:
    with serving(study_source(study)) as served:
        yield served


@pytest.fixture(autouse=True)
def no_uploads_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "served" in request.fixturenames:
        served = request.getfixturevalue("served")
        for entry in served.room.shelf.entries():
            if entry.uploaded:
                served.room.shelf.remove(entry.id)


def until(true: Any) -> None:
    """Wait for something that happens in another thread."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


# ---- who may talk to it ----


def test_the_page_itself_is_let_in(served):
    status, text, headers = served.call("GET", f"/?token={TOKEN}", X_Contrapeso_Token="")
    assert status == 200 and "<title>Ask a database" in text
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"X_Contrapeso_Token": ""}),
        ("GET", "/?token=wrong", {"X_Contrapeso_Token": ""}),
        ("GET", f"/databases?token={TOKEN}", {"X_Contrapeso_Token": ""}),
        ("POST", "/ask", {"X_Contrapeso_Token": "wrong"}),
        ("POST", f"/databases?token={TOKEN}", {"X_Contrapeso_Token": ""}),
        ("GET", "/databases", {"Host": "evil.example"}),
        ("GET", "/databases", {"Host": "127.0.0.1.evil.example:{port}"}),
        ("GET", "/databases", {"Host": "127.0.0.1"}),
        ("GET", "/style.css", {"Host": "evil.example:{port}"}),
        ("POST", "/ask", {"Origin": "https://evil.example"}),
        ("POST", "/ask", {"Origin": "null"}),
        ("POST", "/ask", {"Origin": "http://127.0.0.1:1"}),
    ],
)
def test_strangers_are_turned_away(served, method, path, headers):
    filled = {name: value.format(port=served.port) for name, value in headers.items()}
    status, text, protected = served.call(method, path, b"{}" if method == "POST" else b"", **filled)
    assert status == 403 and "zoo" not in text and "content-security-policy" in protected


def test_a_port_that_is_taken_is_one_line(served, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "demo", "--no-browser", "--port", str(served.port)) == 5
    assert f"port {served.port} cannot be used" in capsys.readouterr().err


def test_without_the_extra_the_command_says_what_to_install(monkeypatch, capsys):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "starlette" else find(name))
    assert contrapeso(monkeypatch, "demo") == 5
    assert "contrapeso[demo]" in capsys.readouterr().err


def test_the_command_serves_the_page_and_ctrl_c_ends_it(tmp_path):
    command = [sys.executable, "-m", "contrapeso", "demo", "--no-browser", "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    restored = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=restored) as run:
        assert run.stderr is not None
        lines = iter(run.stderr.readline, "")
        address = next(match.group() for line in lines if (match := re.search(r"http://\S+", line)))
        with urllib.request.urlopen(address, timeout=60) as page:
            assert b"Ask a database" in page.read()
        assert len(list(tmp_path.glob("contrapeso-*"))) == 1
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=60) == 0 and run.stderr.read() == ""
    assert list(tmp_path.glob("contrapeso-*")) == []


# ---- uploads ----


def test_an_upload_is_kept_under_a_random_name_and_removed(served):
    status, entry = served.upload(ZOO.read_bytes(), "../../etc/pass\\..\\wd.sqlite")
    assert status == 201 and entry["name"] == "wd.sqlite" and entry["uploaded"]
    (file,) = served.uploads.iterdir()
    assert file.name == f"{entry['id']}.sqlite" and file.stat().st_mode & 0o077 == 0
    assert served.call("GET", f"/databases/{entry['id']}")[1]["tables"][0]["name"] == "keeper"
    assert served.call("DELETE", f"/databases/{entry['id']}")[0] == 204
    assert list(served.uploads.iterdir()) == []
    assert served.call("GET", f"/databases/{entry['id']}")[0] == 400


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"id,name\n1,x\n", "no SQLite database"), (b"", "no SQLite database"), (ZOO.read_bytes()[:64], "cut short")],
)
def test_what_is_no_database_is_refused_and_leaves_nothing(served, content, words):
    status, answer = served.upload(content)
    assert status == 400 and words in answer["error"] and str(served.uploads) not in answer["error"]
    assert list(served.uploads.iterdir()) == [] and all(not entry.uploaded for entry in served.room.shelf.entries())


def test_an_upload_that_is_too_large_is_cut_off(served, monkeypatch):
    monkeypatch.setattr(shelf_module, "UPLOAD_BYTES", 1 << 20)
    status, answer = served.upload(ZOO.read_bytes() + bytes(3 << 20))
    assert status == 400 and "larger than 1 MB" in answer["error"]
    assert list(served.uploads.iterdir()) == []


def test_an_upload_broken_off_leaves_nothing(served):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    connection.putrequest("POST", "/databases")
    connection.putheader("X-Contrapeso-Token", TOKEN)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(ZOO.read_bytes()[:512])
    until(lambda: list(served.uploads.iterdir()))
    connection.close()
    until(lambda: not list(served.uploads.iterdir()))


def test_only_so_many_uploads_are_kept(served, monkeypatch):
    monkeypatch.setattr(shelf_module, "MOST_UPLOADS", 2)
    codes = [served.upload(ZOO.read_bytes())[0] for _ in range(3)]
    assert codes == [201, 201, 400] and len(list(served.uploads.iterdir())) == 2


def test_uploads_that_come_at_once_are_counted_too(served, monkeypatch):
    monkeypatch.setattr(shelf_module, "MOST_UPLOADS", 2)
    coming = [http.client.HTTPConnection("127.0.0.1", served.port, timeout=60) for _ in range(2)]
    for connection in coming:
        connection.putrequest("POST", "/databases")
        connection.putheader("X-Contrapeso-Token", TOKEN)
        connection.putheader("Content-Length", str(ZOO.stat().st_size))
        connection.endheaders()
    until(lambda: len(list(served.uploads.iterdir())) == 2)
    status, answer = served.upload(ZOO.read_bytes())
    assert status == 400 and "2 uploads" in answer["error"]
    for connection in coming:
        connection.send(ZOO.read_bytes())
        assert connection.getresponse().status == 201
        connection.close()


def test_an_upload_that_does_not_say_how_long_it_is_is_cut_off_too(served, monkeypatch):
    monkeypatch.setattr(shelf_module, "UPLOAD_BYTES", 1 << 20)
    chunks = iter([ZOO.read_bytes(), *[bytes(1 << 16)] * 48])
    with closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)) as connection:
        connection.request("POST", "/databases", chunks, {"X-Contrapeso-Token": TOKEN}, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 400 and b"larger than 1 MB" in answer.read()
    assert list(served.uploads.iterdir()) == []


def test_a_database_of_the_data_set_cannot_be_removed(served):
    assert served.call("DELETE", f"/databases/{served.named('zoo')}")[0] == 400 and ZOO.is_file()


def test_uploads_are_gone_when_the_page_is(monkeypatch):
    with serving(model_source()) as served:
        assert served.upload(ZOO.read_bytes())[0] == 201
    assert not served.uploads.exists()


# ---- questions ----


def test_every_variant_answers_and_is_held_against_the_reference(served, monkeypatch):
    scripted(monkeypatch, "SELECT skill, max(age) FROM keeper GROUP BY skill", "SELECT nope FROM keeper")
    reference, *events = served.ask(KNOWN, served.named("zoo"))
    assert reference["event"] == "reference" and reference["result"]["row_count"] == 4
    answers = [event for event in events if event["event"] == "answer"]
    assert [(answer["variant"], answer["agrees"]) for answer in answers] == [(BASE, True), (RUN, False)]
    expected = query(ZOO, "SELECT skill, max(age) FROM keeper GROUP BY skill")
    assert [[text for _, text in row] for row in answers[0]["result"]["rows"]] == [[s, str(a)] for s, a in expected]
    assert "no such column: nope" in answers[1]["failure"] and events[-1] == {"event": "end"}


@pytest.mark.parametrize("question", [" ", "why " * 1200])
def test_a_question_that_cannot_be_asked_is_said_once(served, question):
    events = served.ask(question, served.named("zoo"))
    assert [event["event"] for event in events] == ["working", "error"] and "question" in events[-1]["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"question": 1, "database": "d0"}', b'"' + b"x" * 30_000])
def test_a_body_that_is_no_question_is_refused(served, body):
    status, answer, _ = served.call("POST", "/ask", body)
    assert status == 400 and "question" in answer["error"]


def test_one_question_is_answered_at_a_time_in_turn(served, monkeypatch):
    running, most, order = [0], [0], []

    def generate(self, variant, prompts, **_):
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.02)
        order.append(prompts[0].body)
        running[0] -= 1
        from contrapeso.tasks.base import Generation

        yield [0], [Generation("SELECT 1", True, 9, 9, "0" * 16)]

    monkeypatch.setattr(LocalEngine, "generate", generate)
    zoo, found = served.named("zoo"), []
    threads = [threading.Thread(target=lambda n=n: found.append(served.ask(f"q{n}", zoo))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] and len(order) == 8
    assert all(events[-1]["event"] == "end" for events in found) and any(
        e["event"] == "queued" for f in found for e in f
    )
    assert served.room.desk.waiting == 0


def test_whoever_goes_away_is_not_answered_any_further(served, monkeypatch):
    began, ended = threading.Event(), threading.Event()

    def endless(self, variant, prompts, **_):
        began.set()
        try:
            while True:  # a token each
                time.sleep(0.01)
                for hook in list(self.model._forward_pre_hooks.values()):
                    hook()
        finally:
            ended.set()
        yield

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "generate", endless)
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        body = json.dumps({"question": "x", "database": served.named("zoo")})
        connection.request("POST", "/ask", body, {"X-Contrapeso-Token": TOKEN})
        assert began.wait(60)
        connection.close()
        assert ended.wait(60)
        until(lambda: served.room.desk.waiting == 0)
    scripted(monkeypatch, "SELECT 1")
    assert served.ask("next?", served.named("zoo"))[-1] == {"event": "end"}


def test_too_many_that_wait_are_sent_away(served, monkeypatch):
    monkeypatch.setattr(served.room.desk, "waiting", 8)
    status, answer, _ = served.call("POST", "/ask", json.dumps({"question": "x", "database": "d0"}).encode())
    assert status == 503 and "wait" in answer["error"]


# ---- in the browser ----


class Opened:
    """The page in a browser, with what it complained of and what it asked for."""

    def __init__(self, chromium: Any, served: Served, **context: Any) -> None:
        self.context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | context)
        self.page = self.context.new_page()
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(served.address)
        self.page.locator("#schema details").first.wait_for(**PATIENCE)

    def choose(self, name: str) -> None:
        self.page.select_option("#database", label=name)
        self.page.locator("#source-status", has_text="table").wait_for(**PATIENCE)

    def ask(self, question: str) -> list[str]:
        """Ask and wait; returns what the cards say, variant by variant."""
        self.page.fill("#question", question)
        self.page.press("#question", "Enter")
        self.page.locator("#status", has_text="Answered in").wait_for(**PATIENCE)
        return self.page.locator(".answer").all_inner_texts()

    def upload(self, name: str, content: bytes) -> None:
        with self.page.expect_response(lambda response: "/databases" in response.url):
            self.page.set_input_files("#file", {"name": name, "mimeType": "application/x-sqlite3", "buffer": content})


@pytest.fixture
def opened(browser: Any, served: Served) -> Iterator[Opened]:  # noqa: F811
    opened = Opened(browser, served)
    yield opened
    opened.context.close()


def test_the_pocket_model_answers_on_the_page(opened, served):
    opened.choose("zoo")
    base, run = opened.ask(KNOWN)
    assert BASE in base and RUN in run
    assert "SELECT skill, max(age) FROM keeper GROUP BY skill" in base and "✓ the rows of the reference query" in base
    for skill, age in query(ZOO, "SELECT skill, max(age) FROM keeper GROUP BY skill"):
        assert skill in base and str(age) in base
    assert "written in" in base and "✓" not in run
    assert opened.trouble == []
    assert {url.split("/")[2] for url in opened.requests if not url.startswith("data:")} == {f"127.0.0.1:{served.port}"}


def test_an_uploaded_database_is_asked_and_removed(opened, monkeypatch, tmp_path):
    scripted(monkeypatch, "SELECT title FROM book")
    book = write_database(tmp_path / "b.sqlite", "CREATE TABLE book (id INTEGER PRIMARY KEY, title TEXT)",
                          "INSERT INTO book VALUES (1, 'Dom Casmurro')")  # fmt: skip
    page = opened.page
    opened.upload("my books.sqlite", book.read_bytes())
    page.locator("#schema summary", has_text="book").wait_for(**PATIENCE)
    assert page.locator("#database option:checked").inner_text() == "my books.sqlite"
    assert "How many rows does book have?" in page.inner_text("#questions")
    cards = opened.ask("Which titles?")
    assert all("Dom Casmurro" in card and "reference" not in card for card in cards)
    page.click("#remove")
    page.locator("#schema summary", has_text="book").wait_for(state="detached", **PATIENCE)
    assert page.locator("#database option", has_text="my books").count() == 0 and opened.trouble == []


def test_a_question_is_about_the_database_that_is_named_while_its_schema_is_still_read(opened, served, monkeypatch):
    scripted(monkeypatch, "SELECT count(*) FROM keeper")
    page, held = opened.page, []
    page.route(f"**/databases/{served.named('zoo')}", lambda route: held.append(route))
    page.select_option("#database", label="zoo")
    assert all("1 row" in card for card in opened.ask("How many keepers?"))
    assert page.locator("#schema details").count() == 0 and not page.locator("#questions").is_visible()
    held[0].continue_()
    page.locator("#schema summary", has_text="keeper").wait_for(**PATIENCE)


def test_a_database_that_cannot_be_read_leaves_nothing_of_the_last_one(opened, served):
    refusal = {"status": 400, "content_type": "application/json", "body": '{"error": "zoo is damaged"}'}
    opened.page.route(f"**/databases/{served.named('zoo')}", lambda route: route.fulfill(**refusal))
    opened.page.select_option("#database", label="zoo")
    opened.page.locator("#trouble", has_text="zoo is damaged").wait_for(**PATIENCE)
    assert opened.page.locator("#schema details").count() == 0
    assert opened.page.inner_text("#source-status") == ""


def test_a_file_that_is_no_database_is_refused_in_words(opened):
    opened.upload("notes.txt", b"hello")
    opened.page.locator("#trouble", has_text="no SQLite database").wait_for(**PATIENCE)


def test_names_and_rows_of_a_hostile_database_are_shown_and_never_run(opened, monkeypatch, tmp_path):
    named = HOSTILE.replace('"', '""')
    database = write_database(tmp_path / "h.sqlite", f'CREATE TABLE "{named}" ("{named}" "{named}")')
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f'INSERT INTO "{named}" VALUES (?)', (HOSTILE,))
        connection.commit()
    scripted(monkeypatch, f'SELECT * FROM "{named}"')
    opened.upload(f"{HOSTILE}.sqlite", database.read_bytes())
    opened.page.locator("#schema summary", has_text="<script>").wait_for(**PATIENCE)
    cards = opened.ask(f"What about {HOSTILE}?")
    assert all("⟨U+202E⟩" in card and "<script>" in card and "1 row" in card for card in cards)
    assert opened.page.title() != "owned" and opened.page.locator("main img, main script").count() == 0
    assert opened.trouble == []


def test_a_hostile_query_of_a_model_is_shown_refused_and_harms_nothing(opened, monkeypatch):
    literal = HOSTILE.replace("'", "''")
    scripted(monkeypatch, f"SELECT '{literal}' FROM nowhere", "DROP TABLE keeper; --" + HOSTILE)
    opened.choose("zoo")
    first, second = opened.ask("x?")
    assert "<script>" in first and "no such table: nowhere" in first
    assert "refused" in second and query(ZOO, "SELECT count(*) FROM keeper")[0][0] > 0
    assert opened.page.title() != "owned" and opened.trouble == []


def test_a_huge_schema_is_cut_for_the_page_and_refused_by_the_model(opened, tmp_path):
    names = ", ".join(f"a_column_called_{number}" for number in range(60))
    huge = write_database(tmp_path / "huge.sqlite", *(f"CREATE TABLE t{number} ({names})" for number in range(250)))
    opened.upload("huge.sqlite", huge.read_bytes())
    opened.page.locator("#source-status", has_text="250 tables, the first 200 shown").wait_for(**PATIENCE)
    assert "and 30 more" in opened.page.locator("#schema details").first.text_content()
    opened.page.fill("#question", "How many?")
    opened.page.click("#ask")
    opened.page.locator("#trouble", has_text="huge.sqlite (250 tables) take").wait_for(**PATIENCE)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_many_rows_and_columns_are_cut_and_counted(opened, monkeypatch):
    wide = ", ".join(f"{number} AS c{number}" for number in range(40))
    scripted(monkeypatch, f"SELECT {wide} FROM animal CROSS JOIN keeper")
    opened.choose("zoo")
    count = query(ZOO, "SELECT count(*) FROM animal CROSS JOIN keeper")[0][0]
    card = opened.ask("x?")[0]
    assert f"{count:,} rows, the first 50 shown, the first 30 of 40 columns" in card
    assert opened.page.locator(".answer").first.locator("tbody tr").count() == 50
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_stop_gives_the_question_up_and_another_can_be_asked(opened, served, monkeypatch):
    def endless(self, variant, prompts, **_):
        while True:
            time.sleep(0.01)
            for hook in list(self.model._forward_pre_hooks.values()):
                hook()
        yield

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "generate", endless)
        opened.page.fill("#question", "x?")
        opened.page.press("#question", "Enter")
        opened.page.locator("#status", has_text="is writing").wait_for(**PATIENCE)
        opened.page.keyboard.press("Escape")
        opened.page.locator("#status", has_text="Stopped.").wait_for(**PATIENCE)
        until(lambda: served.room.desk.waiting == 0)
    scripted(monkeypatch, "SELECT 'afterwards'")
    assert "afterwards" in opened.ask("y?")[0]


def test_a_question_of_the_evaluation_is_asked_by_a_click(opened, monkeypatch):
    asked = scripted(monkeypatch, "SELECT 1")
    opened.choose("zoo")
    button = opened.page.locator("#questions button", has_text=KNOWN)
    button.click()
    opened.page.locator("#status", has_text="Answered in").wait_for(**PATIENCE)
    assert len(asked) == 2 and all(KNOWN in prompt.body for prompt in asked)


def test_the_page_is_worked_by_keys_and_everything_has_a_name(opened):
    tree = json.dumps(opened.page.locator("main").aria_snapshot())
    for name in (
        'combobox \\"Database to ask about\\"',
        'textbox \\"Question about the database\\"',
        'button \\"Ask\\"',
    ):
        assert name in tree, name
    opened.page.focus("#database")
    reached = []
    for _ in range(30):
        opened.page.keyboard.press("Tab")
        reached.append(opened.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert [name for name in reached if name in ("file", "question", "ask")] == ["file", "question", "ask"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_light_and_dark(browser, served, monkeypatch, scheme):  # noqa: F811
    scripted(monkeypatch, "SELECT name, 'x' -- why\nFROM keeper WHERE age > 3", "SELECT nope FROM keeper")
    opened = Opened(browser, served, color_scheme=scheme)
    opened.choose("zoo")
    opened.ask(KNOWN)
    opened.page.click("#reference summary")
    assert opened.page.evaluate(CONTRAST) == []
    opened.context.close()


def test_the_page_fits_a_telephone(browser, served, monkeypatch):  # noqa: F811
    scripted(monkeypatch, f"SELECT '{'x' * 300}' AS {'y' * 100}, * FROM animal")
    opened = Opened(browser, served, viewport={"width": 360, "height": 740})
    opened.choose("zoo")
    opened.ask("x?")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
    opened.context.close()
