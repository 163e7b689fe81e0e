"""Fetching a set: from folders, archives and a real server on this machine; whole, or the old one stays."""

import errno
import fcntl
import hashlib
import io
import json
import shutil
import sqlite3
import tarfile
import threading
from pathlib import Path

import pytest
from data.made_sets import contents, make_bird, make_mmlu, make_mmlu_parquet, make_spider, mmlu_rows, pin
from loopback import answers, breaks_off, serving

from contrapeso.data import CATEGORY_OF_SUBJECT, load_mmlu, load_questions, mmlu_folder, spider_folder
from contrapeso.data.cache import cache_folder, describe, digest, fetched_folder
from contrapeso.data.download import Patience
from contrapeso.data.hub import Request, fetch
from contrapeso.errors import DataError, ResourceError
from contrapeso.progress import Silent

AT_ONCE = Patience(timeout_seconds=0.5, failures=0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of its own, a network that may be used, and pins for the made sets."""
    monkeypatch.setenv("CONTRAPESO_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    pin(monkeypatch)
    return tmp_path / "cache"


@pytest.fixture
def spider(tmp_path) -> Path:
    return make_spider(tmp_path / "made")


def zipped(folder: Path, tmp_path: Path, kind: str = "zip") -> Path:
    return Path(shutil.make_archive(str(tmp_path / f"archive-{kind}"), kind, folder))


def request(origin: Path | str, **more) -> Request:
    return Request(origin=str(origin), patience=AT_ONCE, **more)


def sets_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("kind", ["folder", "inner folder", "zip", "tar", "gztar", "xztar"])
def test_a_set_on_disk_arrives_byte_for_byte_and_is_found_by_its_name(kind, spider, tmp_path, cache):
    origin = {"folder": spider, "inner folder": spider / "spider"}.get(kind) or zipped(spider, tmp_path, kind)
    fetched = fetch("spider", request(origin))
    assert fetched.fresh and fetched.folder == cache / "spider" == spider_folder("spider")
    assert contents(fetched.folder) == contents(spider / "spider")
    assert len(load_questions(spider_folder("spider"), "dev")) == 10
    assert sets_in(cache) == ["spider"]


def test_the_record_says_what_arrived_and_holds_a_hash_of_every_file(spider, tmp_path, cache):
    archive = zipped(spider, tmp_path)
    fetch("spider", request(archive))
    record = json.loads((cache / "spider" / "fetched.json").read_text(encoding="utf-8"))
    assert record["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert record["origin"] == str(archive) and "CC BY-SA 4.0" in record["licence"]
    assert record["counts"] == {"train": 15, "dev": 10, "databases": 5, "files": 5}
    for path, content in contents(cache / "spider").items():
        assert record["files"][path] == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_the_hash_of_a_folder_is_what_sha256sum_would_give(spider, tmp_path):
    folder = spider / "spider"
    listing = "".join(
        f"{hashlib.sha256((folder / path).read_bytes()).hexdigest()}  {path}\n" for path in sorted(contents(folder))
    )
    assert digest(describe(folder)) == hashlib.sha256(listing.encode()).hexdigest()


def test_bird_arrives_with_the_databases_that_its_archive_holds_in_another(tmp_path, cache):
    archive = zipped(make_bird(tmp_path / "made", tmp_path / "databases"), tmp_path)
    fetch("bird", request(archive))
    items = load_questions(spider_folder("bird"), "dev")
    assert len(items) == 4 and items[0].question == "1?\nHint: e"
    assert {path.name for path in (cache / "bird").iterdir()} == {
        "dev.json", "dev_tables.json", "dev_databases", "fetched.json"
    }  # fmt: skip
    assert (cache / "bird" / "dev_databases" / "zoo" / "database_description" / "animal.csv").is_file()


def test_bird_unpacked_by_hand_with_the_archive_of_its_databases_left_beside_them_is_fine(tmp_path, cache):
    made = make_bird(tmp_path / "made", tmp_path / "databases") / "dev_20240627"
    shutil.unpack_archive(made / "dev_databases.zip", made)
    fetch("bird", request(made))
    assert (cache / "bird" / "dev_databases" / "zoo" / "zoo.sqlite").is_file()
    assert not (cache / "bird" / "dev_databases.zip").exists()


def test_mmlu_of_the_hub_becomes_one_file_a_subject_with_every_cell_as_it_was(tmp_path):
    fetch("mmlu", request(make_mmlu_parquet(tmp_path / "made")))
    mmlu = load_mmlu(mmlu_folder("mmlu"))
    for subject in CATEGORY_OF_SUBJECT:
        wanted = [(q, tuple(o), "ABCD"[a]) for q, o, a in mmlu_rows("dev", subject)]
        assert [(item.question, item.choices, item.gold) for item in mmlu.dev[subject]] == wanted
    questions = [q for subject in sorted(CATEGORY_OF_SUBJECT) for q, _, _ in mmlu_rows("test", subject)]
    assert [item.question for item in mmlu.test] == questions


def test_mmlu_of_its_authors_arrives_without_the_questions_to_train_on(tmp_path, cache):
    made = make_mmlu(tmp_path / "made")
    fetch("mmlu", request(zipped(made, tmp_path, "tar")))
    assert contents(cache / "mmlu" / "test") == contents(made / "data" / "test")
    assert not (cache / "mmlu" / "auxiliary_train").exists()


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"question": ["q"], "subject": ["../../evil"], "choices": [["a", "b", "c", "d"]], "answer": [0]}, "no MMLU"),
        ({"question": ["q"], "subject": ["anatomy"], "choices": [["a", "b"]], "answer": [0]}, "row 0: no MMLU"),
        ({"question": ["q"], "subject": ["anatomy"], "choices": [None], "answer": [0]}, "row 0: no MMLU"),
        ({"question": ["q"]}, "no table of MMLU"),
    ],
)
def test_a_table_with_something_else_in_it_is_refused(table, complaint, tmp_path, cache):
    import pyarrow
    from pyarrow import parquet

    made = make_mmlu_parquet(tmp_path / "made")
    parquet.write_table(pyarrow.table(table), made / "all" / "test-00000-of-00001.parquet")
    with pytest.raises(DataError, match=complaint):
        fetch("mmlu", request(made))
    assert sets_in(cache) == [] and not (tmp_path / "evil").exists()


def test_a_set_at_an_address_is_fetched_in_pieces_if_need_be_and_the_archive_not_kept(spider, tmp_path, cache):
    archive = zipped(spider, tmp_path).read_bytes()
    with serving({"/dir/set.zip": archive}) as server:
        server.mishaps = [breaks_off(after=2000)]
        with pytest.raises(DataError, match="2,000 bytes are kept"):
            fetch("spider", request(f"{server.url}/dir/set.zip"))
        assert fetched_folder("spider") is None
        fetch("spider", request(f"{server.url}/dir/set.zip"))
        assert server.requests[-1].headers["Range"] == "bytes=2000-"
    assert contents(cache / "spider") == contents(spider / "spider")
    assert sets_in(cache) == ["spider"]


def test_a_second_fetch_asks_nobody_and_changes_nothing(spider, tmp_path, cache):
    with serving({"/set.zip": zipped(spider, tmp_path).read_bytes()}) as server:
        fetch("spider", request(f"{server.url}/set.zip"))
        before = {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}
        assert not fetch("spider", request(f"{server.url}/set.zip")).fresh
        assert not fetch("spider").fresh and not fetch("spider", Request(offline=True)).fresh
        assert len(server.requests) == 1
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_the_user_adds_to_a_set_is_no_damage(spider, cache):
    fetch("spider", request(spider))
    (cache / "spider" / "leave_out.json").write_text('{"items": {"dev/0003": "why"}}', encoding="utf-8")
    assert not fetch("spider").fresh


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_set_is_fetched_again(damage, spider, cache):
    fetch("spider", request(spider))
    file = cache / "spider" / "dev.json"
    _ = file.write_bytes(b"[]") if damage == "changed" else file.unlink()
    assert fetch("spider", request(spider)).fresh
    assert contents(cache / "spider") == contents(spider / "spider")


def broken(spider: Path, how: str) -> None:
    folder = spider / "spider"
    if how == "fewer questions":
        entries = json.loads((folder / "dev.json").read_text(encoding="utf-8"))
        (folder / "dev.json").write_text(json.dumps(entries[:-1]), encoding="utf-8")
    elif how == "a database that is a web page":
        next((folder / "database").glob("*/*.sqlite")).write_text("<html>", encoding="utf-8")
    elif how == "a database cut short":
        file = next((folder / "database").glob("*/*.sqlite"))
        file.write_bytes(file.read_bytes()[:-4096])
    elif how == "a database with a broken schema":
        file = next((folder / "database").glob("*/*.sqlite"))
        file.write_bytes(file.read_bytes().replace(b"CREATE TABLE", b"CREATE LABEL"))
    elif how == "a database without tables":
        file = next((folder / "database").glob("*/*.sqlite"))
        file.unlink()
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version = 1")
        connection.close()
    else:
        (folder / "tables.json").unlink()


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ("fewer questions", r"not the whole of spider: 9 dev \(should be 10\)"),
        ("a database that is a web page", "is not a SQLite database"),
        ("a database cut short", "is cut short"),
        ("a database with a broken schema", "does not open"),
        ("a database without tables", "holds no tables"),
        ("no tables.json", "what arrived is not spider: no folder with tables.json and database/"),
    ],
)
def test_what_is_not_the_whole_set_is_refused_and_the_old_one_stays(how, complaint, spider, tmp_path, cache):
    fetch("spider", request(spider))
    before = contents(cache / "spider", without=())
    worse = shutil.copytree(spider, tmp_path / "worse")
    broken(worse, how)
    with pytest.raises(DataError, match=complaint):
        fetch("spider", request(worse, force=True))
    assert contents(cache / "spider", without=()) == before and sets_in(cache) == ["spider"]


def test_a_broken_database_that_no_question_is_about_is_named_and_does_not_stand_in_the_way(spider, cache):
    (spider / "spider" / "database" / "zoo").mkdir()
    (spider / "spider" / "database" / "zoo" / "zoo.sqlite").write_text("<html>", encoding="utf-8")
    lines = []
    reporter = Silent()
    reporter.say = lines.append
    assert fetch("spider", request(spider), reporter=reporter).record["counts"]["files"] == 5
    assert [line for line in lines if "no question is about it" in line and "zoo.sqlite" in line]


def test_a_server_that_fails_under_force_leaves_the_old_set(spider, tmp_path, cache):
    fetch("spider", request(spider))
    before = contents(cache / "spider", without=())
    page = b"<!DOCTYPE html>sign in"
    with serving({"/page": page}) as server:
        for path, mishaps in (("/gone", []), ("/page", []), ("/page", [answers(503)])):
            server.mishaps = mishaps
            with pytest.raises(DataError):
                fetch("spider", request(server.url + path, force=True))
    assert contents(cache / "spider", without=()) == before and sets_in(cache) == ["spider"]


def test_force_exchanges_the_set_for_the_new_one(spider, tmp_path, cache):
    fetch("spider", request(spider))
    (spider / "spider" / "README.txt").write_text("second edition", encoding="utf-8")
    assert fetch("spider", request(spider / "spider", force=True)).fresh
    assert (cache / "spider" / "README.txt").read_text(encoding="utf-8") == "second edition"
    assert sets_in(cache) == ["spider"]


def test_an_origin_without_a_pin_is_held_to_what_it_sent_the_first_time(spider, tmp_path, cache):
    first = zipped(spider, tmp_path).read_bytes()
    (spider / "spider" / "README.txt").write_text("second edition", encoding="utf-8")
    second = zipped(spider, tmp_path).read_bytes()
    new = hashlib.sha256(second).hexdigest()
    with serving({"/set.zip": first}) as server:
        fetch("spider", request(f"{server.url}/set.zip"))
        server.files["/set.zip"] = second
        with pytest.raises(DataError, match=f"at the first fetch it was .*--force --sha256 {new}"):
            fetch("spider", request(f"{server.url}/set.zip", force=True))
        assert (cache / "spider" / "README.txt").read_text(encoding="utf-8") == "made up"
        fetch("spider", request(f"{server.url}/set.zip", force=True, sha256=new.upper()))
    assert (cache / "spider" / "README.txt").read_text(encoding="utf-8") == "second edition"


def test_a_known_archive_must_have_the_pinned_hash(spider, tmp_path, cache, monkeypatch):
    archive = zipped(spider, tmp_path).read_bytes()
    with serving({"/set.zip": archive}) as server:
        address = f"{server.url}/set.zip"
        pin(monkeypatch, spider={"archives": {address: "0" * 64}})
        with pytest.raises(DataError, match=f"expected {'0' * 64}"):
            fetch("spider", request(address))
        assert sets_in(cache) == []
        pin(monkeypatch, spider={"archives": {address: hashlib.sha256(archive).hexdigest()}, "origin": address})
        assert fetch("spider").fresh


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_hash_given_by_the_user_decides(kind, spider, tmp_path, cache):
    origin = spider if kind == "folder" else zipped(spider, tmp_path)
    with pytest.raises(DataError, match=f"not {'1' * 64}; nothing was changed"):
        fetch("spider", request(origin, sha256="1" * 64))
    assert sets_in(cache) == []
    sha256 = fetch("spider", request(origin)).record["sha256"]
    assert not fetch("spider", request(origin, sha256=sha256.upper())).fresh
    with pytest.raises(DataError, match=f"the SHA-256 {sha256}, not {'1' * 64}"):
        fetch("spider", request(origin, sha256="1" * 64))
    with pytest.raises(DataError, match="wants 64 hexadecimal digits"):
        fetch("spider", request(origin, sha256="abc"))


def test_two_fetches_at_a_time_download_once(spider, tmp_path, cache):
    with serving({"/set.zip": zipped(spider, tmp_path).read_bytes()}) as server:
        go, results = threading.Barrier(3), []

        def one():
            go.wait()
            results.append(fetch("spider", request(f"{server.url}/set.zip")).fresh)

        threads = [threading.Thread(target=one) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [False, False, True] and len(server.requests) == 1
    assert contents(cache / "spider") == contents(spider / "spider")


def test_what_a_killed_fetch_left_is_cleared_away_and_an_exchange_cut_in_two_is_undone(spider, cache):
    fetch("spider", request(spider))
    (cache / ".spider.new-killed").mkdir()
    (cache / ".spider.new-killed" / "half").write_text("x", encoding="utf-8")
    (cache / "spider").rename(cache / ".spider.old")
    assert not fetch("spider", Request(offline=True)).fresh
    assert contents(cache / "spider") == contents(spider / "spider")
    fetch("spider", request(spider, force=True))
    assert sets_in(cache) == ["spider"]


def test_a_copy_that_a_kill_cut_short_is_no_set_and_does_not_stand_in_the_way(spider, cache):
    (cache / "spider").mkdir(parents=True)
    (cache / "spider" / ".incomplete").touch()
    (cache / "spider" / "dev.json").write_text("[", encoding="utf-8")
    with pytest.raises(DataError, match="contrapeso fetch spider"):
        spider_folder("spider")
    fetch("spider", request(spider))
    assert contents(cache / "spider") == contents(spider / "spider")


def test_a_drive_that_knows_neither_locks_nor_renamed_folders_will_do(spider, cache, monkeypatch):
    def no_locks(handle, operation):
        raise OSError(errno.ENOTSUP, "not supported")

    renamed = Path.rename

    def files_only(self, target):
        if self.is_dir():
            raise OSError(errno.EXDEV, "not here")
        return renamed(self, target)

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr(Path, "rename", files_only)
    fetch("spider", request(spider))
    (spider / "spider" / "README.txt").write_text("second edition", encoding="utf-8")
    fetch("spider", request(spider / "spider", force=True))
    assert contents(cache / "spider") == contents(spider / "spider")
    assert sets_in(cache) == ["spider"]


def test_a_disk_that_fills_up_leaves_the_old_set(spider, cache, monkeypatch):
    fetch("spider", request(spider))
    before = contents(cache / "spider", without=())
    monkeypatch.setattr(Path, "rename", lambda self, target: (_ for _ in ()).throw(OSError(errno.EXDEV, "not here")))

    def full(source, target, *rest, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        fetch("spider", request(spider / "spider", force=True))
    monkeypatch.undo()
    monkeypatch.setenv("CONTRAPESO_DATA", str(cache))
    assert contents(cache / "spider", without=()) == before


@pytest.mark.parametrize("where", ["tempfile.mkdtemp", "contrapeso.data.hub.describe", "contrapeso.data.hub.settle"])
def test_a_disk_that_refuses_anywhere_is_a_line(where, spider, cache, monkeypatch):
    def full(*rest, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, full)
    with pytest.raises(ResourceError, match=r"cannot bring spider into .*: No space left on device"):
        fetch("spider", request(spider))
    assert sets_in(cache) == []


def test_a_folder_that_was_not_fetched_is_neither_taken_for_a_set_nor_written_over(spider, cache):
    (cache / "spider").mkdir(parents=True)
    (cache / "spider" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="was not fetched by contrapeso: move it away"):
        fetch("spider", request(spider, force=True))
    assert (cache / "spider" / "mine.txt").read_text(encoding="utf-8") == "mine"
    with pytest.raises(DataError, match="does not hold that set"):
        spider_folder("spider")


def test_offline_says_what_is_missing_and_asks_nobody(spider, tmp_path, monkeypatch):
    with serving({"/set.zip": b""}) as server:
        address = f"{server.url}/set.zip"
        with pytest.raises(DataError, match="is not asked while offline"):
            fetch("spider", request(address, offline=True))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DataError, match="is not asked while offline"):
            fetch("spider", request(address))
        assert server.requests == []
    assert fetch("spider", request(spider)).fresh  # a folder needs no network


@pytest.mark.parametrize(
    ("name", "origin", "complaint"),
    [
        ("wikisql", None, "no set called 'wikisql' to fetch; there are spider, mmlu, bird"),
        ("mmlu", "kaggle", "mmlu is not fetched from Kaggle"),
        ("spider", "/nowhere/at/all", "no such folder or archive"),
        ("spider", "ftp://data.example/set.zip", "is no http or https address"),
        ("spider", "https://me:secret@data.example/set.zip", "holds a user name or password"),
    ],
)
def test_an_origin_that_makes_no_sense_is_refused(name, origin, complaint):
    with pytest.raises(DataError, match=complaint):
        fetch(name, Request(origin=origin))


def test_a_hostile_archive_writes_nothing_outside_and_leaves_nothing(tmp_path, cache):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as opened:
        member = tarfile.TarInfo("../../../evil")
        member.size = 1
        opened.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(DataError, match="may lead out of its folder"):
        fetch("spider", request(archive))
    assert not list(tmp_path.rglob("evil")) and sets_in(cache) == []


def test_a_cache_inside_the_folder_it_is_filled_from_is_refused(spider, tmp_path, cache):
    with pytest.raises(DataError, match="lies inside"):
        fetch("spider", request(spider), cache=spider / "cache")
    fetch("spider", request(spider))
    assert fetch("spider", request(cache / "spider", force=True)).fresh  # from itself is odd, and fine
    assert contents(cache / "spider") == contents(spider / "spider")


def test_a_download_given_up_for_another_origin_does_not_stay(spider, tmp_path, cache):
    with serving({"/set.zip": bytes(5000)}) as server:
        server.mishaps = [breaks_off(after=2000)]
        with pytest.raises(DataError):
            fetch("spider", request(f"{server.url}/set.zip"))
    assert any("download" in name for name in sets_in(cache))
    fetch("spider", request(spider))
    assert sets_in(cache) == ["spider"]


@pytest.mark.parametrize("record", ["{", "[]", '{"set": "spider"}', '{"files": {}}'])
def test_a_damaged_record_means_that_there_is_no_set(record, spider, cache):
    fetch("spider", request(spider))
    (cache / "spider" / "fetched.json").write_text(record, encoding="utf-8")
    assert fetched_folder("spider") is None


def test_a_set_twice_in_one_archive_is_not_guessed_at(spider, tmp_path):
    shutil.copytree(spider / "spider", spider / "spider_again")
    with pytest.raises(DataError, match=r"more than once \(spider, spider_again\)"):
        fetch("spider", request(spider))


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTRAPESO_DATA", "~/here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "here" and cache_folder("/drive") == Path("/drive")
    monkeypatch.delenv("CONTRAPESO_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "contrapeso"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/contrapeso")


def test_a_set_named_for_the_wrong_task_is_refused_with_the_right_ones():
    with pytest.raises(DataError, match="mmlu is a set for the other task; this one reads spider or bird"):
        spider_folder("mmlu")
    with pytest.raises(DataError, match="this one reads mmlu"):
        mmlu_folder("spider")


def test_a_folder_here_wins_over_a_fetched_set_of_its_name(spider, tmp_path, monkeypatch):
    fetch("spider", request(spider))
    monkeypatch.chdir(spider)
    assert spider_folder("spider") == spider / "spider"
