"""Further axes of a study: their settings, their tasks, and a whole tiny study with one of every kind."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from studies import contrapeso, files, outcome_lines, write_tiny_study

from contrapeso import load_study, run
from contrapeso.axes import in_another_order, read_axes, stands_alone
from contrapeso.check import check
from contrapeso.errors import DataError, StudyError
from contrapeso.evidence import leaked_into
from contrapeso.experiment import planned
from contrapeso.gathering import gather, read_general
from contrapeso.rebuild import rebuild_report
from contrapeso.settings import AxisSettings
from contrapeso.sql import Sandbox
from contrapeso.store import fingerprint
from contrapeso.tasks.base import Item

RUN_1 = "Fine-Tuned_Run_1"
AXES = """
[[axes]]
name = "order"
kind = "shuffled"

[[axes]]
name = "words"
kind = "full_text"
limit = 6

[[axes]]
name = "sums"
kind = "choices"
data = "sums.jsonl"

[[axes]]
name = "sums-letters"
kind = "choices"
data = "sums.jsonl"
scoring = "letter"

[[axes]]
name = "wiki"
kind = "perplexity"
data = "wiki.txt"
"""
NAMES = ["order", "words", "sums", "sums-letters", "wiki"]


def write_study(root: Path, axes: str = AXES) -> Path:
    file = write_tiny_study(root)
    sums = [{"question": f"{n} + 1 =", "choices": [str(n + 1), str(n + 2), "blue"], "answer": 0} for n in range(8)]
    (root / "sums.jsonl").write_text("\n".join(map(json.dumps, sums)), encoding="utf-8")
    passages = (f"The {thing} stands near the river and holds {n} stones." for n, thing in enumerate(("mill", "barn")))
    (root / "wiki.txt").write_text("\n\n".join(passages), encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8").replace("epochs = 6", "epochs = 2") + axes, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("axes")
    with pytest.MonkeyPatch.context() as patch:
        assert contrapeso(patch, "run", write_study(root), "--out", root / "out") == 0
    return root


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def summary_of(root: Path) -> dict:
    return json.loads((root / "out" / "summary.json").read_text(encoding="utf-8"))


def test_every_axis_is_measured_for_the_base_and_every_run(finished: Path) -> None:
    summary = summary_of(finished)
    assert summary["complete"] and list(dict.fromkeys(row["axis"] for row in summary["axes"])) == NAMES
    assert Counter(row["axis"] for row in summary["axes"]) == dict.fromkeys(NAMES, 2)
    sizes = {row["axis"]: row["n"] for row in summary["axes"]}
    assert sizes == {"order": 10, "words": 6, "sums": 8, "sums-letters": 8, "wiki": 2}
    again = {row["axis"]: row["again"] for row in summary["axes"]}
    assert again == {"order": "mmlu", "words": "mmlu", "sums": "", "sums-letters": "sums", "wiki": ""}
    assert set(summary["variants"]["Fine-Tuned Run 1"]) == {"spider", "mmlu"}  # axes are no part of these
    assert {row["task"] for row in summary["comparisons"]} == {"spider", "mmlu"}
    plan = json.loads((finished / "out" / "record.json").read_text(encoding="utf-8"))["plan"]
    assert Counter(row["task"] for row in plan) == {"spider": 4, "mmlu": 3} | dict.fromkeys(NAMES, 3)


def test_the_summary_says_what_the_journals_say(finished: Path) -> None:
    rows = {(row["axis"], row["variant"]): row for row in summary_of(finished)["axes"]}
    for name in NAMES[:-1]:
        base, tuned = (outcome_lines(finished / "out", variant, name) for variant in ("Baseline_Model", RUN_1))
        row = rows[name, "Fine-Tuned Run 1"]
        assert row["value"] - row["base"] == pytest.approx(
            (sum(o["correct"] for o in tuned) - sum(o["correct"] for o in base)) / len(base)
        )
    base, tuned = (outcome_lines(finished / "out", variant, "wiki") for variant in ("Baseline_Model", RUN_1))
    tokens = sum(outcome["weight"] for outcome in base)
    changes = [new["value"] - old["value"] for old, new in zip(base, tuned, strict=True)]
    assert rows["wiki", "Fine-Tuned Run 1"]["delta"] == pytest.approx(sum(changes) / tokens) and any(changes)


def test_base_and_runs_are_asked_alike_and_the_audit_looks(finished: Path) -> None:
    for name in NAMES:
        asked = [
            [outcome["prompt_sha"] for outcome in outcome_lines(finished / "out", variant, name)]
            for variant in ("Baseline_Model", RUN_1, "Fine-Tuned_Run_2")
        ]
        assert asked[0] == asked[1] == asked[2]
    checks = {check["check"]: check for check in summary_of(finished)["audit"]}
    assert checks["different_prompts"]["status"] == checks["different_items"]["status"] == "ok"
    assert checks["leaked_items"]["detail"].startswith("none of 29 ")  # 9 + 10 of the tasks, 8 sums, 2 passages


def test_doing_it_again_does_nothing(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = finished / "out"
    before = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    assert contrapeso(monkeypatch, "run", finished / "study.toml", "--out", out) == 0
    assert {name: (out / name).stat().st_mtime_ns for name in files(out)} == before


def test_an_interrupted_axis_goes_on_where_it_stopped(copy: Path) -> None:
    journal = copy / "out" / "outcomes" / RUN_1 / "sums.jsonl"
    whole = journal.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    journal.write_text("".join(lines[:3]), encoding="utf-8")
    others = files(copy / "out", "outcomes")
    run(load_study(copy / "study.toml"), copy / "out")
    assert sorted(journal.read_text(encoding="utf-8").splitlines()) == sorted(whole.splitlines())
    assert journal.read_text(encoding="utf-8").startswith("".join(lines[:3]))
    after = files(copy / "out", "outcomes")
    assert {name for name in after if after[name] != others[name]} <= {f"outcomes/{RUN_1}/sums.jsonl"}


def test_the_report_is_rebuilt_without_data_and_model(copy: Path) -> None:
    before = summary_of(copy)
    for name in ("model", "spider", "mmlu"):
        shutil.rmtree(copy / name)
    for name in ("sums.jsonl", "wiki.txt"):
        (copy / name).unlink()
    (copy / "out" / "csv" / "axes.csv").unlink()
    assert rebuild_report(copy / "out") == before
    assert (copy / "out" / "csv" / "axes.csv").is_file()
    page = (copy / "out" / "report.html").read_text(encoding="utf-8")
    assert "Other things it knew" in page and "sums-letters" in page
    assert "Other things it knew" in (copy / "out" / "report.md").read_text(encoding="utf-8")


def test_another_text_is_measured_again_and_nothing_else(copy: Path) -> None:
    before = files(copy / "out", "outcomes")
    (copy / "wiki.txt").write_text("Another text.\n\nWith a second passage.", encoding="utf-8")
    run(load_study(copy / "study.toml"), copy / "out")
    after = files(copy / "out", "outcomes")
    changed = {name for name in after if after[name] != before[name]}
    assert changed and all("/wiki." in name for name in changed)


def test_taking_the_axes_out_leaves_no_trace_of_them_in_the_report(copy: Path) -> None:
    study = load_study(copy / "study.toml")
    run(study.model_copy(update={"axes": ()}), copy / "out")
    assert "axes" not in summary_of(copy) and not (copy / "out" / "csv" / "axes.csv").exists()


def test_checkpoints_and_scaled_adapters_are_not_asked_about_axes(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path), ["evaluate.scales=[0.5, 1.0]"])
    with Sandbox(workers=1) as sandbox:
        steps = planned(study, gather(study, sandbox))
    assert {step.axis is not None for step in steps if step.variant.endswith(" x0.5")} == {False}
    assert sum(step.axis is not None for step in steps) == 3 * len(NAMES)


def test_items_of_an_axis_that_were_learnt_are_leaks(tmp_path: Path) -> None:
    file = write_study(tmp_path)
    learnt = "How many cakes are there?"  # a train question of the tiny set
    (tmp_path / "wiki.txt").write_text(f"{learnt}\n\nA text of its own.", encoding="utf-8")
    study = load_study(file)
    with Sandbox(workers=1) as sandbox:
        materials = gather(study, sandbox)
        record = materials.record(study, planned(study, materials), tolerated=())
    assert record.leaked == ("axes/wiki/0000",)
    assert leaked_into({"x": (learnt,)}, ["nothing"]) == []


def test_the_check_counts_the_items_of_every_axis(tmp_path: Path) -> None:
    findings = {finding.subject: finding.detail for finding in check(load_study(write_study(tmp_path)), tmp_path / "o")}
    assert findings["axis words"] == "full_text, 6 items" and findings["axis wiki"] == "perplexity, 2 items"


def test_a_missing_file_is_said_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    file = write_study(tmp_path)
    (tmp_path / "sums.jsonl").unlink()
    assert contrapeso(monkeypatch, "run", file, "--out", tmp_path / "out") == 3
    assert "sums.jsonl" in capsys.readouterr().err and not (tmp_path / "out").exists()


def question(*choices: str, gold: str = "B", name: str = "s/0000") -> Item:
    return Item(name, "s", "Which?", gold, choices=choices)


def test_shuffling_moves_the_right_letter_with_its_option_and_never_keeps_the_order() -> None:
    orders = set()
    for place in range(200):
        item = question("north", "south", "east", "west", name=f"s/{place:04d}")
        moved = in_another_order(item, 7)
        assert moved.choices["ABCD".index(moved.gold)] == "south"
        assert sorted(moved.choices) == sorted(item.choices) and moved.choices != item.choices
        assert moved == in_another_order(item, 7)
        orders.add(moved.choices)
    assert len(orders) == 23  # all but its own
    assert in_another_order(item, 7) != in_another_order(item, 8)


def test_options_that_speak_of_one_another_are_not_asked_alone_or_in_another_order() -> None:
    for option in ("All of the above", "none of these", "Both A and B", "A and C only", "either a or b"):
        assert not stands_alone(question("one", "two", "three", option)), option
    for option in ("Both kidneys", "A vitamin and a mineral", "All mammals", "X and Y", "Vitamin A"):
        assert stands_alone(question("one", "two", "three", option)), option


def test_shots_of_the_shuffled_axis_stay_as_they_are(tmp_path: Path) -> None:
    study = load_study(write_study(tmp_path))
    general = read_general(study.general)
    (shuffled, _), *_ = read_axes(study.axes, general, seed=study.seed)
    for asked, own in zip(shuffled.items, general.items, strict=True):
        assert shuffled.prompt(asked).prefix == general.prompt(own).prefix
        assert shuffled.prompt(asked).body != general.prompt(own).body


def test_items_left_out_of_the_general_task_are_left_out_of_its_axes(tmp_path: Path) -> None:
    (tmp_path / "wrong.txt").write_text(
        "# wrong keys\nastronomy/0001\nphilosophy/0002  # so is this\n", encoding="utf-8"
    )
    file = write_study(tmp_path)
    text = file.read_text(encoding="utf-8")
    entry = 'shots = 2\nleave_out = [{ file = "wrong.txt", reason = "wrong key" }]'
    file.write_text(text.replace("shots = 2", entry), encoding="utf-8")
    study = load_study(file)
    assert study.general.leave_out[0].items == ("astronomy/0001", "philosophy/0002")  # read once, kept in the study
    general = read_general(study.general)
    assert {i.id: i.left_out for i in general.items if i.left_out} == dict.fromkeys(
        ("astronomy/0001", "philosophy/0002"), "wrong key"
    )
    (shuffled, _), *_ = read_axes(study.axes, general, seed=study.seed)
    assert len(shuffled.items) == 8
    summary = run(study.model_copy(update={"axes": study.axes[:1], "runs": study.runs[:1]}), tmp_path / "out")
    entry = summary["variants"]["Baseline Model"]["mmlu"]
    assert entry["n"] == 8 and entry["left_out"]["n"] == 2 and entry["left_out"]["reason"] == "wrong key"
    assert summary["axes"][0]["n"] == 8


@pytest.mark.parametrize(
    ("leave_out", "words"),
    [
        ('[{ items = ["astronomy/0009"], reason = "x" }]', "astronomy/0009"),
        ('[{ items = ["geology/0000"], reason = "x" }]', "geology/0000"),
    ],
)
def test_leaving_out_what_is_not_there_is_an_error(tmp_path: Path, leave_out: str, words: str) -> None:
    file = write_study(tmp_path)
    study = load_study(file, [f"general.leave_out={leave_out}"])
    with pytest.raises(DataError, match=words):
        read_general(study.general)


def test_a_list_of_ids_that_cannot_be_read_or_names_nothing_is_an_error(tmp_path: Path) -> None:
    file = write_study(tmp_path)
    with pytest.raises(StudyError, match=r"cannot read .*none\.txt"):
        load_study(file, ['general.leave_out=[{ file = "none.txt", reason = "x" }]'])
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(StudyError, match="names no item"):
        load_study(file, ['general.leave_out=[{ file = "empty.txt", reason = "x" }]'])
    with pytest.raises(StudyError, match="leave_out names no items"):
        load_study(file, ['general.leave_out=[{ reason = "x" }]'])


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ('[{ name = "mmlu", kind = "shuffled" }]', "cannot be called 'mmlu'"),
        ('[{ name = "a", kind = "shuffled" }, { name = "a", kind = "full_text" }]', "two axes are called 'a'"),
        ('[{ name = "A b", kind = "shuffled" }]', "axes.0.name"),
        ('[{ name = "a", kind = "choices" }]', "needs data"),
        ('[{ name = "a", kind = "shuffled", data = "x.csv" }]', "data means nothing for a"),
        ('[{ name = "a", kind = "perplexity", data = "x.txt", shots = 2 }]', "shots means nothing"),
        (
            '[{ name = "a", kind = "choices", data = "x.csv", scoring = "letter", prompt = "{question}" }]',
            "prompt means",
        ),
        ('[{ name = "a", kind = "full_text", prompt = "Well?" }]', "no {question} in it"),
        ('[{ name = "a", kind = "fulltext" }]', "axes.0.kind"),
        ('[{ name = "a", kind = "shuffled", limits = 3 }]', "did you mean 'limit'"),
    ],
)
def test_an_axis_that_makes_no_sense_is_refused(tmp_path: Path, axes: str, words: str) -> None:
    with pytest.raises(StudyError) as refused:
        load_study(write_tiny_study(tmp_path), [f"axes={axes}"])
    assert words in str(refused.value)


def test_a_study_without_axes_is_the_study_it_was() -> None:
    study = load_study("pocket")
    # As it was before there were axes and lists of items to leave out: folders of then are folders of now.
    essence = study.essence()
    assert "axes" not in essence and "leave_out" not in essence["general"]
    assert fingerprint(essence) == "fdcf9eb21e408874dfad81e5b7f5660e5acc65900f722b7003f48934079f1367"


def test_where_the_data_of_an_axis_lies_does_not_matter() -> None:
    one, other = (AxisSettings(name="a", kind="choices", data=data) for data in ("/here/a.csv", "/there/a.csv"))
    assert one.essence() == other.essence() != AxisSettings(name="a", kind="choices", data="a", limit=3).essence()


def test_one_passage_and_uneven_options_are_refused(tmp_path: Path) -> None:
    general = read_general(load_study(write_study(tmp_path)).general)
    (tmp_path / "one.txt").write_text("A single passage.", encoding="utf-8")
    uneven = [{"question": "q", "choices": ["a", "b"], "answer": 0}, {"question": "r", "choices": "abc", "answer": 0}]
    uneven[1]["choices"] = ["a", "b", "c"]
    (tmp_path / "uneven.json").write_text(json.dumps(uneven), encoding="utf-8")
    with pytest.raises(DataError, match="one passage"):
        read_axes([AxisSettings(name="a", kind="perplexity", data=str(tmp_path / "one.txt"))], general, seed=1)
    letters = AxisSettings(name="a", kind="choices", data=str(tmp_path / "uneven.json"), scoring="letter")
    with pytest.raises(DataError, match="2 or 3 options"):
        read_axes([letters], general, seed=1)
    ((task, _),) = read_axes([letters.model_copy(update={"scoring": "text"})], general, seed=1)
    assert len(task.items) == 2
