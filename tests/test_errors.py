"""Everything that can be wrong before or during a study: one line, the right exit code, and nothing half-written.

Each case damages one thing in a study that is otherwise whole, and goes through the real command line.
"""

import builtins
import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from studies import contrapeso, files, results, write_tiny_study

from contrapeso import load_study, run

STUDY, DATA, MODEL, RESOURCE, STORE = 2, 3, 4, 5, 6


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("errors")
    write_tiny_study(root)
    return root


@pytest.fixture
def root(template, tmp_path):
    return Path(shutil.copytree(template, tmp_path / "study"))


@pytest.fixture
def command(root, monkeypatch, capfd):
    """Run the study with overrides; returns the exit code and what reached stderr, from native code too."""

    def run_it(*overrides: str, out: Path | None = None, study: str | None = None):
        settings = [part for override in overrides for part in ("--set", override)]
        capfd.readouterr()
        code = contrapeso(monkeypatch, "run", study or root / "study.toml", "--out", out or root / "out", *settings)
        return code, capfd.readouterr().err

    return run_it


@dataclass
class Case:
    """One fault: what is damaged (it may name settings to override), how the command leaves, what the line says."""

    name: str
    damage: Callable[[Path], object]
    code: int
    says: tuple[str, ...]


def garden(root):
    return root / "spider" / "database" / "garden" / "garden.sqlite"


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def replace_in(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def settings(*overrides):
    return lambda root: overrides


def remove(*parts):
    def damage(root):
        path = root.joinpath(*parts)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


CASES = [
    Case("wrong key", settings("target.limmit=3"), STUDY, ("target.limmit", "did you mean 'limit'")),
    Case("wrong value", settings("general.shots=9"), STUDY, ("general.shots", "9")),
    Case(
        "study file is no TOML",
        lambda root: replace_in(root / "study.toml", "seed = 7", "seed ="),
        STUDY,
        (r"study\.toml", "line 2"),
    ),
    Case(
        "several wrong keys",
        settings("modle.id=x", "seeds=1"),
        STUDY,
        ("did you mean 'model'", "did you mean 'seed'"),
    ),
    Case("data folder missing", remove("spider"), DATA, ("there is no data folder", "pocket")),
    Case("general data folder missing", settings("general.data=/nowhere"), DATA, ("/nowhere", "layout of mmlu")),
    Case("train file missing", remove("spider", "train_spider.json"), DATA, (r"train_spider\.json", "expected")),
    Case("database file missing", lambda root: garden(root).unlink(), DATA, (r"garden\.sqlite", "expected")),
    Case(
        "database is garbage",
        lambda root: garden(root).write_bytes(b"garbage" * 999),
        DATA,
        (r"garden\.sqlite", "fetch it again"),
    ),
    Case("database is cut short", lambda root: cut(garden(root)), DATA, (r"garden\.sqlite", "fetch")),
    Case("database is empty", lambda root: garden(root).write_bytes(b""), DATA, (r"garden\.sqlite", "fetch")),
    Case(
        "database is cut within its tables",
        lambda root: cut(garden(root), 0.9),
        DATA,
        (r"garden\.sqlite", "fetch"),
    ),
    Case("JSON is cut short", lambda root: cut(root / "spider" / "dev.json"), DATA, (r"dev\.json, line \d+", "fetch")),
    Case(
        "JSON lacks a key",
        lambda root: replace_in(root / "spider" / "dev.json", '"query"', '"sql"'),
        DATA,
        (r"dev\.json, entry 0", "query"),
    ),
    Case(
        "MMLU answer column is wrong",
        lambda root: replace_in(root / "mmlu" / "test" / "astronomy_test.csv", " 2 z,C", " 2 z,2"),
        DATA,
        (r"astronomy_test\.csv, record 3", "'2'", "A, B, C, D"),
    ),
    Case("subject unknown", settings('general.subjects=["astronmy"]'), DATA, ("astronmy", "'astronomy'")),
    Case("item to leave out unknown", settings('target.leave_out.0.items=["dev/99"]'), DATA, ("dev/99", "dev/0009")),
    Case("more shots than databases", settings("target.baseline_shots=9"), DATA, ("9 shots", "baseline_shots")),
    Case("training example too long", settings("training.max_length=16"), DATA, ("max_length = 16", "raise it")),
    Case("model folder missing", settings("model.id=./no/such/model"), MODEL, ("no/such/model", "no folder")),
    Case("model without configuration", remove("model", "config.json"), MODEL, ("model", r"no config\.json")),
    Case("model without weights", remove("model", "model.safetensors"), MODEL, ("no .*safetensors", "complete")),
    Case(
        "model weights cut short",
        lambda root: cut(root / "model" / "model.safetensors"),
        MODEL,
        ("could not be loaded", "fetch"),
    ),
    Case(
        "model weights garbage",
        lambda root: (root / "model" / "model.safetensors").write_bytes(b"x" * 500),
        MODEL,
        ("could not be loaded", "fetch"),
    ),
    Case("tokenizer missing", remove("model", "tokenizer.json"), MODEL, ("tokenizer of", "fetch")),
    Case(
        "tokenizer cut short",
        lambda root: cut(root / "model" / "tokenizer.json"),
        MODEL,
        ("tokenizer of", "fetch"),
    ),
    Case(
        "hub id while offline",
        settings("model.id=nobody/no-such-model"),
        MODEL,
        ("nobody/no-such-model", "give the folder"),
    ),
    Case(
        "target modules match nothing",
        settings('training.target_modules=["qq_proj"]'),
        MODEL,
        (r"training\.target_modules = \['qq_proj'\]", "all-linear"),
    ),
    Case(
        "prompts do not fit the model", settings("target.max_new_tokens=2048"), MODEL, ("lower target.max_new_tokens",)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_fault_is_one_line_with_its_exit_code_and_leaves_nothing_half_written(case, root, command):
    overrides = case.damage(root)
    code, stderr = command(*(overrides if isinstance(overrides, tuple) else ()))
    assert stderr.startswith("contrapeso: ") and stderr.count("\n") == 1 and "Traceback" not in stderr, stderr
    assert code == case.code, stderr
    for pattern in case.says:
        assert re.search(pattern, stderr), (pattern, stderr)
    assert_nothing_half_written(root / "out")


def assert_nothing_half_written(out):
    left = set(files(out)) if out.is_dir() else set()
    assert not [name for name in left if ".tmp" in name or ".part" in name]
    assert not [name for name in left if name.startswith(("csv", "figures", "report", "summary", "adapters"))]
    if "manifest.json" in left:
        assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["complete"] is False


@pytest.mark.parametrize(
    ("overrides", "says"),
    [(["model.quantization=nf4", "model.device=auto"], "nf4"), (["model.device=cuda"], "cuda")],
)
def test_without_a_gpu_nf4_and_cuda_are_refused(overrides, says, command, root, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    code, stderr = command(*overrides)
    assert (code, stderr.count("\n")) == (RESOURCE, 1)
    assert re.match(rf'contrapeso: model\.\w+ is "{says}" but PyTorch sees no GPU: set model\.\w+ = ', stderr)
    assert_nothing_half_written(root / "out")


def test_an_unknown_preset_names_the_nearest(command):
    code, stderr = command(study="pockt")
    assert (code, stderr.count("\n")) == (STUDY, 1) and "did you mean 'pocket'" in stderr


def test_a_study_folder_that_is_a_file_or_holds_other_things_is_refused_untouched(root, command):
    (root / "thesis").mkdir()
    (root / "thesis" / "chapter.txt").write_text("mine", encoding="utf-8")
    for out, says in ((root / "study.toml", "is a file"), (root / "thesis", "not a study folder")):
        code, stderr = command(out=out)
        assert (code, stderr.count("\n")) == (STORE, 1)
        assert str(out) in stderr and says in stderr and "choose another --out" in stderr
    assert set(files(root / "thesis")) == {"chapter.txt"}


def test_a_study_folder_in_use_is_refused(root, command):
    (root / "out").mkdir()
    with (root / "out" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, stderr = command()
    assert (code, stderr.count("\n")) == (STORE, 1) and "in use by another contrapeso process" in stderr


def test_a_folder_that_cannot_be_made_is_refused(root, command):
    code, stderr = command(out=root / "study.toml" / "below")
    assert (code, stderr.count("\n")) == (STORE, 1) and "study.toml" in stderr


@pytest.fixture(scope="module")
def whole(template, tmp_path_factory):
    """What the study leaves on a disk with room."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run(load_study(template / "study.toml"), out)
    return out


def test_a_damaged_manifest_and_a_damaged_journal_name_the_file(template, whole, tmp_path, monkeypatch, capfd):
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    for damaged in (out / "manifest.json", out / "outcomes" / "Baseline_Model" / "mmlu.jsonl"):
        damaged.write_text("{\n" + damaged.read_text(encoding="utf-8"), encoding="utf-8")
        code = contrapeso(monkeypatch, "run", template / "study.toml", "--out", out)
        stderr = capfd.readouterr().err
        assert (code, stderr.count("\n")) == (STORE, 1)
        assert damaged.name in stderr and "delete" in stderr
        damaged.unlink()
    assert contrapeso(monkeypatch, "run", template / "study.toml", "--out", out) == 0
    assert results(out) == results(whole)


def full_at(monkeypatch, pattern):
    """From now on the disk is full for paths that match, whoever writes: the library, PEFT, torch or safetensors."""
    import safetensors.torch

    def refuse(path):
        if re.search(pattern, os.fspath(path)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))

    opened, opened_by_path, saved = builtins.open, Path.open, safetensors.torch.save_file

    def guarded_open(file, mode="r", *args, **kwargs):
        if isinstance(file, str | os.PathLike) and set(mode) & set("wax+"):
            refuse(file)
        return opened(file, mode, *args, **kwargs)

    def guarded_path_open(self, mode="r", *args, **kwargs):
        if set(mode) & set("wax+"):
            refuse(self)
        return opened_by_path(self, mode, *args, **kwargs)

    def guarded_save(tensors, filename, *args, **kwargs):
        refuse(filename)
        return saved(tensors, filename, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", guarded_open)
    monkeypatch.setattr(Path, "open", guarded_path_open)
    monkeypatch.setattr(safetensors.torch, "save_file", guarded_save)
    monkeypatch.setattr("peft.peft_model.safe_save_file", guarded_save)


FULL = (
    r"/\.?manifest\.json",
    r"outcomes/Baseline_Model/mmlu\.jsonl$",
    r"checkpoints/.*trainer_state\.json",
    r"adapters/Fine-Tuned_Run_1[^/]*/adapter_model",
    r"outcomes/Fine-Tuned_Run_1/\.?spider\.key",
    r"adapters/Fine-Tuned_Run_2/\.?training\.json",
    r"csv/\.avaliacao_mmlu",
    r"/\.report\.pdf",
    r"/\.summary\.json",
)
"""Where the disk is full, in the order in which a study comes by: journal, checkpoint, adapter, keys, report."""


def test_a_full_disk_is_one_line_wherever_it_strikes_and_the_same_command_then_goes_on(
    template, whole, tmp_path, monkeypatch, capfd
):
    out = tmp_path / "out"
    arguments = ("run", template / "study.toml", "--out", out)
    for pattern in FULL:
        with monkeypatch.context() as full:
            full_at(full, pattern)
            code = contrapeso(full, *arguments)
        stderr = capfd.readouterr().err
        assert stderr.startswith("contrapeso: ") and stderr.count("\n") == 1, (pattern, stderr)
        assert code == RESOURCE and "No space left on device" in stderr and re.search("free .*disk space", stderr)
        assert not (out / "summary.json").exists()
        assert not [name for name in files(out) if ".tmp" in name or ".part" in name]
    assert contrapeso(monkeypatch, *arguments) == 0
    assert results(out) == results(whole)
