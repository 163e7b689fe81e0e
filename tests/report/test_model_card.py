"""The card of an adapter: a hub can read it, what it says is what was measured, and its program runs as it stands."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import EvalResult
from made_up_study import BASE, FACTS, RUN_1, RUN_2, sources, study

from contrapeso import load_study, run
from contrapeso.data import load_mmlu, mmlu_folder
from contrapeso.models.loading import POCKET_FOLDER, load_tokenizer
from contrapeso.models.prompts import encode
from contrapeso.report.card_example import fenced
from contrapeso.report.measurement import Check
from contrapeso.report.model_card import model_card
from contrapeso.report.record import Planned, Record
from contrapeso.report.summary import summarize
from contrapeso.store import read_outcomes
from contrapeso.tasks.multiple_choice import LETTERS, MultipleChoice

SLICE = (
    "target.limit=6",
    "target.train_limit=32",
    "target.baseline_shots=0",
    "general.limit_per_subject=1",
    "runs.0.learning_rate=3e-3",
)
"""Of the pocket study: ends in seconds, and its adapters write SQL."""
COMMIT = "c" * 40
ASKING = {
    "item": "dev/0001",
    "question": "How many?",
    "schema": "rose(id, name)",
    "text": "Write SQL.\n\nrose(id, name)\n\nQuestion: How many?\nSQL:",
    "turns": [],
    "chat": False,
    "stop": [";", "\n\n"],
    "max_new_tokens": 48,
}
SETTINGS = {
    "seed": 7,
    "model": {"id": "mistralai/Mistral-7B-Instruct-v0.2"},
    "target": {"data": "data/spider"},
    "general": {"data": "/somewhere/mmlu"},
    "runs": [{"name": name, "rank": 8, "learning_rate": 2e-4, "packing": "none"} for name in (RUN_1, RUN_2)],
}


def record(**other):
    key = {"model": COMMIT, "dtype": "float16", "quantization": "nf4", "examples": "e" * 64}
    plan = tuple(
        Planned(RUN_1, task, kind, "", {"task": task[0] * 64}, key)
        for task, kind in (("spider", "generation"), ("mmlu", "options"))
    )
    facts = replace(FACTS, base_model="mistralai/Mistral-7B-Instruct-v0.2", train_examples=7000)
    return Record(facts, plan, {}, {}, 0, (), {}, asking=ASKING, **other)


def made_up_card(*, checks=(), settings=SETTINGS, asking=None, base_model=None):
    filed = record() if asking is None else replace(record(), asking=asking)
    facts = filed.facts if base_model is None else replace(filed.facts, base_model=base_model)
    summary = summarize(facts, study(), checks=checks, resamples=200)
    history = {RUN_1: [{"step": n, "loss": 1.0 / n} for n in range(1, 21)]}
    made_from = sources(study(), settings=settings, training=history)
    return summary, model_card(RUN_1, summary, sources=made_from, record=filed)


def results(card: str) -> dict[str, EvalResult]:
    return {result.metric_type: result for result in ModelCard(card).data.eval_results or ()}


def test_the_hub_reads_both_accuracies_with_their_intervals_from_the_metadata():
    summary, card = made_up_card()
    data = ModelCard(card).data
    assert (data.library_name, data.base_model, data.base_model_relation) == (
        "peft",
        "mistralai/Mistral-7B-Instruct-v0.2",
        "adapter",
    )
    found = results(card)
    for metric, task, dataset in (("execution_accuracy", "spider", "Spider"), ("accuracy", "mmlu", "MMLU")):
        entry, result = summary["variants"][RUN_1][task], found[metric]
        assert result.dataset_name == dataset and result.dataset_args["sha256"] == task[0] * 64
        assert result.metric_value == pytest.approx(100 * entry["accuracy"], abs=0.05)
        ends = [result.metric_args["interval_low"], result.metric_args["interval_high"]]
        assert ends == pytest.approx([100 * end for end in entry["ci"]], abs=0.05)
        assert all(str(end) in result.metric_name for end in ends)


@pytest.mark.parametrize(
    ("data", "kind"), [("spider", "xlangai/spider"), ("data/spider", "spider"), ("mine", "mine-spider")]
)
def test_data_are_named_as_on_the_hub_only_where_they_were_fetched_by_name(data, kind):
    _, card = made_up_card(settings=SETTINGS | {"target": {"data": data}})
    assert results(card)["execution_accuracy"].dataset_type == kind


def test_a_withheld_number_is_printed_nowhere():
    failing = Check("below_chance", "fail", "worse than guessing", affects=((RUN_1, "mmlu"),))
    summary, card = made_up_card(checks=[failing])
    assert set(results(card)) == {"execution_accuracy"}
    assert f"{100 * summary['variants'][RUN_1]['mmlu']['accuracy']:.1f}" not in card
    assert "not valid: below\\_chance: worse than guessing" in card


def test_when_every_number_is_withheld_the_metadata_have_no_results_and_still_parse():
    failing = Check("below_chance", "fail", "bad", affects=((RUN_1, "mmlu"), (RUN_1, "spider")))
    _, card = made_up_card(checks=[failing])
    data = ModelCard(card).data
    assert data.eval_results is None and data.library_name == "peft"


def test_verdict_settings_loss_data_and_licences_are_said():
    summary, card = made_up_card()
    assert any(sentence.startswith(RUN_1) for sentence in re.findall(r"\*\*(.+)\*\*", card))
    assert "| learning\\_rate | 0.0002 |" in card and "| optimizer steps taken | 20 |" in card
    assert f"| {sum(1 / n for n in range(11, 21)) / 10:.4f} |" in card
    assert f"| learnt | spider, train | 7000 | {'e' * 64} |" in card
    assert "Apache 2.0" in card and "CC BY-SA 4.0" in card and "MIT" in card
    assert ModelCard(card).data.license is None  # whose terms rule an adapter is not ours to say
    assert f"{100 * summary['variants'][BASE]['mmlu']['accuracy']:.1f} %" in card


def test_the_program_loads_the_base_as_it_was_measured():
    _, card = made_up_card()
    program = python_of(card)
    assert f"revision='{COMMIT}'" in program and 'bnb_4bit_quant_type="nf4"' in program
    assert "torch.float16" in program
    compile(program, "card", "exec")


def test_the_layout_has_placeholders_for_schema_and_question():
    _, card = made_up_card()
    assert "```\nWrite SQL.\n\n{schema}\n\nQuestion: {question}\nSQL:\n```" in card


def test_text_from_data_closes_no_fence_and_leaves_no_literal():
    hostile = 'how?\n```\n# Owned\n""")\nimport os; os.system("x") \u202e\u2028'
    asking = ASKING | {"question": hostile, "text": f"Q: {hostile}", "turns": [[hostile, "SELECT '```'"]], "chat": True}
    _, card = made_up_card(asking=asking)
    program = python_of(card)
    words = {}
    exec(program[program.index("prompt = (") : program.index("messages")], words)
    assert words["prompt"] == f"Q: {hostile}" and words["earlier"][0] == {"role": "user", "content": hostile}
    assert "\u202e" not in card
    outside = re.sub(r"^(`{3,})[^`\n]*\n.*?^\1$", "", card, flags=re.DOTALL | re.MULTILINE)
    assert "Owned" not in outside
    assert fenced("a ```` b")[0] == "`````"


def test_a_local_base_model_is_named_without_its_path():
    settings = SETTINGS | {"model": {"id": "/home/somebody/models/secret"}}
    _, card = made_up_card(settings=settings, base_model="/home/somebody/models/secret")
    assert "somebody" not in card and ModelCard(card).data.base_model == "secret"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("products") / "out"
    run(load_study("pocket", SLICE), folder)
    return folder


def python_of(card: str) -> str:
    fence, program = re.search(r"^(`{3,})python\n(.*?)^\1$", card, flags=re.DOTALL | re.MULTILINE).groups()
    assert len(fence) >= 3
    return program


def filed_outcomes(study_folder, variant: str, task: str):
    return {outcome.item: outcome for outcome in read_outcomes(study_folder / "outcomes" / variant / f"{task}.jsonl")}


def in_another_process(program: str, folder, *arguments: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_cards_program_gives_the_answer_that_the_study_filed(finished):
    folder = finished / "adapters" / "Fine-Tuned_Run_1"
    card = (folder / "README.md").read_text(encoding="utf-8")
    answer = in_another_process(python_of(card), folder).strip()
    filed = filed_outcomes(finished, "Fine-Tuned_Run_1", "spider")["dev/0000"]
    assert answer and answer == filed.answer and f"```sql\n{filed.answer}\n```" in card


PLAIN_PEFT = """
import json, sys
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
base, prompts = sys.argv[1], json.load(open(sys.argv[2]))
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), ".").eval()
assert not any(name.split(".")[0] == "contrapeso" for name in sys.modules)
with torch.inference_mode():
    last = [model(torch.tensor([ids])).logits[0, -1].log_softmax(-1) for ids in prompts["ids"]]
print(json.dumps([values[prompts["letters"]].tolist() for values in last]))
"""


def test_plain_peft_gives_the_log_probabilities_that_the_study_filed(finished, tmp_path):
    tokenizer = load_tokenizer("pocket")
    mmlu = load_mmlu(mmlu_folder("pocket"), limit_per_subject=1)
    task = MultipleChoice(mmlu.test, mmlu.dev, shots=4)
    letters = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(f" {letter}")[-1]) for letter in LETTERS]
    prompts = {"ids": [encode(tokenizer, task.prompt(item)) for item in task.items], "letters": letters}
    (tmp_path / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    folder = finished / "adapters" / "Fine-Tuned_Run_1"
    computed = json.loads(in_another_process(PLAIN_PEFT, folder, str(POCKET_FOLDER), str(tmp_path / "prompts.json")))
    filed, base = (filed_outcomes(finished, name, "mmlu") for name in (folder.name, "Baseline_Model"))
    assert len(computed) == len(filed) > 20
    for item, values in zip(task.items, computed, strict=True):
        assert values == pytest.approx(filed[item.id].log_probabilities, abs=2e-4)
    assert any(filed[item].log_probabilities != pytest.approx(base[item].log_probabilities, abs=0.01) for item in filed)


def test_a_pocket_adapter_is_ours_and_says_so(finished):
    card = (finished / "adapters" / "Fine-Tuned_Run_1" / "README.md").read_text(encoding="utf-8")
    assert ModelCard(card).data.license == "mit" and "toy" in card
    assert results(card)["accuracy"].dataset_name == "MMLU (pocket)" and RUN_1 in card
