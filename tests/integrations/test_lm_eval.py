"""Tasks of lm-evaluation-harness as axes: with the harness itself where it is installed, and always against a fake."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from studies import write_tiny_study
from tiny import save_random_adapter, save_tiny_mistral

from contrapeso import load_study, run
from contrapeso.axes import read_axes
from contrapeso.errors import DataError, ModelError, ResourceError
from contrapeso.gathering import read_general
from contrapeso.integrations.lm_eval import harness_task
from contrapeso.models.engine import Variant
from contrapeso.settings import AxisSettings

DOCUMENTS = [
    {"ask": f"What is {n} plus one?", "options": [str(n + 1), str(n + 5), "blue"], "right": n % 3} for n in range(7)
]


@dataclass
class FakeInstance:
    request_type: str
    doc: Any
    arguments: tuple[Any, ...]
    idx: int
    doc_id: int
    repeats: int = 1
    resps: list[Any] = field(default_factory=list)
    filtered_resps: dict[str, Any] = field(default_factory=dict)

    @property
    def args(self) -> tuple[Any, ...]:
        return self.arguments


class FakeFilter:
    name = "none"

    def apply(self, instances: list[FakeInstance]) -> None:
        for instance in instances:
            instance.filtered_resps[self.name] = instance.resps[0]


class FakeTask:
    """A multiple-choice task of the harness, as far as an axis sees one."""

    OUTPUT_TYPE = "multiple_choice"
    task_name = "sums"

    def __init__(self, measures: tuple[str, ...] = ("f1", "acc_norm", "acc")) -> None:
        self.measures, self.shots, self.seed = measures, None, None
        self._filters = [FakeFilter()]
        self.instances: list[FakeInstance] = []

    def get_config(self, name: str) -> Any:
        return self.shots

    def set_config(self, *, key: str, value: Any) -> None:
        self.shots = value

    def set_fewshot_seed(self, *, seed: int) -> None:
        self.seed = seed

    def build_all_requests(self) -> None:
        self.instances = [
            FakeInstance("loglikelihood", doc, (f"{self.shots} shots, {self.seed}. {doc['ask']}", f" {option}"), idx, n)
            for n, doc in enumerate(DOCUMENTS)
            for idx, option in enumerate(doc["options"])
        ]

    def aggregation(self) -> dict[str, Any]:
        return dict.fromkeys(self.measures)

    def doc_to_text(self, doc: Any) -> str:
        return str(doc["ask"])

    def doc_to_target(self, doc: Any) -> int:
        return int(doc["right"])

    def doc_to_choice(self, doc: Any) -> list[str]:
        return list(doc["options"])

    def process_results(self, doc: Any, replies: list[tuple[float, bool]]) -> dict[str, float]:
        best = max(range(len(replies)), key=lambda place: replies[place][0])
        return dict.fromkeys(self.measures, float(best == doc["right"]))


class FakeHarness:
    """Finds the longest option likeliest, and remembers what it was asked."""

    asked: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, *, pretrained: Any, tokenizer: Any, batch_size: int) -> None:
        self.model = pretrained

    def loglikelihood(self, requests: list[FakeInstance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        FakeHarness.asked += [request.args for request in requests]
        return [(float(len(request.args[1])), False) for request in requests]

    def tok_encode(self, text: str) -> list[str]:
        return text.split()


class FakeEngine:
    def lent(self, variant: Variant) -> Any:
        from contextlib import nullcontext

        return nullcontext((f"the model as {variant.name}", "its tokenizer"))


def fake_library(monkeypatch: pytest.MonkeyPatch, task: FakeTask) -> None:
    """An `lm_eval` that knows one task, `sums`."""

    class TaskManager:
        def __init__(self, **options: Any) -> None:
            self.all_subtasks = ["sums"]

        def load(self, names: list[str]) -> dict[str, Any]:
            if names != ["sums"]:
                raise KeyError(f"no task {names[0]}")
            return {"tasks": {"sums": task}}

    modules = {
        "lm_eval": ModuleType("lm_eval"),
        "lm_eval.tasks": SimpleNamespace(TaskManager=TaskManager),
        "lm_eval.models": ModuleType("lm_eval.models"),
        "lm_eval.models.huggingface": SimpleNamespace(HFLM=FakeHarness),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(FakeHarness, "asked", [])


def answers(task: Any, skip: frozenset[int] = frozenset()) -> dict[str, Any]:
    found = {}
    for places, replies in task.ask(FakeEngine(), Variant("Run"), skip=skip):
        for outcome in task.score([task.items[place] for place in places], replies):
            found[outcome.item] = outcome
    return found


def test_documents_become_items_and_the_harness_own_verdict_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(monkeypatch, FakeTask())
    task = harness_task("maths", "sums", shots=2, limit=None, seed=9)
    assert [item.id for item in task.items] == [f"axes/maths/000{n}" for n in range(7)]
    assert task.items[4].gold == "B" and task.items[4].group == "sums" and task.items[4].choices == ("5", "9", "blue")
    assert task.prompt(task.items[0]).text == "2 shots, 9. What is 0 plus one?"
    found = answers(task)
    assert {name: outcome.answer for name, outcome in found.items()} == dict.fromkeys(found, "C")
    assert [outcome.correct for outcome in found.values()] == [n % 3 == 2 for n in range(7)]
    assert found["axes/maths/0002"].detail == "by acc_norm"  # the first that says right or wrong
    assert found["axes/maths/0002"].reason == "ok" and found["axes/maths/0000"].reason == "wrong_option"


def test_what_was_answered_before_is_not_asked_again_and_the_rest_is_asked_the_same(monkeypatch) -> None:
    fake_library(monkeypatch, FakeTask())
    task = harness_task("maths", "sums", shots=None, limit=None, seed=9)
    whole = answers(task)
    monkeypatch.setattr(FakeHarness, "asked", [])
    rest = answers(task, frozenset((0, 1, 2, 4)))
    assert rest == {name: whole[name] for name in rest} and len(rest) == 3
    assert len(FakeHarness.asked) == 9


def test_a_part_of_the_documents_is_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(monkeypatch, FakeTask())
    one, same, other = (harness_task("maths", "sums", shots=None, limit=3, seed=seed) for seed in (1, 1, 2))
    assert one.items == same.items and len(one.items) == 3 and one.fingerprint == same.fingerprint
    assert one.fingerprint != other.fingerprint


def test_results_hang_on_the_version_of_the_harness_and_on_what_task_files_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_library(monkeypatch, FakeTask())

    def filed(source: str) -> str:
        return harness_task("maths", source, shots=None, limit=None, seed=1).fingerprint

    before = filed("sums")
    monkeypatch.setattr(sys.modules["lm_eval"], "__version__", "9.9", raising=False)
    assert filed("sums") != before
    file = tmp_path / "sums.yaml"
    file.write_text("filter_list: []\n", encoding="utf-8")
    unfiltered = filed(str(tmp_path))
    file.write_text("filter_list: [{name: last}]\n", encoding="utf-8")
    assert filed(str(tmp_path)) != unfiltered


def test_a_task_that_calls_nothing_right_or_wrong_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(monkeypatch, FakeTask(measures=("bleu", "perplexity")))
    with pytest.raises(DataError, match="measures bleu, perplexity"):
        harness_task("maths", "sums", shots=None, limit=None, seed=1)


def test_an_unknown_task_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_library(monkeypatch, FakeTask())
    with pytest.raises(DataError, match=r"cannot read the task hellaswagg: .*no task hellaswagg"):
        harness_task("maths", "hellaswagg", shots=None, limit=None, seed=1)


def test_without_the_harness_the_axis_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    general = read_general(load_study(write_tiny_study(tmp_path)).general)
    with pytest.raises(ResourceError, match=r'pip install "contrapeso\[lm-eval\]"'):
        read_axes([AxisSettings(name="maths", kind="lm_eval", data="arc_easy")], general, seed=1)


def write_task_folder(folder: Path, *, kind: str = "multiple_choice") -> Path:
    """A task folder with its data beside it, offline."""
    folder.mkdir()
    data = folder / "sums.jsonl"
    data.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS), encoding="utf-8")
    task: dict[str, Any] = {
        "task": "sums",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "output_type": kind,
        "doc_to_text": "Question: {{ask}}\nAnswer:",
        "doc_to_choice": "{{options}}",
        "doc_to_target": "{{right}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    if kind == "generate_until":
        del task["doc_to_choice"]
        task |= {
            "doc_to_target": "{{options[right]}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
    (folder / "sums.yaml").write_text(json.dumps(task), encoding="utf-8")  # JSON is YAML
    return folder


@pytest.mark.parametrize("kind", ["multiple_choice", "generate_until"])
def test_the_harness_says_of_every_document_what_it_says_by_itself(tmp_path: Path, kind: str) -> None:
    lm_eval = pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from contrapeso.models.loading import load_model
    from contrapeso.models.local import LocalEngine

    folder = write_task_folder(tmp_path / "tasks", kind=kind)
    base = save_tiny_mistral(tmp_path / "model", seed=1)
    adapter = save_random_adapter(tmp_path / "adapter", base, seed=2)
    loaded = load_model(str(base), device="cpu")
    engine = LocalEngine(loaded.model, loaded.tokenizer)
    task = harness_task("maths", str(folder), shots=None, limit=None, seed=1)
    for variant in (Variant("Base"), Variant("Run", adapter)):
        batches = list(task.ask(engine, variant, skip=frozenset()))
        ours = [
            outcome
            for places, replies in batches
            for outcome in task.score([task.items[place] for place in places], replies)
        ]
        with engine.lent(variant) as (model, tokenizer):
            harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
            manager = TaskManager(include_path=str(folder), include_defaults=False)
            theirs = lm_eval.simple_evaluate(
                harness, tasks=["sums"], task_manager=manager, bootstrap_iters=0, log_samples=True
            )
        metric = "acc" if kind == "multiple_choice" else "exact_match"
        samples = sorted(theirs["samples"]["sums"], key=lambda sample: sample["doc_id"])
        assert [outcome.correct for outcome in ours] == [bool(sample[metric]) for sample in samples]
        assert all(outcome.prompt_tokens for outcome in ours) and len({o.prompt_sha for o in ours}) == 7


def test_a_whole_study_with_a_task_folder(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
    file = write_tiny_study(tmp_path)
    write_task_folder(tmp_path / "tasks")
    axes = '[{name = "maths", kind = "lm_eval", data = "tasks"}]'
    study = load_study(file, [f"axes={axes}", "target.baseline_shots=0", "runs=[{rank=4, epochs=1, batch_size=4}]"])
    summary = run(study, tmp_path / "out")
    (row,) = summary["axes"]
    assert row["kind"] == "lm_eval" and row["n"] == 7 and summary["complete"]
    assert {check["check"]: check["status"] for check in summary["audit"]}["different_prompts"] == "ok"
    assert run(study, tmp_path / "out") == summary


def test_vllm_lends_its_model_to_nobody() -> None:
    from contrapeso.models.served import ServedEngine

    with pytest.raises(ModelError, match="lends the model of Run to no other harness"):
        ServedEngine.lent(object.__new__(ServedEngine), Variant("Run"))
