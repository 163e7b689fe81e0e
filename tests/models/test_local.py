"""The local engine against plain transformers calls on the same tiny model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from tiny import save_tiny_mistral
from transformers import AutoModelForCausalLM

from contrapeso.errors import ModelError, ResourceError
from contrapeso.models import decoding, encoding, graphs, local
from contrapeso.models.engine import Variant
from contrapeso.models.loading import LoadedModel, load_model
from contrapeso.models.local import LocalEngine
from contrapeso.models.prompts import encode
from contrapeso.tasks.base import Prompt

BASE = Variant("Baseline Model")
LETTERS = ("A", "B", "C", "D")
IN_SLOTS = pytest.mark.parametrize("in_slots", [False, True], ids=["growing", "in slots"])


def question_prompts(groups: int = 3, each: int = 5) -> list[Prompt]:
    prompts = []
    for number in range(each):
        for group in range(groups):
            shots = f"The following are questions about topic {group}. Is it so? Answer: B\n" * (1 + group)
            prompts.append(Prompt(shots, f"Question {'very ' * number}long about {group}, {number}?\nAnswer:"))
    return prompts


def sql_prompts() -> list[Prompt]:
    schema = "CREATE TABLE singer (id, name); CREATE TABLE concert (id, year)\n"
    return [Prompt(schema, f"Show {'the ' * n}name number {n}.", chat=bool(n % 2)) for n in range(9)]


def engine(loaded: LoadedModel, **limits: Any) -> LocalEngine:
    return LocalEngine(loaded.model, loaded.tokenizer, **limits)


def all_scores(engine: LocalEngine, prompts: list[Prompt], variant: Variant = BASE, skip: Any = ()) -> dict[int, Any]:
    found = {}
    for rows, replies in engine.score_options(variant, prompts, letters=LETTERS, skip=frozenset(skip)):
        found.update(zip(rows, replies, strict=True))
    return found


def all_texts(
    engine: LocalEngine, prompts: list[Prompt], variant: Variant = BASE, stop: tuple[str, ...] = (), tokens: int = 12
) -> dict[int, Any]:
    found = {}
    for rows, replies in engine.generate(variant, prompts, max_new_tokens=tokens, stop=stop, skip=frozenset()):
        found.update(zip(rows, replies, strict=True))
    return found


def plain_scores(model: Any, tokenizer: Any, prompt: Prompt) -> list[float]:
    """One prompt, one forward pass, no cache, no padding."""
    ids = encode(tokenizer, prompt)
    with torch.no_grad():
        log_probabilities = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
    return [log_probabilities[tokenizer.encode(f" {letter}", add_special_tokens=False)[0]].item() for letter in LETTERS]


def plain_generation(model: Any, tokenizer: Any, prompt: Prompt, tokens: int) -> list[int]:
    ids = encode(tokenizer, prompt)
    out = model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=tokens, pad_token_id=0)
    return out[0, len(ids) :].tolist()


@IN_SLOTS
@pytest.mark.parametrize("changes", [{}, {"sliding_window": 12}], ids=["full attention", "sliding window"])
def test_scores_from_a_shared_prefix_equal_one_plain_forward_per_prompt(
    tmp_path: Path, changes: dict[str, int], in_slots: bool
) -> None:
    loaded = load_model(str(save_tiny_mistral(tmp_path / "m", **changes)), device="cpu")
    prompts = question_prompts()
    scores = all_scores(engine(loaded, in_slots=in_slots, batch_size_score=3), prompts)
    assert sorted(scores) == list(range(len(prompts)))
    for row, prompt in enumerate(prompts):
        expected = plain_scores(loaded.model, loaded.tokenizer, prompt)
        assert scores[row].log_probabilities == pytest.approx(expected, abs=1e-5)


def test_prefixes_really_are_shared_and_computed_once(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def counting(model: Any, prefix: list[int]) -> Any:
        computed.append(len(prefix))
        return decoding.prefix_cache(model, prefix)

    monkeypatch.setattr(local, "prefix_cache", counting)
    all_scores(engine(tiny, batch_size_score=2), question_prompts(groups=3, each=5))
    assert len(computed) == 3
    assert min(computed) >= 16


def test_a_model_without_key_value_cache_scores_and_generates_the_same(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_cache = all_scores(engine(tiny), question_prompts()), all_texts(engine(tiny), sql_prompts())
    monkeypatch.setattr(type(tiny.model), "_supports_default_dynamic_cache", classmethod(lambda cls: False))
    without = all_scores(engine(tiny), question_prompts()), all_texts(engine(tiny), sql_prompts())
    for row, reply in without[0].items():
        assert reply.log_probabilities == pytest.approx(with_cache[0][row].log_probabilities, abs=1e-5)
    assert without[1] == with_cache[1]


@IN_SLOTS
def test_greedy_is_option_says_whether_the_likeliest_token_is_a_letter(tiny: LoadedModel, in_slots: bool) -> None:
    prompts = question_prompts()
    letters = {tiny.tokenizer.encode(f" {letter}", add_special_tokens=False)[0] for letter in LETTERS}
    # Lift the letters' output rows for a part of the prompts' range, so that both answers occur.
    with torch.no_grad():
        for token in letters:
            tiny.model.lm_head.weight[token] *= 2.5
    scores = all_scores(engine(tiny, in_slots=in_slots), prompts)
    expected = [plain_generation(tiny.model, tiny.tokenizer, prompt, 1)[0] in letters for prompt in prompts]
    assert [scores[row].greedy_is_option for row in range(len(prompts))] == expected
    assert len(set(expected)) == 2


def test_an_option_of_several_tokens_is_refused_by_name(tiny: LoadedModel) -> None:
    with pytest.raises(ModelError, match="' Zebra' is not a single token"):
        list(engine(tiny).score_options(BASE, question_prompts(), letters=("A", "Zebra"), skip=frozenset()))


@IN_SLOTS
@pytest.mark.parametrize("changes", [{}, {"sliding_window": 12}], ids=["full attention", "sliding window"])
def test_batched_generation_equals_generate_one_prompt_at_a_time(
    tmp_path: Path, changes: dict[str, int], in_slots: bool
) -> None:
    loaded = load_model(str(save_tiny_mistral(tmp_path / "m", **changes)), device="cpu")
    prompts = sql_prompts()
    replies = all_texts(engine(loaded, in_slots=in_slots, batch_size_generate=4), prompts, tokens=24)
    texts = set()
    for row, prompt in enumerate(prompts):
        expected = plain_generation(loaded.model, loaded.tokenizer, prompt, 24)
        assert replies[row].text == loaded.tokenizer.decode(expected, skip_special_tokens=True)
        assert replies[row].tokens == len(expected)
        assert replies[row].stopped == (expected[-1] == loaded.tokenizer.eos_token_id)
        texts.add(replies[row].text)
    assert len(texts) > 3, "the tiny model should answer prompts differently, or this proves little"


@pytest.mark.parametrize("changes", [{}, {"sliding_window": 12}], ids=["full attention", "sliding window"])
def test_generation_shares_schemas_except_under_a_sliding_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int]
) -> None:
    computed: list[int] = []
    monkeypatch.setattr(
        local, "prefix_cache", lambda model, prefix: computed.append(1) or decoding.prefix_cache(model, prefix)
    )
    loaded = load_model(str(save_tiny_mistral(tmp_path / "m", **changes)), device="cpu")
    all_texts(engine(loaded, batch_size_generate=4), sql_prompts())
    assert len(computed) == (0 if changes else 2), "one for plain prompts and one for chat prompts"


@IN_SLOTS
def test_end_of_sequence_ends_one_row_and_not_its_neighbours(tiny: LoadedModel, in_slots: bool) -> None:
    prompts = sql_prompts()
    free = [plain_generation(tiny.model, tiny.tokenizer, prompt, 12) for prompt in prompts]
    ending = free[0][4]  # make a token that row 0 generates the end of sequence
    tiny.model.generation_config.eos_token_id = [ending]
    replies = all_texts(engine(tiny, in_slots=in_slots), prompts)
    for row, tokens in enumerate(free):
        expected = tokens.index(ending) + 1 if ending in tokens else len(tokens)
        assert (replies[row].tokens, replies[row].stopped) == (expected, ending in tokens)
    assert any(reply.stopped for reply in replies.values()) and not all(reply.stopped for reply in replies.values())


@IN_SLOTS
def test_generation_stops_at_a_stop_string_and_cuts_it_off(tiny: LoadedModel, in_slots: bool) -> None:
    prompts = sql_prompts()
    free = {row: reply.text for row, reply in all_texts(engine(tiny, in_slots=in_slots), prompts).items()}
    stop = next(free[0][at : at + 2] for at in range(3, len(free[0]) - 2) if free[0][at : at + 2].isprintable())
    replies = all_texts(engine(tiny, in_slots=in_slots), prompts, stop=(stop, "never generated"))
    for row, text in free.items():
        assert replies[row].text == text.split(stop)[0]
        assert replies[row].stopped == (stop in text)
    assert replies[0].tokens < 12


@IN_SLOTS
def test_a_resumed_evaluation_gives_the_same_bits(tiny: LoadedModel, in_slots: bool) -> None:
    prompts = question_prompts()
    whole = all_scores(engine(tiny, in_slots=in_slots, batch_size_score=2), prompts)
    done = list(whole)[: len(whole) // 2]
    resumed = all_scores(engine(tiny, in_slots=in_slots, batch_size_score=2), prompts, skip=done)
    assert set(done) - set(resumed), "finished batches should be left out"
    assert set(resumed) | set(done) == set(range(len(prompts)))
    assert resumed == {row: whole[row] for row in resumed}


@IN_SLOTS
def test_a_batch_with_one_unanswered_prompt_is_computed_whole(tiny: LoadedModel, in_slots: bool) -> None:
    prompts = sql_prompts()
    batches = [rows for rows, _ in engine(tiny, in_slots=in_slots, batch_size_generate=4).generate(
        BASE, prompts, max_new_tokens=2, stop=(), skip=frozenset()
    )]  # fmt: skip
    answered = frozenset(range(len(prompts))) - {batches[1][2]}
    again = [rows for rows, _ in engine(tiny, in_slots=in_slots, batch_size_generate=4).generate(
        BASE, prompts, max_new_tokens=2, stop=(), skip=answered
    )]  # fmt: skip
    assert again == [batches[1]]


@IN_SLOTS
def test_a_variant_answers_as_its_adapter_and_the_base_as_itself(
    tiny: LoadedModel, tiny_folder: Path, adapter_folder: Path, in_slots: bool
) -> None:
    prompts = question_prompts()
    subject = engine(tiny, in_slots=in_slots)
    before = all_scores(subject, prompts)
    tuned = all_scores(subject, prompts, Variant("Fine-Tuned Run 1", adapter_folder))
    after = all_scores(subject, prompts)
    assert after == before
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_folder), adapter_folder).eval()
    for row, prompt in enumerate(prompts):
        expected = plain_scores(reference, tiny.tokenizer, prompt)
        assert tuned[row].log_probabilities == pytest.approx(expected, abs=1e-5)
        assert tuned[row].log_probabilities != pytest.approx(before[row].log_probabilities, abs=1e-2)
        assert tuned[row].prompt_sha == before[row].prompt_sha


@IN_SLOTS
def test_a_prompt_too_long_for_the_model_keeps_its_end_and_says_so(tmp_path: Path, in_slots: bool) -> None:
    loaded = load_model(str(save_tiny_mistral(tmp_path / "m", max_position_embeddings=64)), device="cpu")
    prompts = [Prompt("", "Show the name. " * 40), Prompt("", "Show the name.")]
    replies = all_texts(engine(loaded, in_slots=in_slots), prompts, tokens=8)
    assert [replies[row].truncated for row in (0, 1)] == [True, False]
    tokens = encode(loaded.tokenizer, prompts[0])
    assert replies[0].prompt_tokens == len(tokens)
    out = loaded.model.generate(torch.tensor([tokens[-56:]]), do_sample=False, max_new_tokens=8, pad_token_id=0)
    assert replies[0].text == loaded.tokenizer.decode(out[0, 56:], skip_special_tokens=True)


def test_an_answer_longer_than_the_model_is_refused(tiny: LoadedModel) -> None:
    with pytest.raises(ModelError, match="the model holds 512 tokens"):
        all_texts(engine(tiny), sql_prompts(), tokens=512)


def short_of_memory(monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> list[int]:
    """From now on `local.<name>` runs out of memory with more than `most` prompts; the sizes it was tried with."""
    tried: list[int] = []
    real = getattr(local, name)

    def limited(model: Any, prompts: list[list[int]], **options: Any) -> Any:
        tried.append(len(prompts))
        if len(prompts) > most:
            raise torch.OutOfMemoryError("no memory")
        return real(model, prompts, **options)

    monkeypatch.setattr(local, name, limited)
    return tried


def test_generation_short_of_memory_goes_on_in_smaller_parts_with_the_same_answers(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = sql_prompts()
    expected = all_texts(engine(tiny, batch_size_generate=8), prompts)
    tried = short_of_memory(monkeypatch, "generate_greedy", most=2)
    said: list[str] = []
    subject = LocalEngine(tiny.model, tiny.tokenizer, batch_size_generate=8, say=said.append)
    assert all_texts(subject, prompts) == expected
    assert max(tried) > 2 and tried.count(max(tried)) == 1, "what did not fit should not be tried again"
    assert len(said) == 1 and "lower evaluate.generate_batch" in said[0]


def test_slots_short_of_memory_go_on_in_smaller_parts_with_the_same_answers(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [*sql_prompts(), *sql_prompts()]
    expected = all_texts(engine(tiny, in_slots=True), prompts)
    tried: list[int] = []
    real = graphs.Slots.reshape

    def limited(self: graphs.Slots, rows: int, capacity: int) -> None:
        tried.append(rows)
        if rows > 8:
            raise torch.OutOfMemoryError("no memory")
        real(self, rows, capacity)

    monkeypatch.setattr(graphs.Slots, "reshape", limited)
    said: list[str] = []
    subject = LocalEngine(tiny.model, tiny.tokenizer, in_slots=True, say=said.append)
    assert all_texts(subject, prompts) == expected
    assert tried[0] > 16 and all(rows <= 12 for rows in tried[1:]) and len(tried) > 2
    assert len(said) == 1 and "out of memory with 18 prompts" in said[0]


def test_in_slots_prompts_with_different_prefixes_go_on_together(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = graphs.Slots.read
    monkeypatch.setattr(
        graphs.Slots, "read", lambda self, *a, **k: read.append(k["prefix"] is None) or real(self, *a, **k)
    )
    together = list(
        engine(tiny, in_slots=True).generate(
            BASE, question_prompts(groups=3, each=5), max_new_tokens=3, stop=(), skip=frozenset()
        )
    )
    assert [len(rows) for rows, _ in together] == [15]
    assert read == [False] * 3, "each group is read behind its own prefix"


def test_prompts_are_encoded_once_for_all_variants(
    tiny: LoadedModel, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    real = encoding.encode_prompts
    monkeypatch.setattr(encoding, "encode_prompts", lambda *a, **k: encoded.append(len(a[1])) or real(*a, **k))
    subject = engine(tiny)
    for variant in (BASE, Variant("Fine-Tuned Run 1", adapter_folder)):
        all_scores(subject, question_prompts(), variant)
        all_scores(subject, question_prompts(each=2), variant)  # another task of the same kind
        all_texts(subject, sql_prompts(), variant, tokens=3)
    assert encoded == [15, 6, 9]


def test_scoring_short_of_memory_goes_on_in_smaller_parts_with_the_same_scores(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = question_prompts(groups=2, each=8)
    expected = all_scores(engine(tiny), prompts)
    tried = short_of_memory(monkeypatch, "score", most=1)
    with pytest.warns(UserWarning, match="out of memory with 8 prompts"):
        found = all_scores(engine(tiny), prompts)
    assert tried[:4] == [8, 4, 2, 1] and set(tried[4:]) == {1}
    assert list(found) == list(expected)
    for row, reply in expected.items():
        assert found[row].log_probabilities == pytest.approx(reply.log_probabilities, abs=1e-5)


@pytest.mark.parametrize("name", ["generate_greedy", "prefix_cache"])
def test_a_single_prompt_that_does_not_fit_is_an_error_that_says_what_to_do(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def no_memory(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(local, name, no_memory)
    subject = LocalEngine(tiny.model, tiny.tokenizer, batch_size_generate=4, say=lambda line: None)
    with pytest.raises(ResourceError, match=r"a single prompt of \d+ tokens.*finished batches are kept"):
        all_texts(subject, sql_prompts())


def test_an_error_that_is_not_about_memory_is_not_tried_again(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(local, "generate_greedy", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        all_texts(engine(tiny), sql_prompts())
