"""The full path on slices of the real Spider and MMLU, with a tiny model and with the real Mistral tokenizer."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from studies import outcome_lines
from tiny import save_tiny_mistral

from contrapeso import load_study, run

WTA_RANKINGS = (459, 460, 469, 470, 471, 472, 479, 480)
"""Dev questions on the one table of the real databases that holds no rows any more: wta_1.rankings."""
OTHERS = (0, 1, 45, 46)
TRAIN_DATABASES = ("manufactory_1", "voter_2", "club_1", "network_2")
SUBJECTS = ("astronomy", "philosophy")

STUDY = """\
name = "slice"
[model]
id = "{model}"
device = "cpu"
chat = "{chat}"
[target]
data = "spider"
schema_style = "compact"
max_new_tokens = 8
baseline_shots = 0
leave_out = [{{ items = {left_out}, reason = "wta_1.rankings is empty" }}]
[general]
data = "mmlu"
limit_per_subject = 4
shots = 5
[training]
rank = 2
batch_size = 8
[[runs]]
learning_rate = 1e-2
"""


@pytest.fixture(scope="module")
def slices(shared_data, tmp_path_factory):
    """Real questions and databases in the standard layout: 24 train, 12 dev, two subjects."""
    root = tmp_path_factory.mktemp("slices")
    real = shared_data / "spider"
    (root / "spider").mkdir()
    train = json.loads((real / "train_spider.json").read_text(encoding="utf-8"))
    dev = json.loads((real / "dev.json").read_text(encoding="utf-8"))
    few = [entry for name in TRAIN_DATABASES for entry in [e for e in train if e["db_id"] == name][:6]]
    chosen = [dev[place] for place in (*OTHERS, *WTA_RANKINGS)]
    for name, entries in (("train_spider", few), ("dev", chosen)):
        (root / "spider" / f"{name}.json").write_text(json.dumps(entries), encoding="utf-8")
    shutil.copy(real / "tables.json", root / "spider")
    for name in {entry["db_id"] for entry in (*few, *chosen)}:
        shutil.copytree(real / "database" / name, root / "spider" / "database" / name)
    for split in ("dev", "test"):
        (root / "mmlu" / split).mkdir(parents=True)
        for subject in SUBJECTS:
            shutil.copy(shared_data / "mmlu" / split / f"{subject}_{split}.csv", root / "mmlu" / split)
    return root


def tiny(root, shared_data):
    return save_tiny_mistral(root / "tiny", max_position_embeddings=4096)


def real_tokenizer(root, shared_data):
    """A random model of Mistral-7B-v0.3's vocabulary, and its tokenizer with its chat template."""
    shape = {"vocab_size": 32768, "hidden_size": 16, "intermediate_size": 32, "eos_token_id": 2, "bos_token_id": 1}
    folder = save_tiny_mistral(root / "mistral", max_position_embeddings=4096, **shape)
    for file in [*folder.glob("tokenizer*"), *folder.glob("*template*"), *folder.glob("special_tokens*")]:
        file.unlink()
    for file in (shared_data / "mistral-tokenizer").iterdir():
        if file.suffix in (".json", ".jinja"):
            shutil.copyfile(file, folder / file.name)
    return folder


@pytest.mark.parametrize(("make", "chat"), [(tiny, "never"), (real_tokenizer, "always")], ids=["tiny", "mistral"])
def test_a_slice_of_the_real_data_goes_the_whole_way(make, chat, slices, shared_data, tmp_path):
    model = make(tmp_path, shared_data)
    left_out = [f"dev/{place:04d}" for place in range(len(OTHERS), len(OTHERS) + len(WTA_RANKINGS))]
    file = slices / f"{chat}.toml"
    file.write_text(STUDY.format(model=model, chat=chat, left_out=json.dumps(left_out)), encoding="utf-8")
    out: Path = tmp_path / "out"
    summary = run(load_study(file), out)
    for variant in ("Baseline Model", "Fine-Tuned Run 1"):
        spider, mmlu = summary["variants"][variant]["spider"], summary["variants"][variant]["mmlu"]
        assert spider["n"] == 4 and set(spider["groups"]) == {"concert_singer", "pets_1"}
        assert spider["left_out"]["n"] == 8 and spider["left_out"]["reason"] == "wta_1.rankings is empty"
        assert mmlu["n"] == 8 and set(mmlu["groups"]) == set(SUBJECTS)
    checks = {check["check"]: check["status"] for check in summary["audit"]}
    for name in ("gold_against_itself", "schema_in_prompts", "leaked_items", "truncated_prompts", "different_prompts"):
        assert checks[name] == "ok", name
    lines = outcome_lines(out, "Baseline_Model", "spider")
    assert Counter(line["group"] for line in lines if line.get("left_out")) == {"wta_1": 8}
    shots = outcome_lines(out, "Baseline_Model", "mmlu")
    assert all(len(line["log_probabilities"]) == 4 and not line["truncated"] for line in shots)
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
