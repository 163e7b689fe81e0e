"""Replay and the penalty towards the base in a whole study: what is learnt, what is filed, what is done again."""

import json
import shutil
from pathlib import Path

import pytest
from studies import write_tiny_study
from test_experiment import Recorder

from contrapeso import load_study, run
from contrapeso.check import check
from contrapeso.errors import DataError, StudyError
from contrapeso.gathering import gather
from contrapeso.sql import Sandbox

RUN_1, RUN_2 = "Fine-Tuned_Run_1", "Fine-Tuned_Run_2"
REPLAYED = "runs.0.replay.data=self"


def steps(folder: Path, name: str) -> int:
    return json.loads((folder / "adapters" / name / "training.json").read_text(encoding="utf-8"))["steps"]


def weights(folder: Path, name: str) -> bytes:
    return (folder / "adapters" / name / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study whose first run replays what the base itself says, beside a second run as ever."""
    root = tmp_path_factory.mktemp("replayed")
    study = load_study(write_tiny_study(root), ["runs.0.replay.data=self", "runs.0.replay.share=0.4"])
    run(study, root / "out")
    return root


def test_replayed_examples_are_learnt_beside_the_others_and_only_by_the_run_that_says_so(finished):
    # 15 examples and 10 replayed ones, four a step; six epochs of 15 without
    assert steps(finished / "out", RUN_1) == 7
    assert steps(finished / "out", RUN_2) == 23


def test_what_the_base_says_is_asked_once_and_filed(finished, tmp_path):
    (file,) = (finished / "out" / "replay").iterdir()
    filed = json.loads(file.read_text(encoding="utf-8"))
    assert set(filed["answers"]) <= {f"dev/{subject}/000{n}" for subject in ("astronomy", "philosophy") for n in (0, 1)}
    assert filed["answers"] and all(text.strip() for text in filed["answers"].values())
    root = Path(shutil.copytree(finished, tmp_path / "copy"))
    first = next(iter(filed["answers"]))
    filed["answers"][first] = " something else"
    (root / "out" / "replay" / file.name).write_text(json.dumps(filed), encoding="utf-8")
    shutil.rmtree(root / "out" / "adapters" / RUN_1)
    run(load_study(root / "study.toml", ["runs.0.replay.data=self", "runs.0.replay.share=0.4"]), root / "out")
    assert weights(root / "out", RUN_1) != weights(finished / "out", RUN_1)  # it learnt what the file says


def test_another_share_trains_that_run_again_and_no_other(finished, tmp_path):
    root = Path(shutil.copytree(finished, tmp_path / "copy"))
    recorder = Recorder()
    study = load_study(root / "study.toml", ["runs.0.replay.data=self", "runs.0.replay.share=0.2"])
    run(study, root / "out", reporter=recorder)
    said = " ".join(recorder.lines)
    assert "train Fine-Tuned Run 1" in said and "train Fine-Tuned Run 2" not in said and "ask the base" not in said
    assert steps(root / "out", RUN_1) == 5


def test_an_evaluated_question_in_a_replayed_file_fails_the_audit(tmp_path):
    file = write_tiny_study(tmp_path)
    question = "test question 2 of astronomy?"
    options = [f"astronomy test 2 {letter}" for letter in "wxyz"]
    row = {"question": question, "choices": options, "answer": "C"}
    (tmp_path / "more.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    summary = run(load_study(file, ["runs.0.replay.data=more.jsonl", "runs.0.replay.share=0.1"]), tmp_path / "out")
    (leak,) = (check for check in summary["audit"] if check["check"] == "leaked_items")
    assert leak["status"] == "fail" and "astronomy/0002" in leak["detail"]


def test_the_penalty_trains_another_adapter_and_the_settings_stand_in_the_card(tmp_path):
    file = write_tiny_study(tmp_path)
    packed = [
        "runs.0.packing=shared_prefix",
        "runs.1.packing=shared_prefix",
        "runs.1.epochs=1",
        "runs.1.learning_rate=1e-3",
    ]
    run(load_study(file, [*packed, "runs.1.kl_to_base=1.0"]), tmp_path / "out")
    assert weights(tmp_path / "out", RUN_1) != weights(tmp_path / "out", RUN_2)
    card = (tmp_path / "out" / "adapters" / RUN_2 / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert "| kl_to_base | 1" in card


def test_a_replayed_file_that_is_not_there_stops_the_study_before_a_folder_is_made(tmp_path):
    file = write_tiny_study(tmp_path)
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        run(load_study(file, ["runs.0.replay.data=nowhere.txt"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_replayed_file_that_changed_on_disk_is_learnt_anew_and_no_other_run_is(tmp_path):
    file, text = write_tiny_study(tmp_path), tmp_path / "more.txt"
    text.write_text("The moon circles the earth.\n", encoding="utf-8")
    study = load_study(file, ["runs.0.replay.data=more.txt", "runs.0.replay.share=0.1"])
    run(study, tmp_path / "out")
    text.write_text("The earth circles the sun.\n", encoding="utf-8")
    recorder = Recorder()
    run(study, tmp_path / "out", reporter=recorder)
    said = " ".join(recorder.lines)
    assert "train Fine-Tuned Run 1" in said and "train Fine-Tuned Run 2" not in said


def test_the_length_at_which_replayed_passages_are_cut_counts_where_one_could_be(tmp_path):
    file, text = write_tiny_study(tmp_path), tmp_path / "more.txt"

    def keys(passage):
        text.write_text(passage, encoding="utf-8")
        found = []
        for length in (1000, 2000):
            settings = ["runs.0.replay.data=more.txt", f"runs.0.max_length={length}"]
            study = load_study(file, settings)
            with Sandbox(workers=1) as sandbox:
                found.append(gather(study, sandbox).adapter_key(study.runs[0], seed=1))
        return found

    short, same = keys("The moon circles the earth.")
    assert short == same
    cut, whole = keys("The moon circles the earth. " * 60)
    assert cut != whole


def test_prompts_for_the_base_are_refused_where_the_base_is_not_asked(tmp_path):
    file = write_tiny_study(tmp_path)
    with pytest.raises(StudyError, match=r"replay\.prompts"):
        load_study(file, ["runs.0.replay.prompts=more.txt"])
    asked = ["runs.0.replay.prompts=more.txt", "runs.0.replay.data=self"]
    assert load_study(file, asked).runs[0].replay.data == "self"


def test_check_looks_at_what_is_replayed(tmp_path):
    file = write_tiny_study(tmp_path)
    found = check(load_study(file, ["runs.1.replay.data=general"]), tmp_path / "out")
    details = {finding.subject: finding.detail for finding in found}
    assert details["replay of Fine-Tuned Run 2"] == "4 examples to draw from"
    found = check(load_study(file, ["runs.1.replay.data=nowhere.txt"]), tmp_path / "out")
    (failed,) = (finding for finding in found if finding.subject == "replay")
    assert failed.status == "fail" and "nowhere.txt" in failed.detail


def test_a_misspelt_setting_of_replay_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(StudyError, match="share"):
        load_study(write_tiny_study(tmp_path), ["runs.0.replay.shar=0.1"])
