"""The engine on vLLM against the local engine, on the same tiny model."""

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fake_vllm
import pytest
import torch
from tiny import save_random_adapter, save_tiny_mistral

from contrapeso.errors import ContrapesoError, ModelError, ResourceError
from contrapeso.models import encoding, served, served_queue, served_start
from contrapeso.models.engine import Engine, Variant
from contrapeso.models.loading import load_model
from contrapeso.models.local import LocalEngine
from contrapeso.models.served import ServedEngine
from contrapeso.tasks.base import Prompt

BASE = Variant("Baseline Model")
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
LETTERS = ("A", "B", "C", "D")


def question_prompts() -> list[Prompt]:
    shots = "The following are questions about topic {}. Is it so? Answer: B\n"
    return [
        Prompt(shots.format(n % 3), f"Question {'very ' * n}long, {n}?\nAnswer:" + "\n" * (n % 2)) for n in range(8)
    ]


def sql_prompts() -> list[Prompt]:
    schema = "CREATE TABLE singer (id, name); CREATE TABLE concert (id, year)\n"
    return [Prompt(schema, f"Show {'the ' * n}name number {n}.", chat=bool(n % 2)) for n in range(9)]


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> type[fake_vllm.LLM]:
    monkeypatch.setattr(served_start, "free_share", lambda: 0.5)
    return fake_vllm.install(monkeypatch)


@pytest.fixture
def local(tiny: Any) -> LocalEngine:
    return LocalEngine(tiny.model, tiny.tokenizer)


def scores(engine: Engine, variant: Variant = BASE, skip: Any = ()) -> dict[int, Any]:
    found = {}
    for rows, replies in engine.score_options(variant, question_prompts(), letters=LETTERS, skip=frozenset(skip)):
        found.update(zip(rows, replies, strict=True))
    return found


def texts(
    engine: Engine, variant: Variant = BASE, prompts: list[Prompt] | None = None, tokens: int = 24, skip: Any = ()
) -> dict[int, Any]:
    found = {}
    for rows, replies in engine.generate(
        variant, prompts or sql_prompts(), max_new_tokens=tokens, stop=("e", "\n\n"), skip=frozenset(skip)
    ):
        found.update(zip(rows, replies, strict=True))
    return found


@pytest.mark.parametrize("with_adapter", [False, True])
def test_replies_are_those_of_the_local_engine(
    llm: type[fake_vllm.LLM], local: LocalEngine, tiny_folder: Path, adapter_folder: Path, with_adapter: bool
) -> None:
    engine = ServedEngine(str(tiny_folder), adapters=[adapter_folder])
    variant = Variant("tuned", adapter_folder) if with_adapter else BASE

    generated = texts(engine, variant)
    assert generated == texts(local, variant)
    assert len({reply.stopped for reply in generated.values()}) == 2  # some end by themselves, some at the limit

    found, expected = scores(engine, variant), scores(local, variant)
    assert found.keys() == expected.keys()
    for row, reply in found.items():
        assert reply.log_probabilities == pytest.approx(expected[row].log_probabilities, abs=1e-4)
        assert (reply.greedy_is_option, reply.prompt_tokens, reply.prompt_sha, reply.truncated) == (
            expected[row].greedy_is_option,
            expected[row].prompt_tokens,
            expected[row].prompt_sha,
            expected[row].truncated,
        )
    assert texts(engine, BASE) != texts(engine, Variant("tuned", adapter_folder))


@pytest.mark.parametrize("with_adapter", [False, True])
def test_likelihoods_of_texts_are_those_of_the_local_engine(
    llm: type[fake_vllm.LLM],
    local: LocalEngine,
    tiny_folder: Path,
    adapter_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    with_adapter: bool,
) -> None:
    monkeypatch.setattr(served, "CHUNK", 3)
    engine = ServedEngine(str(tiny_folder), adapters=[adapter_folder])
    variant = Variant("tuned", adapter_folder) if with_adapter else BASE
    prompts = [*question_prompts(), Prompt("", "")]
    texts = [[f" {'yes ' * (n % 3)}no", " maybe, who knows"][: 1 + n % 2] for n in range(len(prompts))]

    def likelihoods(engine: Engine, skip: frozenset[int] = frozenset()) -> dict[int, Any]:
        found = {}
        for rows, replies in engine.score_texts(variant, prompts, texts=texts, skip=skip):
            found.update(zip(rows, replies, strict=True))
        return found

    found, expected = likelihoods(engine), likelihoods(local)
    assert found.keys() == expected.keys()
    for row, reply in found.items():
        assert reply.log_likelihoods == pytest.approx(expected[row].log_likelihoods, abs=1e-4)
        assert len(reply.log_likelihoods) == len(texts[row])
        assert (reply.tokens, reply.prompt_tokens, reply.prompt_sha, reply.truncated) == (
            expected[row].tokens,
            expected[row].prompt_tokens,
            expected[row].prompt_sha,
            expected[row].truncated,
        )
    assert list(likelihoods(engine, skip=frozenset(range(4)))) == [3, 4, 5, 6, 7, 8]


def test_a_text_before_which_nothing_stands_counts_as_in_the_local_engine(
    llm: type[fake_vllm.LLM], tiny_folder: Path
) -> None:
    base = load_model(str(tiny_folder), device="cpu")
    engines = ServedEngine(str(tiny_folder)), LocalEngine(base.model, base.tokenizer)
    found = []
    for engine in engines:
        engine.tokenizer.backend_tokenizer.post_processor = None  # no beginning-of-sequence token
        ((_, (reply,)),) = engine.score_texts(BASE, [Prompt("", "")], texts=[["Show the name"]], skip=frozenset())
        found.append(reply)
    assert found[0].tokens == found[1].tokens
    assert found[0].log_likelihoods == pytest.approx(found[1].log_likelihoods, abs=1e-4)


def test_any_of_the_models_end_tokens_ends_an_answer(
    llm: type[fake_vllm.LLM], tiny_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    plain = ServedEngine(str(folder))
    [prompt] = sql_prompts()[:1]
    first = llm.started[0].answers(
        [{"prompt_token_ids": encoding.encode_prompts(plain.tokenizer, [prompt], limit=None, room=0)[0].tokens}],
        [fake_vllm.SamplingParams(temperature=0.0, max_tokens=3)],
    )
    second_token = first[0].outputs[0].token_ids[1]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, second_token]}))

    loaded = load_model(str(folder), device="cpu")
    engine = ServedEngine(str(folder))
    [reply] = texts(engine, prompts=[prompt]).values()
    assert (reply.tokens, reply.stopped) == (2, True)
    assert [reply] == list(texts(LocalEngine(loaded.model, loaded.tokenizer), prompts=[prompt]).values())


def test_a_prompt_that_is_too_long_keeps_its_end_as_in_the_local_engine(
    llm: type[fake_vllm.LLM], local: LocalEngine, tiny_folder: Path
) -> None:
    prompts = [Prompt("schema " * 400, f"Show number {n}.") for n in range(2)] + sql_prompts()[:1]
    found = texts(ServedEngine(str(tiny_folder)), prompts=prompts)
    assert [found[row].truncated for row in range(3)] == [True, True, False]
    assert found == texts(local, prompts=prompts)


def test_a_resumed_run_asks_only_the_chunks_that_are_not_done(
    llm: type[fake_vllm.LLM], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "CHUNK", 3)
    engine = ServedEngine(str(tiny_folder))
    whole = texts(engine)
    assert list(whole) == list(range(9))
    assert list(texts(engine, skip=range(5))) == [3, 4, 5, 6, 7, 8]
    assert texts(engine, skip=range(5))[4] == whole[4]
    assert list(scores(engine, skip=[0, 1, 2, 6])) == [3, 4, 5, 6, 7]
    assert [count for count, _ in llm.started[0].asked] == [3, 3, 3, 3, 3, 3, 3, 3, 2]


def test_the_next_chunks_are_asked_before_a_chunk_is_handed_over(
    llm: type[fake_vllm.LLM], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "CHUNK", 2)
    monkeypatch.setattr(served_queue, "AHEAD", 2)
    engine = ServedEngine(str(tiny_folder))
    replies = engine.generate(BASE, sql_prompts(), max_new_tokens=4, stop=("e",), skip=frozenset())
    rows, _ = next(replies)
    assert (rows, len(llm.started[0].asked)) == ([0, 1], 3)
    assert [rows for rows, _ in replies] == [[2, 3], [4, 5], [6, 7], [8]]


def test_what_nobody_waits_for_any_more_is_not_computed(
    llm: type[fake_vllm.LLM], tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "CHUNK", 2)
    engine = ServedEngine(str(tiny_folder))
    replies = engine.generate(BASE, sql_prompts(), max_new_tokens=4, stop=("e",), skip=frozenset())
    next(replies)
    replies.close()
    assert llm.started[0].aborted == [str(number) for number in range(2, 9)]
    assert list(scores(engine)) == list(range(8))


def test_prompts_are_tokenized_once_for_all_variants(
    llm: type[fake_vllm.LLM], tiny_folder: Path, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    encode_prompts = encoding.encode_prompts
    monkeypatch.setattr(encoding, "encode_prompts", lambda *a, **k: calls.append(1) or encode_prompts(*a, **k))
    engine = ServedEngine(str(tiny_folder), adapters=[adapter_folder])
    assert texts(engine) != texts(engine, Variant("tuned", adapter_folder))
    assert len(calls) == 1


def test_adapters_are_told_apart_by_their_content(llm: type[fake_vllm.LLM], tiny_folder: Path, tmp_path: Path) -> None:
    one, other, copy = (tmp_path / name for name in ("one", "other", "copy"))
    save_random_adapter(one, tiny_folder, seed=1)
    save_random_adapter(other, tiny_folder, seed=2)
    shutil.copytree(one, copy)
    engine = ServedEngine(str(tiny_folder), adapters=[one, other])
    answers = [texts(engine, Variant("tuned", folder)) for folder in (one, other, copy)]
    save_random_adapter(one, tiny_folder, seed=3)  # trained anew under the same path
    answers.append(texts(engine, Variant("tuned", one)))

    requests = [request for _, request in llm.started[0].asked]
    assert [request.lora_int_id for request in requests if request] == [1, 2, 1, 3]
    assert answers[0] == answers[2]
    assert answers[0] != answers[1]
    assert answers[0] != answers[3]


def test_vllm_is_started_with_room_for_the_adapters_and_nothing_else(
    llm: type[fake_vllm.LLM], tiny_folder: Path, adapter_folder: Path
) -> None:
    ServedEngine(str(tiny_folder), dtype="float16", adapters=[adapter_folder])
    ServedEngine(str(tiny_folder), quantization="nf4")
    tuned, base = (engine.options for engine in llm.started)
    assert (tuned["enable_lora"], tuned["max_lora_rank"], tuned["max_cpu_loras"]) == (True, 8, 1)  # rank 4: 8 is next
    assert tuned["lora_target_modules"] == sorted(ALL_LINEAR)
    assert not base["enable_lora"]
    assert (tuned["dtype"], tuned["quantization"]) == ("float16", None)
    assert (base["quantization"], base["load_format"]) == ("bitsandbytes", "bitsandbytes")
    assert tuned["enable_prefix_caching"] is True
    assert tuned["gpu_memory_utilization"] == 0.5


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("use_dora", True, "DoRA"),
        ("modules_to_save", ["lm_head"], "modules_to_save"),
        ("rank_pattern", {"q_proj": 2}, "rank_pattern"),
        ("alpha_pattern", {"q_proj": 2}, "alpha_pattern"),
        ("bias", "all", "bias"),
        ("peft_type", "IA3", "IA3"),
        ("r", 1024, "1024"),
    ],
)
def test_an_adapter_that_vllm_would_not_apply_as_trained_is_refused(
    llm: type[fake_vllm.LLM], tiny_folder: Path, adapter_folder: Path, tmp_path: Path, field: str, value: Any, word: str
) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(adapter_folder, folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(ModelError, match=word) as refusal:
        ServedEngine(str(tiny_folder), adapters=[folder])
    assert 'evaluate.engine = "local"' in str(refusal.value)
    assert not llm.started  # before the minute that starting takes


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 1}, {"hidden_size": 32}])
def test_an_adapter_of_another_base_is_refused(
    llm: type[fake_vllm.LLM], adapter_folder: Path, tmp_path: Path, changes: dict[str, int]
) -> None:
    other = save_tiny_mistral(tmp_path / "other", **changes)
    with pytest.raises(ModelError, match="does not fit this base model"):
        ServedEngine(str(other), adapters=[adapter_folder])
    assert not llm.started


def test_an_adapter_that_needs_more_than_the_engine_was_started_for_is_refused(
    llm: type[fake_vllm.LLM], tiny_folder: Path, adapter_folder: Path
) -> None:
    engine = ServedEngine(str(tiny_folder))
    with pytest.raises(ModelError, match="started for rank 0 and no layers"):
        texts(engine, Variant("tuned", adapter_folder))


def test_adapters_are_not_served_in_float32(llm: type[fake_vllm.LLM], tiny_folder: Path, adapter_folder: Path) -> None:
    with pytest.raises(ModelError, match="float32"):
        ServedEngine(str(tiny_folder), dtype="float32", adapters=[adapter_folder])


def test_without_vllm_the_error_names_the_setting(
    tiny_folder: Path, adapter_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_start, "free_share", lambda: 0.5)
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setitem(sys.modules, "vllm.config.lora", None)
    for adapters in ([], [adapter_folder]):
        with pytest.raises(ResourceError, match=r'set evaluate\.engine = "local"'):
            ServedEngine(str(tiny_folder), adapters=adapters)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (ValueError("Free memory on device is less than desired"), ResourceError),
        (torch.OutOfMemoryError("CUDA out of memory"), ResourceError),
        (ModuleNotFoundError("No module named 'humming'"), ResourceError),  # with 4-bit weights, of vLLM 0.23
        (ValueError("Model architectures ['XForCausalLM'] are not supported"), ModelError),
    ],
)
@pytest.mark.parametrize("moment", ["__init__", "enqueue", "_step"])
def test_a_failure_of_vllm_says_what_to_do_next(
    llm: type[fake_vllm.LLM],
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    kind: type[ContrapesoError],
    moment: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(llm, moment, fail)
    with pytest.raises(kind, match=r'evaluate\.engine = "local"') as caught:
        texts(ServedEngine(str(tiny_folder)))
    assert str(failure) in str(caught.value)
    assert caught.value.__cause__ is failure


def test_a_prompt_longer_than_what_vllm_has_memory_for_is_refused(llm: type[fake_vllm.LLM], tiny_folder: Path) -> None:
    engine = ServedEngine(str(tiny_folder))
    llm.started[0].model_config.max_model_len = 60
    with pytest.raises(ResourceError, match="vLLM holds 60"):
        texts(engine)


def test_vllm_ends_when_closed_and_when_nobody_holds_the_engine(llm: type[fake_vllm.LLM], tiny_folder: Path) -> None:
    engine = ServedEngine(str(tiny_folder))
    engine.close()
    assert llm.started[0].ended
    engine = ServedEngine(str(tiny_folder))
    assert not llm.started[1].ended
    del engine
    assert llm.started[1].ended


def test_vllm_takes_what_is_free_less_a_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10 * 2**30, 16 * 2**30))
    assert served_start.free_share() == pytest.approx(8.5 / 16, abs=1e-4)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (16 * 2**30, 16 * 2**30))
    assert served_start.free_share() == pytest.approx(14.5 / 16, abs=1e-4)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**30, 16 * 2**30))
    with pytest.raises(ResourceError, match=r"only 1\.0 of 16\.0 GiB"):
        served_start.free_share()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ResourceError, match="no GPU"):
        served_start.free_share()


@pytest.mark.skipif(
    find_spec("vllm") is None or not torch.cuda.is_available(), reason="vLLM and a GPU are needed to hold it to local"
)
def test_the_real_vllm_agrees_with_the_local_engine_on_the_pocket_model(tmp_path: Path) -> None:
    from benchmarks.served import agreement

    # In float16, as it is stored: in bfloat16 even `local` with other batches gives another text for one in six.
    for found in agreement(tmp_path, tmp_path, dtype="float16")["served and local"].values():
        assert found["prompts_equal"]
        assert found["log_probability_difference"]["median"] < 0.02
        assert found["letters_different"] <= 0.01 * found["questions"]
        assert max(found["margins_of_different_letters"], default=0.0) < 0.1  # a tie
        assert found["sql_equal"] >= 0.99 * found["queries"]
