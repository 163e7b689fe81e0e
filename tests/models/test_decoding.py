"""The cache and the attention of generation against transformers' own."""

import random
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import save_tiny_mistral
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from contrapeso.models import decoding
from contrapeso.models.decoding import GrowingLayer, generate_greedy, grouped_attention, next_token_logits
from contrapeso.models.loading import LoadedModel, load_model


@given(st.integers(0, 10**6), st.lists(st.sampled_from(["one", "many", "select", "repeat"]), max_size=12))
def test_a_growing_layer_holds_what_transformers_own_holds(seed: int, steps: list[str]) -> None:
    torch.manual_seed(seed)
    choose = random.Random(seed)
    ours, theirs = GrowingLayer(), DynamicLayer()
    rows = 2
    for step in ["one", *steps]:
        if step in ("one", "many"):
            tokens = 1 if step == "one" else choose.randint(2, 90)
            new = [torch.randn(rows, 2, tokens, 4) for _ in range(2)]
            for got, expected in zip(ours.update(*new), theirs.update(*new), strict=True):
                assert torch.equal(got, expected)
        elif step == "select":
            kept = torch.tensor([choose.randrange(rows) for _ in range(max(1, rows - 1))])
            ours.batch_select_indices(kept)
            theirs.batch_select_indices(kept)
            rows = len(kept)
        else:
            ours.batch_repeat_interleave(2)
            theirs.batch_repeat_interleave(2)
            rows *= 2
        assert torch.equal(ours.keys, theirs.keys) and torch.equal(ours.values, theirs.values)
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_appending_a_token_copies_no_other() -> None:
    layer = GrowingLayer()
    layer.update(torch.ones(2, 2, 5, 4), torch.ones(2, 2, 5, 4))
    before = layer.keys.data_ptr()
    layer.update(torch.ones(2, 2, 1, 4), torch.ones(2, 2, 1, 4))
    assert layer.keys.data_ptr() == before


@pytest.mark.parametrize("new", [1, 3])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_grouped_attention_equals_attention_with_a_copy_for_every_head(
    new: int, masked: bool, scaling: float | None
) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, heads, tokens, 8) for heads, tokens in ((6, new), (2, 11), (2, 11)))
    mask = torch.rand(3, 1, new, 11) > 0.4 if masked else None
    if mask is not None:
        mask[..., 0] = True
    module = torch.nn.Module()
    module.num_key_value_groups = 3
    got, _ = grouped_attention(module, query, key, value, mask, scaling=scaling)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=scaling)
    assert torch.allclose(got, expected, atol=1e-6)


def test_generation_gives_the_model_its_own_attention_back(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watching(model: object, *args: object, **options: object) -> torch.Tensor:
        seen.append(tiny.model.config._attn_implementation)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return next_token_logits(model, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "next_token_logits", watching)
    with pytest.raises(KeyboardInterrupt):
        generate_greedy(tiny.model, [[1, 5]], max_new_tokens=9, finished=lambda generated: False, pad_token=0)
    assert seen == [decoding.GROUPED] * 3
    assert tiny.model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("heads", [1, 2, 4], ids=["one head for all", "two queries a head", "a head for each query"])
def test_batches_generate_what_generate_does_however_heads_are_shared(tmp_path: Path, heads: int) -> None:
    loaded = load_model(str(save_tiny_mistral(tmp_path / "m", num_key_value_heads=heads)), device="cpu")
    prompts = [[1, *range(40, 40 + length)] for length in (3, 17, 9)]
    together = generate_greedy(loaded.model, prompts, max_new_tokens=80, finished=lambda generated: False, pad_token=0)
    loaded.model.generation_config.eos_token_id = None
    for prompt, tokens in zip(prompts, together, strict=True):
        alone = loaded.model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=80, pad_token_id=0)
        assert tokens == alone[0, len(prompt) :].tolist()
