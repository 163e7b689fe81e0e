"""The study folder: nothing half-written, nothing lost, nothing shared by two processes."""

import errno
import json
import subprocess
import sys

import pytest

from contrapeso import store
from contrapeso.errors import ResourceError, StoreError
from contrapeso.store import Journal, fingerprint, forget, open_folder, read_json, still_valid, write_atomically
from contrapeso.tasks.base import Outcome

KEY = {"model": "m", "task": "t"}


def outcome(item, **changes):
    row = {"item": item, "group": "g", "gold": "A", "answer": "B", "correct": False, "reason": "wrong_option"}
    row |= {"prompt_sha": "0" * 16, "prompt_tokens": 9, "truncated": False, "stopped": True}
    return Outcome(**({"log_probabilities": (-1.0, -2.0)} | row | changes))


def test_a_fingerprint_ignores_key_order_and_sees_every_value():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1, "b": [2]}) != fingerprint({"a": 1, "b": [3]})


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    target = tmp_path / "file.json"
    write_atomically(target, "old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(ResourceError, match=r"file\.json: No space left on device; free disk space"):
        write_atomically(target, "new")
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_outcomes_survive_reopening_in_every_field(tmp_path):
    rows = [outcome("a"), outcome("b", correct=True, rules={"unordered": True}, left_out="empty table")]
    Journal(tmp_path / "t.jsonl", KEY).append(rows)
    assert list(Journal(tmp_path / "t.jsonl", KEY).outcomes.values()) == rows


def test_a_line_cut_off_by_a_kill_is_dropped_and_the_rest_kept(tmp_path):
    path = tmp_path / "t.jsonl"
    Journal(path, KEY).append([outcome("a"), outcome("b")])
    whole = path.read_bytes()
    for length in range(len(whole) // 2 + 1, len(whole)):
        path.write_bytes(whole[:length])
        journal = Journal(path, KEY)
        assert list(journal.outcomes) == ["a"]
        journal.append([outcome("b")])
        assert path.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_an_error_that_names_file_and_line(tmp_path):
    path = tmp_path / "t.jsonl"
    Journal(path, KEY).append([outcome("a"), outcome("b")])
    path.write_text("{}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(StoreError, match=r"t\.jsonl, line 1 is damaged"):
        Journal(path, KEY)


def test_another_key_starts_over_and_says_what_changed(tmp_path):
    Journal(tmp_path / "t.jsonl", KEY).append([outcome("a")])
    journal = Journal(tmp_path / "t.jsonl", KEY | {"task": "other"})
    assert journal.changed == ["task"] and journal.outcomes == {}
    assert Journal(tmp_path / "t.jsonl", KEY | {"task": "other"}).changed is None


def test_an_item_is_journalled_once(tmp_path):
    journal = Journal(tmp_path / "t.jsonl", KEY)
    journal.append([outcome("a")])
    journal.append([outcome("a", answer="C"), outcome("b")])
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["item"], line["answer"]) for line in lines] == [("a", "B"), ("b", "B")]


def test_a_forgotten_result_is_not_valid_even_if_its_files_stayed(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    store.write_json(folder / "key.json", KEY)
    assert still_valid(folder, KEY) and not still_valid(folder, KEY | {"seed": "1"})
    forget(folder)
    assert not folder.exists() and not still_valid(folder, KEY)


def test_two_processes_never_share_a_folder(tmp_path):
    program = (
        "import sys; from pathlib import Path; from contrapeso.store import open_folder\n"
        "from contrapeso.errors import StoreError\n"
        "try:\n    open_folder(Path(sys.argv[1])).__enter__(); print('entered')\n"
        "except StoreError as error:\n    print(error)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "study")]
    with open_folder(tmp_path / "study"):
        held = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    free = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "in use by another contrapeso process" in held and free.strip() == "entered"


def test_a_folder_with_other_things_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.docx").write_text("precious", encoding="utf-8")
    with pytest.raises(StoreError, match="not a study folder"), open_folder(tmp_path):
        pass
    with pytest.raises(StoreError, match="is a file"), open_folder(tmp_path / "thesis.docx"):
        pass


def test_damaged_json_names_the_file(tmp_path):
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"manifest\.json is damaged"):
        read_json(tmp_path / "manifest.json")
    assert read_json(tmp_path / "nothing.json") is None
