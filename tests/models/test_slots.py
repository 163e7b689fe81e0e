"""Keys and values in slots against plain forward passes, for every kind of model that can have them."""

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig, MptConfig, Qwen2Config
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from contrapeso.models import graphs
from contrapeso.models.decoding import generate_greedy, prefix_cache
from contrapeso.models.graphs import Recorder, SlotGenerator
from contrapeso.models.slots import Slots, has_slots, score_in_slots, slot_attention

VOCABULARY = 60
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,
}
CONFIGS = {
    "mistral": lambda: MistralConfig(**SHAPE, sliding_window=None),
    "llama": lambda: LlamaConfig(**{**SHAPE, "num_key_value_heads": 4}),
    "qwen2": lambda: Qwen2Config(**{**SHAPE, "num_key_value_heads": 1}),
    "gpt2": lambda: GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3),
}


@cache
def model_of(kind: str) -> Any:
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(CONFIGS[kind]()).eval()


def random_parts(choose: random.Random) -> list[tuple[list[int], list[list[int]]]]:
    def tokens(low: int, high: int) -> list[int]:
        return [choose.randrange(VOCABULARY) for _ in range(choose.randint(low, high))]

    return [
        (tokens(1, 20) if choose.random() < 0.7 else [], [tokens(1, 9) for _ in range(choose.randint(1, 5))])
        for _ in range(choose.randint(1, 4))
    ]


def one_by_one(
    model: Any, prompt: list[int], most: int, finished: Callable[[list[int]], bool]
) -> tuple[list[int], float]:
    """Greedy generation by whole forward passes without any cache; also the closest call on its way."""
    generated: list[int] = []
    margin = float("inf")
    while len(generated) < most and not (generated and finished(generated)):
        with torch.no_grad():
            (first, second), (likeliest, _) = model(torch.tensor([prompt + generated])).logits[0, -1].topk(2)
        generated.append(int(likeliest))
        margin = min(margin, float(first - second))
    return generated, margin


@pytest.mark.parametrize("kind", CONFIGS)
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_generation_in_slots_gives_the_tokens_of_whole_forward_passes(kind: str, seed: int) -> None:
    choose = random.Random(seed)
    model, parts, most = model_of(kind), random_parts(choose), choose.randint(1, 11)
    ends = set(choose.sample(range(VOCABULARY), 6))
    generator = SlotGenerator(model, pad_token=0, say=pytest.fail)

    def finished(generated: list[int]) -> bool:
        return generated[-1] in ends

    answers = generator.generate(parts, max_new_tokens=most, finished=finished)
    expected = [one_by_one(model, [*shared, *own], most, finished) for shared, some in parts for own in some]
    assert len(answers) == len(expected)
    for answer, (tokens, margin) in zip(answers, expected, strict=True):
        assert answer == tokens or margin < 1e-4, "only a tie may be decided otherwise"
    # The same memory, divided otherwise, with what the first call left in it.
    again = generator.generate(parts[:1], max_new_tokens=most, finished=finished)
    assert again == answers[: len(again)]


def test_rows_leave_when_they_have_finished_and_the_rest_moves_together(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("mistral")
    prompts = [[1 + row] for row in range(16)]
    steps: list[int] = []
    step = Slots.step
    monkeypatch.setattr(Slots, "step", lambda self: steps.append(self.rows) or step(self))
    lengths = {row: 3 if row % 8 else 30 for row in range(16)}
    found: dict[int, list[int]] = {}
    whole = generate_greedy(model, prompts, max_new_tokens=30, finished=lambda generated: False, pad_token=0)
    rows = {tuple(tokens[:3]): row for row, tokens in enumerate(whole)}
    assert len(rows) == 16, "rows are told apart by their first three tokens"

    def finished(generated: list[int]) -> bool:
        if len(generated) < 3:
            return False
        row = rows[tuple(generated[:3])]
        found[row] = generated
        return len(generated) >= lengths[row]

    answers = SlotGenerator(model, pad_token=0, say=pytest.fail).generate(
        [([], prompts)], max_new_tokens=40, finished=finished
    )
    assert answers == [tokens[: lengths[row]] for row, tokens in enumerate(whole)]
    assert steps[0] == 16 and steps[-1] == 2
    assert len(steps) < 30 + graphs.STRIDE, "all have finished before the longest answer allowed"


@pytest.mark.parametrize("kind", CONFIGS)
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_scores_from_slots_equal_one_plain_forward_per_prompt(kind: str, seed: int) -> None:
    model = model_of(kind)
    for shared, own in random_parts(random.Random(seed)):
        prefix = prefix_cache(model, shared) if shared else None
        found = score_in_slots(model, own, pad_token=0, prefix=prefix)
        for row, tokens in enumerate(own):
            with torch.no_grad():
                expected = model(torch.tensor([[*shared, *tokens]])).logits[0, -1].log_softmax(-1)
            assert torch.allclose(found[row], expected, atol=1e-4)
        assert prefix is None or prefix.get_seq_length() == len(shared), "the prefix is left as it is"


@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("new", [1, 4, 11])
@pytest.mark.parametrize("scaling", [None, 0.3])
def test_attention_without_a_mask_sees_what_stands_before(heads: int, new: int, scaling: float | None) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, count, tokens, 8) for count, tokens in ((6, new), (heads, 11), (heads, 11)))
    module = torch.nn.Module()
    module.num_key_value_groups = 6 // heads
    mask = torch.ones(new, 11, dtype=torch.bool).tril(11 - new)[None, None]
    got, _ = slot_attention(module, query, key, value, None, scaling=scaling)
    expected, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=scaling)
    assert torch.allclose(got, expected, atol=1e-6)


def test_models_that_forget_or_take_no_positions_have_no_slots() -> None:
    sliding = AutoModelForCausalLM.from_config(MistralConfig(**SHAPE, sliding_window=8))
    without_positions = AutoModelForCausalLM.from_config(
        MptConfig(d_model=32, n_heads=2, n_layers=1, vocab_size=VOCABULARY, max_seq_len=64)
    )
    assert not has_slots(sliding) and not has_slots(without_positions)
    assert all(has_slots(model_of(kind)) for kind in CONFIGS)


def recording(log: list[str]) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def record(compute: Callable[[], None]) -> Callable[[], None]:
        log.append("record")
        return lambda: log.append("replay")

    return record


def test_a_computation_is_run_then_recorded_then_replayed_for_every_key() -> None:
    log: list[str] = []
    recorder = Recorder(lambda: log.append("compute"), recording(log), pytest.fail)
    for key in ("a", "a", "b", "a", "b"):
        recorder.run(key)
    assert log == ["compute", "record", "replay", "compute", "replay", "record", "replay"]


def test_what_cannot_be_recorded_is_computed_and_said_once() -> None:
    log: list[str] = []
    said: list[str] = []

    def record(compute: Callable[[], None]) -> Callable[[], None]:
        log.append("record")
        try:
            raise ValueError("operation not permitted when stream is capturing\nmore")
        finally:
            raise RuntimeError("the recording is not valid")

    recorder = Recorder(lambda: log.append("compute"), record, said.append)
    for key in ("a", "a", "b", "b", "a"):
        recorder.run(key)
    assert log == ["compute", "record", "compute", "compute", "compute", "compute"]
    assert len(said) == 1 and "operation not permitted" in said[0] and "more" not in said[0]


def test_recording_that_runs_out_of_memory_is_for_the_batches_to_shrink() -> None:
    def record(compute: Callable[[], None]) -> Callable[[], None]:
        try:
            raise torch.OutOfMemoryError("no memory")
        finally:
            raise RuntimeError("the recording is not valid")

    recorder = Recorder(lambda: None, record, pytest.fail)
    recorder.run("a")
    with pytest.raises(torch.OutOfMemoryError):
        recorder.run("a")


def test_memory_is_given_back_when_a_batch_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("mistral")
    generator = SlotGenerator(model, pad_token=0, say=pytest.fail)
    made: list[int] = []
    real = Slots.__init__

    def watching(self: Slots, *args: Any, tokens: int, **options: Any) -> None:
        made.append(tokens)
        real(self, *args, tokens=tokens, **options)

    def no_memory(*args: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(Slots, "__init__", watching)
    limits = {"max_new_tokens": 3, "finished": lambda generated: False}
    generator.generate([([], [[5, 6]] * 8)], **limits)
    with monkeypatch.context() as short, pytest.raises(torch.OutOfMemoryError):
        short.setattr(Slots, "read", no_memory)
        generator.generate([([], [[5, 6]] * 8)], **limits)
    assert model.config._attn_implementation == "sdpa"
    generator.generate([([], [[5, 6]] * 2)], **limits)
    assert made == [40, 10], "kept while it is enough, and not kept through a failure"
