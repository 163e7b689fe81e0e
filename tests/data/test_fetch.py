"""`contrapeso fetch` from end to end: the command, the real sets, and the hosts' own clients with their own caches."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data.made_sets import contents, make_mmlu_parquet, make_spider, pin
from loopback import answers, breaks_off, corrupts, serving, stalls
from studies import contrapeso

from contrapeso.data import load_mmlu, load_questions, mmlu_folder, spider_folder
from contrapeso.data.hub import Request, fetch
from contrapeso.data.sources import SETS, HubSource
from contrapeso.errors import DataError

KAGGLE = SETS["spider"].kaggle
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PARQUET = tuple(SETS["mmlu"].hub.files)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache and a home of their own; the network may be used."""
    monkeypatch.setenv("CONTRAPESO_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for variable in [name for name in os.environ if name.startswith(("KAGGLE", "HF_TOKEN"))]:
        monkeypatch.delenv(variable)
    return tmp_path / "cache"


def command(*arguments, **environment) -> subprocess.CompletedProcess:
    """The command in a process of its own, as Hugging Face's client reads the environment when it is imported."""
    return subprocess.run(
        [sys.executable, "-m", "contrapeso", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


# The command and the real sets


def test_the_real_spider_from_a_server_is_scored_by_its_name(shared_data, tmp_path, cache, monkeypatch, capsys):
    archive = Path(shutil.make_archive(str(tmp_path / "spider"), "zip", shared_data, "spider"))
    with serving({"/spider.zip": archive.read_bytes()}) as server:
        server.mishaps = [breaks_off(after=4_000_000)]
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        assert contrapeso(monkeypatch, "fetch", "spider", "--from", f"{server.url}/spider.zip") == 0
    printed = capsys.readouterr().out
    assert "CC BY-SA 4.0" in printed and "7,000 train, 1,034 dev, 160 databases, 166 files" in printed
    assert 'target.data = "spider"' in printed
    assert contents(cache / "spider") == contents(shared_data / "spider")
    lines = (shared_data / "spider_predictions" / "chatgpt_zero_shot.sql").read_text(encoding="utf-8").splitlines()
    predictions = tmp_path / "predictions.sql"
    predictions.write_text("\n".join(lines[:60]), encoding="utf-8")
    scores = [tmp_path / "by_name.json", tmp_path / "by_path.json"]
    for data, file in zip(("spider", shared_data / "spider"), scores, strict=True):
        assert contrapeso(monkeypatch, "score", predictions, "--data", data, "--limit", "60", "--json", file) == 0
    by_name, by_path = (json.loads(file.read_text(encoding="utf-8")) for file in scores)
    assert by_name["n"] == 60 and by_name["items"] == by_path["items"] and by_name["rules"] == by_path["rules"]


def test_a_killed_fetch_goes_on_where_it_was(shared_data, tmp_path, cache):
    archive = Path(shutil.make_archive(str(tmp_path / "spider"), "zip", shared_data, "spider")).read_bytes()
    with serving({"/spider.zip": archive}) as server:
        server.mishaps = [stalls(after=4_000_000)]
        arguments = [sys.executable, "-m", "contrapeso", "fetch", "spider", "--from", f"{server.url}/spider.zip"]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        part = f".spider.download-{hashlib.sha256(arguments[-1].encode()).hexdigest()[:8]}-spider.zip.part"
        while process.poll() is None and not ((cache / part).exists() and (cache / part).stat().st_size >= 3_900_000):
            time.sleep(0.05)
        assert process.poll() is None
        process.kill()
        process.wait()
        kept = (cache / part).stat().st_size
        fetch("spider", Request(origin=arguments[-1]))
        assert server.requests[-1].headers["Range"] == f"bytes={kept}-"
    assert contents(cache / "spider") == contents(shared_data / "spider")


def test_the_real_mmlu_is_the_same_from_its_authors_layout_and_from_a_table(shared_data, tmp_path, monkeypatch):
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "hub" / "all").mkdir(parents=True)
    real = load_mmlu(shared_data / "mmlu")
    for split in ("dev", "test"):
        rows = []
        for file in sorted((shared_data / "mmlu" / split).glob("*.csv")):
            with file.open(encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    choices = [row[f"choice{n}"] for n in range(4)]
                    subject = file.name.removesuffix(f"_{split}.csv")
                    rows.append(
                        {
                            "question": row["question"],
                            "subject": subject,
                            "choices": choices,
                            "answer": int(row["answer"]),
                        }
                    )
        parquet.write_table(
            pyarrow.Table.from_pylist(rows), tmp_path / "hub" / "all" / f"{split}-00000-of-00001.parquet"
        )
    assert fetch("mmlu", Request(origin=str(tmp_path / "hub"))).record["counts"] == {
        "test": 14_042, "dev": 285, "subjects": 57
    }  # fmt: skip
    assert load_mmlu(mmlu_folder("mmlu")) == real
    archive = shutil.make_archive(str(tmp_path / "data"), "tar", shared_data / "mmlu" / "hendrycks_layout")
    fetch("mmlu", Request(origin=archive, force=True))
    assert load_mmlu(mmlu_folder("mmlu")) == real


def test_check_says_the_command_that_brings_a_missing_set(cache, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "check", "mistral-7b") != 0
    printed = capsys.readouterr().out
    assert f"{cache} does not hold that set: `contrapeso fetch spider` brings it" in printed
    assert "fail  general: there is no data folder mmlu here" in printed and "`contrapeso fetch mmlu`" in printed


def test_score_says_the_command_too_and_exits_with_the_code_of_data(tmp_path, monkeypatch, capsys):
    (tmp_path / "p.sql").write_text("SELECT 1\n", encoding="utf-8")
    assert contrapeso(monkeypatch, "score", tmp_path / "p.sql", "--data", "bird") == 3
    assert "`contrapeso fetch bird`" in capsys.readouterr().err


def test_the_command_says_where_the_set_lies_and_how_a_study_finds_another_cache(tmp_path, monkeypatch, capsys):
    pin(monkeypatch)
    made = make_spider(tmp_path / "made")
    arguments = ("fetch", "spider", "--from", made, "--cache", tmp_path / "drive")
    assert contrapeso(monkeypatch, *arguments) == 0
    assert f"CONTRAPESO_DATA={tmp_path / 'drive'}" in capsys.readouterr().out
    assert contrapeso(monkeypatch, *arguments) == 0
    assert "is there already and unchanged: 15 train, 10 dev" in capsys.readouterr().out
    monkeypatch.setenv("CONTRAPESO_DATA", str(tmp_path / "drive"))
    assert len(load_questions(spider_folder("spider"), "train")) == 15


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("fetch", "wikisql"), 2, "wikisql"),
        (("fetch", "mmlu", "--from", "kaggle"), 3, "mmlu is not fetched from Kaggle"),
        (("fetch", "spider", "--from", "/nowhere"), 3, "no such folder or archive"),
        (("fetch", "bird", "--offline"), 3, "is not asked while offline"),
        (("fetch", "spider", "--from", "kaggle", "--revision", "main"), 3, "the number of a version"),
        (("fetch", "spider", "--sha256", "12"), 3, "64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(arguments, code, complaint, monkeypatch, capsys):
    assert contrapeso(monkeypatch, *arguments) == code
    printed = capsys.readouterr().err
    assert complaint in printed and printed.count("\n") == 1


# Hugging Face: its cache on disk, and its client against a server on this machine


def hub_cache(folder: Path, repository: str, revision: str, files: dict[str, bytes]) -> Path:
    """A cache as huggingface_hub lays it out: blobs by hash, snapshots of links to them, a ref."""
    home = folder / f"datasets--{repository.replace('/', '--')}"
    for name, content in files.items():
        blob = home / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link = home / "snapshots" / revision / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revision, encoding="utf-8")
    return home


@pytest.fixture
def hub_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub_cache"))
    return tmp_path / "hub_cache"


def test_spider_in_the_hubs_own_cache_is_found_offline(hub_home, tmp_path, cache, monkeypatch):
    made = make_spider(tmp_path / "made")
    archive = Path(shutil.make_archive(str(tmp_path / "spider"), "zip", made)).read_bytes()
    pinned = HubSource("xlangai/spider", COMMIT, {"data/spider.zip": hashlib.sha256(archive).hexdigest()})
    pin(monkeypatch, spider={"hub": pinned})
    home = hub_cache(hub_home, "xlangai/spider", COMMIT, {"data/spider.zip": archive})
    fetched = fetch("spider", Request(offline=True))
    assert contents(cache / "spider") == contents(made / "spider")
    assert (fetched.record["origin"], fetched.record["revision"]) == ("huggingface", COMMIT)
    assert fetched.record["sha256"] == pinned.files["data/spider.zip"]
    assert (home / "snapshots" / COMMIT / "data" / "spider.zip").read_bytes() == archive


def test_another_file_in_the_hubs_cache_than_the_pinned_one_is_refused(hub_home, tmp_path, monkeypatch):
    archive = Path(shutil.make_archive(str(tmp_path / "spider"), "zip", make_spider(tmp_path / "made"))).read_bytes()
    pin(monkeypatch, spider={"hub": HubSource("xlangai/spider", COMMIT, {"data/spider.zip": "0" * 64})})
    hub_cache(hub_home, "xlangai/spider", COMMIT, {"data/spider.zip": archive})
    with pytest.raises(DataError, match=f"SHA-256 .*, expected {'0' * 64}"):
        fetch("spider", Request(offline=True))


def test_a_blob_that_rotted_in_the_hubs_cache_is_seen_by_its_name(hub_home, tmp_path, monkeypatch):
    made = make_mmlu_parquet(tmp_path / "made")
    pin(monkeypatch, mmlu={"hub": HubSource("cais/mmlu", COMMIT, dict.fromkeys(PARQUET))})
    home = hub_cache(hub_home, "cais/mmlu", COMMIT, {name: (made / name).read_bytes() for name in PARQUET})
    assert fetch("mmlu", Request(offline=True)).record["counts"]["subjects"] == 57
    blob = (home / "snapshots" / COMMIT / PARQUET[0]).resolve()
    blob.write_bytes(blob.read_bytes() + b"x")
    with pytest.raises(DataError, match=f"expected {blob.name}; the copy at .* is damaged"):
        fetch("mmlu", Request(offline=True, force=True))


def test_what_is_not_in_the_hubs_cache_is_named_offline(hub_home):
    with pytest.raises(DataError, match=r"data/spider.zip of xlangai/spider at 33bb2d632e7e is not in the hub's cache"):
        fetch("spider", Request(offline=True))


def hub_server(server, repository: str, revision: str, files: dict[str, bytes]) -> None:
    """Serve a repository as the hub does: the commit and the hash of a large file stand in the headers."""
    for name, content in files.items():
        path = f"/datasets/{repository}/resolve/{revision}/{name}"
        server.files[path] = content
        server.headers[path] = {
            "X-Repo-Commit": revision,
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
        }


def test_huggingface_hub_really_fetches_the_real_mmlu_from_a_server(shared_data, tmp_path, cache):
    files = real_mmlu_tables(shared_data, tmp_path)
    with serving() as server:
        hub_server(server, "cais/mmlu", COMMIT, files)
        environment = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        done = command("fetch", "mmlu", "--revision", COMMIT, **environment)
        assert (done.returncode, "14,042 test, 285 dev, 57 subjects" in done.stdout) == (0, True), done.stderr
        asked = len(server.requests)
        again = command("fetch", "mmlu", "--force", "--offline", "--revision", COMMIT, **environment)
        assert again.returncode == 0 and len(server.requests) == asked
    assert load_mmlu(cache / "mmlu") == load_mmlu(shared_data / "mmlu")


def real_mmlu_tables(shared_data: Path, tmp_path: Path) -> dict[str, bytes]:
    import pyarrow
    from pyarrow import parquet

    files = {}
    mmlu = load_mmlu(shared_data / "mmlu")
    for name, items in zip(PARQUET, ([i for shots in mmlu.dev.values() for i in shots], mmlu.test), strict=True):
        rows = [
            {"question": i.question, "subject": i.group, "choices": list(i.choices), "answer": "ABCD".index(i.gold)}
            for i in items
        ]
        parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "table")
        files[name] = (tmp_path / "table").read_bytes()
    return files


def test_a_hub_that_sends_another_file_than_the_pinned_one_is_refused(tmp_path, cache):
    source = SETS["spider"].hub
    with serving() as server:
        hub_server(server, source.repository, source.revision, {"data/spider.zip": b"PK\x03\x04 not the one"})
        environment = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        done = command("fetch", "spider", **environment)
    assert done.returncode == 3 and f"expected {source.files['data/spider.zip']}" in done.stderr
    assert not (cache / "spider").exists()


@pytest.mark.parametrize(
    ("mishap", "complaint"),
    [(answers(404, {"X-Error-Code": "RevisionNotFound"}), "RevisionNotFoundError"), (answers(403), "does not give")],
)
def test_a_hub_that_refuses_is_one_line(mishap, complaint, tmp_path):
    with serving() as server:
        server.mishaps = [mishap] * 5
        done = command("fetch", "spider", HF_ENDPOINT=server.url, HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 3 and complaint in done.stderr and "Traceback" not in done.stderr


def test_a_hub_out_of_reach_is_one_line(tmp_path):
    with serving() as server:
        gone = server.url
    done = command("fetch", "spider", HF_ENDPOINT=gone, HF_HOME=str(tmp_path / "hf"))
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert done.stderr.startswith("contrapeso: cannot reach Hugging Face for xlangai/spider")


# Kaggle: kagglehub's cache on disk, and kagglehub against a server on this machine


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """kagglehub with a cache of its own, asking a server on this machine instead of Kaggle."""
    pytest.importorskip("kagglehub")
    import requests
    from kagglehub import config
    from kagglesdk import kaggle_env

    pin(monkeypatch)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kagglehub"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setattr(config, "DEFAULT_KAGGLE_CREDENTIALS_FOLDER", str(tmp_path / "home" / ".kaggle"))
    monkeypatch.setattr(requests.utils, "get_netrc_auth", lambda *rest, **more: None)
    with serving() as server:
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, server.url)
        yield server


def kaggle_archive(tmp_path: Path) -> bytes:
    return Path(shutil.make_archive(str(tmp_path / "kaggle"), "zip", make_spider(tmp_path / "made"))).read_bytes()


def test_spider_in_kagglehubs_own_cache_is_found_offline(kaggle, tmp_path, cache):
    home = tmp_path / "kagglehub" / "datasets" / Path(KAGGLE.handle)
    made = make_spider(home / "versions" / "1")
    (home / "1.complete").touch()
    fetched = fetch("spider", Request(origin="kaggle", offline=True))
    assert contents(cache / "spider") == contents(made / "spider")
    assert (fetched.record["revision"], kaggle.requests) == ("1", [])


def test_kagglehub_really_fetches_and_sends_the_token_of_kaggle_json(kaggle, tmp_path, cache):
    kaggle.posts["/DownloadDataset"] = kaggle_archive(tmp_path)
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text('{"username": "me", "key": "k3y"}', encoding="utf-8")
    fetch("spider", Request(origin="kaggle"))
    assert contents(cache / "spider") == contents(tmp_path / "made" / "spider")
    assert kaggle.requests[0].headers["Authorization"] == "Basic bWU6azN5"  # me:k3y
    asked = len(kaggle.requests)
    assert fetch("spider", Request(origin="kaggle", force=True)).fresh
    assert len(kaggle.requests) == asked  # kagglehub keeps what it fetched


def test_the_token_may_come_from_the_environment(kaggle, tmp_path, monkeypatch):
    kaggle.posts["/DownloadDataset"] = kaggle_archive(tmp_path)
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", "k3y")
    fetch("spider", Request(origin="kaggle"))
    assert kaggle.requests[0].headers["Authorization"] == "Basic bWU6azN5"


@pytest.mark.parametrize("status", [401, 403])
def test_without_a_token_that_is_wanted_the_line_says_where_it_goes(kaggle, status):
    kaggle.mishaps = [answers(status)] * 3
    with pytest.raises(DataError, match=rf"Kaggle refuses .*\(status {status}\).*kaggle.json.*KAGGLE_USERNAME"):
        fetch("spider", Request(origin="kaggle"))


def test_what_kaggle_does_not_have_cuts_off_or_garbles_is_one_line(kaggle, tmp_path, cache):
    with pytest.raises(DataError, match=r"there is no .*\(status 404\)"):
        fetch("spider", Request(origin="kaggle"))
    archive = kaggle_archive(tmp_path)
    kaggle.posts["/DownloadDataset"] = archive
    for mishap in (breaks_off(after=1000), answers(500)):
        kaggle.mishaps = [mishap]
        with pytest.raises(DataError):
            fetch("spider", Request(origin="kaggle"))
    kaggle.mishaps = [corrupts(at=len(archive) - 20)]
    with pytest.raises(DataError):
        fetch("spider", Request(origin="kaggle"))
    assert not (cache / "spider").exists()


def test_a_broken_kaggle_json_is_named(kaggle, tmp_path):
    (tmp_path / "home" / ".kaggle").mkdir(parents=True)
    (tmp_path / "home" / ".kaggle" / "kaggle.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"Invalid Kaggle credentials file at .*kaggle.json"):
        fetch("spider", Request(origin="kaggle"))


def test_kaggle_out_of_reach_is_one_line(kaggle, monkeypatch):
    from kagglesdk import kaggle_env

    with serving() as server:
        gone = server.url
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, gone)
    with pytest.raises(DataError, match=f"cannot reach Kaggle for {KAGGLE.handle}/versions/1"):
        fetch("spider", Request(origin="kaggle"))


def test_without_kagglehub_the_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DataError, match=r"pip install 'contrapeso\[kaggle\]'"):
        fetch("spider", Request(origin="kaggle"))
