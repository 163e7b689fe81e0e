"""What the benchmark of vLLM counts as agreement, on replies of the local engine."""

from pathlib import Path

from benchmarks.asked_prompts import pocket_golds, pocket_prompts
from benchmarks.random_mistral import save_random_adapter
from benchmarks.served import BASE, compare, replies
from contrapeso.models.engine import Variant
from contrapeso.models.loading import POCKET, POCKET_FOLDER, load_model
from contrapeso.models.local import LocalEngine


def test_an_engine_agrees_with_itself_in_other_batches_and_not_with_an_adapter(tmp_path: Path) -> None:
    prompts, golds = pocket_prompts(), pocket_golds()
    few = {"spider": prompts["spider"][:6], "mmlu": prompts["mmlu"][:24]}
    adapter = save_random_adapter(tmp_path / "adapter", str(POCKET_FOLDER), seed=1, size=0.08)
    loaded = load_model(POCKET, device="cpu", dtype="float32")
    whole = LocalEngine(loaded.model, loaded.tokenizer)
    parts = LocalEngine(loaded.model, loaded.tokenizer, batch_size_generate=2, batch_size_score=5)
    base = replies(whole, BASE, few, golds[:6])

    same = compare(base, replies(parts, BASE, few, golds[:6]))
    assert (same["questions"], same["letters_different"]) == (24, 0)
    assert (same["queries"], same["texts_equal"], same["sql_equal"]) == (6, 6, 6)
    assert same["log_probability_difference"]["largest"] < 1e-4
    assert same["log_likelihood_of_gold_differences"][-1] < 1e-3
    assert same["prompts_equal"]

    other = compare(base, replies(whole, Variant("adapter", adapter), few, golds[:6]))
    assert other["texts_equal"] < 6
    assert other["log_probability_difference"]["largest"] > 0.01
    assert other["log_likelihood_of_gold_differences"][-1] > 0.01
    assert len(other["margins_of_different_letters"]) == other["letters_different"]
