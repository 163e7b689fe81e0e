"""The script that measures the `mistral-7b` preset on a GPU: its slices, its model, and the whole of it on a CPU."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny import tiny_tokenizer

from benchmarks.mistral_7b_shape import (
    FULL,
    SMALL_CARD,
    TINY,
    evenly,
    main,
    slice_mmlu,
    slice_spider,
    stand_in_for_a_smaller_card,
)
from benchmarks.random_mistral import save_random_mistral
from contrapeso import load_study
from contrapeso.data import load_mmlu, load_spider, mmlu_folder, spider_folder

POCKET_SPIDER, POCKET_MMLU = spider_folder("pocket"), mmlu_folder("pocket")


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_an_even_choice_has_both_ends_and_equal_distances() -> None:
    assert evenly(range(13), 4) == [0, 4, 8, 12]
    assert evenly(range(5), 1) == [0]
    assert evenly(range(3), 7) == [0, 1, 2]


def test_a_spider_slice_loads_with_its_questions_its_databases_and_nothing_else(tmp_path: Path) -> None:
    slice_spider(POCKET_SPIDER, tmp_path, train=5, dev=7)
    whole, part = load_spider(POCKET_SPIDER, "dev"), load_spider(tmp_path, "dev")
    assert len(part) == 7
    assert [(part[place].question, part[place].gold) for place in (0, -1)] == [
        (whole[place].question, whole[place].gold) for place in (0, -1)
    ]
    train = load_spider(tmp_path, "train")
    assert len(train) == 5
    used = {item.group for item in (*part, *train)}
    assert {folder.name for folder in (tmp_path / "database").iterdir()} == used
    assert {schema["db_id"] for schema in json.loads((tmp_path / "tables.json").read_text())} == used


def test_an_mmlu_slice_keeps_every_subject_and_all_shots(tmp_path: Path) -> None:
    slice_mmlu(POCKET_MMLU, tmp_path, per_subject=2)
    whole, part = load_mmlu(POCKET_MMLU), load_mmlu(tmp_path)
    assert part.dev == whole.dev
    for subject in whole.dev:
        questions = [item for item in whole.test if item.group == subject]
        kept = [item for item in part.test if item.group == subject]
        assert [(item.question, item.choices, item.gold) for item in kept] == [
            (item.question, item.choices, item.gold) for item in (questions[0], questions[-1])
        ]


def test_slicing_a_slice_changes_nothing(tmp_path: Path) -> None:
    once, twice = tmp_path / "once", tmp_path / "twice"
    for source, target in (((POCKET_SPIDER, POCKET_MMLU), once), ((once / "spider", once / "mmlu"), twice)):
        slice_spider(source[0], target / "spider", train=4, dev=6)
        slice_mmlu(source[1], target / "mmlu", per_subject=2)
    assert files_below(once) == files_below(twice)


def test_the_slice_of_the_real_sets_covers_every_dev_database_and_subject(shared_data: Path, tmp_path: Path) -> None:
    slice_spider(shared_data / "spider", tmp_path / "spider", train=FULL.train, dev=FULL.dev)
    slice_mmlu(shared_data / "mmlu", tmp_path / "mmlu", per_subject=FULL.per_subject)
    dev, train = load_spider(tmp_path / "spider", "dev"), load_spider(tmp_path / "spider", "train")
    assert (len(dev), len({item.group for item in dev})) == (64, 20)
    assert (len(train), len({item.group for item in train})) == (32, 32)
    assert len(load_mmlu(tmp_path / "mmlu").test) == 114


def test_the_full_model_has_the_shape_of_mistral_7b() -> None:
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    with torch.device("meta"):
        model = MistralForCausalLM(MistralConfig(vocab_size=32_768, **FULL.shape))
    assert model.num_parameters() == 7_248_023_552  # as published for Mistral-7B-v0.3


def test_a_made_model_has_the_tokenizers_vocabulary_and_no_sliding_window(tmp_path: Path, tokenizer: Path) -> None:
    made = save_random_mistral(tmp_path / "model", tokenizer, TINY.shape)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["model_type"], config["vocab_size"]) == ("mistral", len(tiny_tokenizer()))
    assert config["sliding_window"] is None
    assert config["dtype"] == "bfloat16"
    weights = sum(file.stat().st_size for file in (tmp_path / "model").glob("*.safetensors"))
    assert weights == pytest.approx(2 * made["parameters"], rel=0.05)


def test_the_script_measures_a_study_and_then_finds_nothing_to_do(
    tmp_path: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--spider", str(POCKET_SPIDER), "--mmlu", str(POCKET_MMLU), "--tokenizer", str(tokenizer)]
    main([*folders, "--work", str(tmp_path / "work"), "--tiny", "--dtype", "bfloat16"])
    result = json.loads((tmp_path / "work" / "result.json").read_text())
    measured = [step for step in result["steps_seconds"] if step.startswith("measure")]
    assert len(measured) == 7  # base and two runs on both tasks, and the base with shots
    assert result["run_seconds"] >= sum(result["steps_seconds"].values())
    assert "nothing to do" in result["second_call"]["said"][0]
    assert [len(run["loss"]) for run in result["training"].values()] == [1, 1]  # 8 examples, 8 to a step
    assert json.loads((tmp_path / "work" / "study" / "manifest.json").read_text())["inputs"]["dtype"] == "bfloat16"
    capsys.readouterr()
    main([*folders, "--work", str(tmp_path / "work"), "--tiny", "--dtype", "bfloat16"])
    assert "nothing to do" in capsys.readouterr().out
    assert json.loads((tmp_path / "work" / "result.json").read_text()) == result


def test_the_full_measurement_is_refused_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.mistral_7b_shape.has_gpu", lambda: False)
    with pytest.raises(SystemExit):
        main(["--spider", "s", "--mmlu", "m", "--tokenizer", "t", "--work", str(tmp_path / "work")])
    assert "--tiny" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_a_smaller_card_has_that_much_memory_and_no_newer_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.cudnn_sdp_enabled()
    fractions: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=80 * 2**30))
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda share, _: fractions.append(share))
    try:
        stand_in_for_a_smaller_card(14, flash=False)
        assert not torch.backends.cuda.flash_sdp_enabled()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        stand_in_for_a_smaller_card(100, flash=True)  # no more than there is
        stand_in_for_a_smaller_card(None, flash=True)
        assert torch.backends.cuda.flash_sdp_enabled()
    finally:
        torch.backends.cuda.enable_flash_sdp(before[0])
        torch.backends.cuda.enable_cudnn_sdp(before[1])
    assert fractions == [14 / 80, 1.0]


def test_the_slice_for_a_small_card_leaves_batches_and_quantization_as_the_preset_has_them() -> None:
    preset, small = load_study("mistral-7b"), load_study("mistral-7b", SMALL_CARD.overrides)
    assert [run.name for run in small.runs] == [preset.runs[0].name]
    assert small.runs[0] == preset.runs[0].model_copy(update={"epochs": small.runs[0].epochs})
    assert (small.model, small.target, small.evaluate) == (preset.model, preset.target, preset.evaluate)


def test_a_memory_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--spider", "s", "--mmlu", "m", "--tokenizer", "t", "--work", str(tmp_path / "work")]
    with pytest.raises(SystemExit):
        main([*folders, "--memory-gib", "0"])
    assert "--memory-gib" in capsys.readouterr().err
