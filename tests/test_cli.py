"""The command line: what it prints, what it exits with, and that `check` never loads weights."""

import re
import subprocess
import sys

import pytest
from studies import contrapeso, write_tiny_study

from contrapeso import load_study
from contrapeso.errors import ContrapesoError
from contrapeso.version import __version__

COMMANDS = ("run", "check", "init", "score", "compare", "fetch", "ask", "demo", "import-adapter", "export")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_tiny_study(tmp_path_factory.mktemp("cli"))


def test_version_prints_one_line(monkeypatch, capsys):
    assert contrapeso(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"contrapeso {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], []])
def test_help_names_every_command_with_a_sentence_and_the_exit_codes(arguments, monkeypatch, capsys):
    assert contrapeso(monkeypatch, *arguments) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z]\w+ .*", text, re.MULTILINE), command
    words = " ".join(text.split())
    for error in ContrapesoError.__subclasses__():
        assert re.search(rf"\b{error.exit_code} \w+", words), error
    assert "130 interrupted" in words


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_every_command_has_a_help_sentence(command, monkeypatch, capsys):
    assert contrapeso(monkeypatch, command, "--help") == 0
    text = capsys.readouterr().out
    options = re.findall(r"^  (--[\w-]+)(?:, --[\w-]+)?(?: [A-Z_=|]+)?(.*(?:\n {8,}.*)*)", text, re.MULTILINE)
    assert options
    for option, sentence in options:
        assert re.search(r"[A-Z]\w+ .*\.", " ".join(sentence.split())), f"{command} {option}: {sentence!r}"


def test_python_dash_m_is_the_same_command():
    result = subprocess.run([sys.executable, "-m", "contrapeso", "--version"], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"contrapeso {__version__}\n", "")


@pytest.mark.parametrize("arguments", [["run"], ["run", "pocket", "--nope"], ["frobnicate"], ["run", "a", "b"]])
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, monkeypatch, capsys):
    assert contrapeso(monkeypatch, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("contrapeso: ") and printed.err.endswith("; see contrapeso --help\n")


def test_init_writes_a_file_that_loads_and_never_overwrites_one(tmp_path, monkeypatch, capsys):
    file = tmp_path / "mine.toml"
    assert contrapeso(monkeypatch, "init", file) == 0
    assert f"contrapeso run {file}" in capsys.readouterr().out
    assert load_study(file) == load_study("pocket")
    file.write_text("mine", encoding="utf-8")
    assert contrapeso(monkeypatch, "init", file) == 2
    assert file.read_text(encoding="utf-8") == "mine" and "exists" in capsys.readouterr().err


def test_init_takes_any_preset(tmp_path, monkeypatch):
    assert contrapeso(monkeypatch, "init", tmp_path / "s.toml", "--preset", "mistral-7b") == 0
    assert load_study(tmp_path / "s.toml") == load_study("mistral-7b")


def test_check_accepts_what_init_writes_and_loads_no_weights(study, tmp_path, monkeypatch, capsys):
    import transformers

    def refuse(*args, **kwargs):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("contrapeso.models.loading.load_model", refuse)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", refuse)
    file = tmp_path / "mine.toml"
    assert contrapeso(monkeypatch, "init", file) == 0
    capsys.readouterr()
    model = f"model.id={study.parent / 'model'}"
    assert contrapeso(monkeypatch, "check", file, "--out", tmp_path / "out", "--set", model) == 0
    text = capsys.readouterr().out
    lines = dict(re.match(r"(?:ok|warn) +([^:]+): (.+)", line).groups() for line in text.splitlines())
    assert {"target", "train", "general", "memory", "disk"} <= set(lines)
    assert re.search(r"[\d,]+ questions on \d+ databases", lines["target"])
    assert "GiB" in lines["memory"] and "GiB free" in lines["disk"]
    effects = [detail for subject, detail in lines.items() if subject.startswith("smallest ")]
    assert len(effects) == 2 and all(re.match(r"\d+\.\d points with ", detail) for detail in effects)
    assert not (tmp_path / "out").exists()


def test_check_exits_with_the_code_of_the_obstacle_and_says_what_to_do(study, monkeypatch, capsys):
    assert contrapeso(monkeypatch, "check", study, "--set", "target.data=/nowhere") == 3
    printed = capsys.readouterr()
    assert re.search(r"^fail +[^:]+: .*/nowhere.*`pocket`", printed.out, re.MULTILINE)


def test_run_prints_a_table_with_intervals_the_verdict_and_where_the_report_is(study, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    smaller = ["--set", "target.limit=4", "--set", "runs.1.epochs=1"]
    out = tmp_path / "out"
    assert contrapeso(monkeypatch, "run", study, "--out", out, *smaller) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for name in ("Baseline Model", "Fine-Tuned Run 1", "Fine-Tuned Run 2"):
        assert name in printed.out
    assert re.search(r"\d+\.\d % \[\d+\.\d, \d+\.\d\]", printed.out)
    assert f"Report: {out / 'report.html'}" in printed.out
    assert "\n\n" not in printed.out.strip("\n")
    assert load_study(out / "study.toml").target.limit == 4


def test_check_accepts_the_study_that_ships(tmp_path, monkeypatch, capsys):
    from contrapeso.models.loading import POCKET_FOLDER

    if not (POCKET_FOLDER / "config.json").is_file():
        pytest.skip("the pocket model is not in this checkout")
    assert contrapeso(monkeypatch, "check", "pocket", "--out", tmp_path / "out") == 0
    assert "fail" not in capsys.readouterr().out
