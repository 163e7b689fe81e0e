"""Packs with shared prefixes give the loss and the gradients of their rows one by one, in the trainer and outside."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from test_lora import KilledError, killed_at, train
from tiny import save_tiny_mistral
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from contrapeso.errors import DataError, ModelError
from contrapeso.models.adapters import adapter_identity
from contrapeso.models.loading import LoadedModel, load_model
from contrapeso.settings import LoraSettings
from contrapeso.training import lora
from contrapeso.training.examples import Row
from contrapeso.training.order import grouped_order
from contrapeso.training.shared_prefix import (
    BLOCK,
    Pack,
    SharedPrefixCollator,
    attention_for,
    block_mask,
    dense_mask,
    pack_loss,
    pack_rows,
)

PACKED = LoraSettings(
    rank=4,
    alpha=8,
    dropout=0.0,
    learning_rate=1e-2,
    batch_size=3,
    gradient_accumulation=2,
    epochs=1.2,  # four steps of six examples, an epoch's end amid the fourth
    checkpoint_steps=2,
    packing="shared_prefix",
    pack_tokens=100,
    max_length=100,
    databases_per_step=2,
)


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def base(base_folder: Path) -> LoadedModel:
    return load_model(str(base_folder), device="cpu")


@pytest.fixture(scope="module")
def model(base_folder: Path) -> Iterator[Any]:
    torch.manual_seed(0)
    plain = AutoModelForCausalLM.from_pretrained(base_folder)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    yield get_peft_model(plain, config).train()


def database_rows(databases: int = 4, questions: int = 5, seed: int = 0) -> list[Row]:
    """Examples about databases: a long prefix each, a question and an answer, of random tokens."""
    tokens = random.Random(seed)

    def draw(low: int, high: int) -> list[int]:
        return [tokens.randrange(3, 300) for _ in range(tokens.randint(low, high))]

    rows = []
    for group in range(databases):
        prefix = [1, 5, 6, *draw(15, 30)]
        for _ in range(questions):
            prompt, answer = prefix + draw(3, 9), [*draw(2, 12), 2]
            rows.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer, "group": group})
    return rows


@st.composite
def forests(draw: st.DrawFn) -> list[Row]:
    """Rows that grow from random trees: any token may begin a branch, and any but the first may have a label."""
    token = st.integers(3, 40)
    rows: list[list[int]] = []
    for _ in range(draw(st.integers(1, 9))):
        stem: list[int] = []
        if rows and draw(st.booleans()):
            origin = draw(st.sampled_from(rows))
            stem = origin[: draw(st.integers(0, len(origin)))]
        rows.append(stem + draw(st.lists(token, min_size=1, max_size=draw(st.sampled_from([1, 4, 40])))))
    result = []
    for tokens in rows:
        start = draw(st.integers(0, len(tokens)))
        holes = draw(st.sets(st.integers(0, len(tokens) - 1), max_size=2))
        labels = [t if at >= start and at not in holes else -100 for at, t in enumerate(tokens)]
        result.append({"input_ids": tokens, "labels": labels})
    return result


def gradients(model: Any, loss: torch.Tensor) -> torch.Tensor:
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad and p.grad is not None])


def one_by_one(model: Any, rows: list[Row]) -> torch.Tensor:
    total = torch.tensor(0.0)
    for row in rows:
        logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1]
        labels = torch.tensor(row["labels"][1:], dtype=torch.long)
        total = total + cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
    return total


@settings(max_examples=40, deadline=None)
@given(rows=forests(), room=st.integers(0, 60), multiple=st.sampled_from([1, 16]), least=st.sampled_from([1, 5]))
def test_loss_and_gradients_of_packs_are_those_of_their_rows_one_by_one(
    model: Any, rows: list[Row], room: int, multiple: int, least: int
) -> None:
    pack_tokens = max(len(row["input_ids"]) for row in rows) + room
    batch = SharedPrefixCollator(pack_tokens, multiple=multiple, least_shared=least)(rows)
    alone = one_by_one(model, rows)
    packed = torch.stack([pack_loss(model, model.get_base_model(), pack) for pack in batch["packs"]]).sum()
    assert packed.item() == pytest.approx(alone.item(), rel=1e-5, abs=1e-5)
    expected, got = gradients(model, alone), gradients(model, packed)
    assert torch.linalg.norm(got - expected) <= 1e-5 * torch.linalg.norm(expected) + 1e-6


@settings(max_examples=50, deadline=None)
@given(rows=forests(), room=st.integers(0, 60))
def test_a_token_sees_its_own_row_and_nothing_else(rows: list[Row], room: int) -> None:
    for pack in pack_rows(rows, max(len(row["input_ids"]) for row in rows) + room):
        mask = dense_mask(torch.tensor(pack.seen_until))[0, 0]
        for place, token in enumerate(pack.input_ids):
            row = [pack.input_ids[seen] for seen in mask[place].nonzero()[:, 0].tolist()]
            assert len(row) == pack.positions[place] + 1 and row[-1] == token
            assert any(other["input_ids"][: len(row)] == row for other in rows)


@settings(max_examples=50, deadline=None)
@given(rows=forests(), room=st.integers(0, 60))
def test_packs_hold_every_row_once_and_keep_their_limit(rows: list[Row], room: int) -> None:
    limit = max(len(row["input_ids"]) for row in rows) + room
    packs = pack_rows(rows, limit)
    assert all(len(pack.input_ids) <= limit for pack in packs)
    labels = sorted(label for row in rows for label in row["labels"][1:] if label != -100)
    assert sorted(target for pack in packs for target in pack.targets) == labels
    assert sum(len(pack.input_ids) for pack in packs) <= sum(len(row["input_ids"]) for row in rows)


def test_a_tree_is_laid_out_as_drawn_by_hand() -> None:
    rows = [
        {"input_ids": [1, 2, 8, 9], "labels": [-100, -100, 8, 9]},
        {"input_ids": [7], "labels": [-100]},
        {"input_ids": [1, 2, 3], "labels": [-100, -100, 3]},
    ]
    (pack,) = pack_rows(rows, 100)
    assert pack.input_ids == [1, 2, 3, 8, 9, 7]
    assert pack.positions == [0, 1, 2, 2, 3, 0]
    assert pack.seen_until == [5, 5, 3, 5, 5, 6]
    assert (pack.places, pack.targets) == ([1, 1, 3], [3, 8, 9])
    assert dense_mask(torch.tensor(pack.seen_until))[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [1, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]


def test_sixteen_questions_behind_one_schema_are_one_schema_and_sixteen_questions() -> None:
    schema, tail = list(range(10, 580)), 62
    rows = [{"input_ids": [*schema, *[1000 + n] * tail], "labels": [-100] * (570 + tail)} for n in range(16)]
    (pack,) = pack_rows(rows, 8192)
    assert len(pack.input_ids) == 570 + 16 * 62


def test_a_short_common_beginning_is_repeated_where_that_is_cheaper() -> None:
    rows = [{"input_ids": [1, 2, 3, number], "labels": [-100] * 4} for number in (7, 8)]
    assert pack_rows(rows, 100, least_shared=3)[0].input_ids == [1, 2, 3, 7, 8]
    assert pack_rows(rows, 100, least_shared=4)[0].input_ids == [1, 2, 3, 7, 1, 2, 3, 8]


def test_the_block_mask_of_a_gpu_is_the_matrix_of_a_cpu() -> None:
    (pack,) = pack_rows(database_rows(6, 9), 4096)
    tensors = SharedPrefixCollator(4096, multiple=BLOCK)._tensors(pack)
    until = tensors["seen_until"]
    blocks = block_mask(until)
    place = torch.arange(len(until))
    assert len(until) % BLOCK == 0 and blocks.shape == (1, 1, len(until), len(until))
    matrix = dense_mask(until)[0, 0]
    assert torch.equal(blocks.mask_mod(0, 0, place[:, None], place[None, :]), matrix)
    tiles = matrix.view(len(until) // BLOCK, BLOCK, -1, BLOCK).any(dim=3).any(dim=1)
    assert torch.equal(blocks.to_dense()[0, 0].bool(), tiles)


@pytest.mark.skipif(
    not shutil.which("g++"), reason="FlexAttention compiles itself, which on a CPU takes a C++ compiler"
)
def test_flex_attention_gives_the_logits_of_the_dense_mask(base_folder: Path) -> None:
    (pack,) = pack_rows(database_rows(3, 3), 4096)
    tensors = SharedPrefixCollator(4096, multiple=BLOCK)._tensors(pack)
    losses = []
    for attention in ("sdpa", "flex_attention"):
        plain = AutoModelForCausalLM.from_pretrained(base_folder, attn_implementation=attention)
        with torch.no_grad():
            losses.append(pack_loss(plain, plain, tensors).item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_attention_is_flexible_on_cuda_only(model: Any) -> None:
    inner = model.get_base_model()
    assert (attention_for(inner, "cuda"), attention_for(inner, "cpu")) == ("flex_attention", "sdpa")
    inner.config.attention_dropout = 0.1  # FlexAttention has none
    assert attention_for(inner, "cuda") == "sdpa"
    inner.config.attention_dropout = 0.0


def test_a_packed_run_learns_what_an_ordinary_run_learns(
    base: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = database_rows()
    packed = train(base, tmp_path / "packed", PACKED, rows=rows)
    # The ordinary run gets the packed run's order of examples; nothing else is changed.
    groups = [row["group"] for row in rows]
    monkeypatch.setattr(lora, "example_order", lambda lengths, settings, seed: grouped_order(groups, settings, seed))
    plain = train(base, tmp_path / "plain", PACKED.model_copy(update={"packing": "none"}), rows=rows)
    assert (packed.steps, packed.examples) == (plain.steps, plain.examples) == (4, 24)
    for name in ("loss", "grad_norm", "learning_rate"):
        expected = [entry[name] for entry in plain.history]
        assert [entry[name] for entry in packed.history] == pytest.approx(expected, rel=2e-4)
    assert [entry["step"] for entry in packed.history] == list(range(1, 5))


@pytest.mark.parametrize("step", [2, 4])
def test_an_interrupted_packed_run_ends_in_the_same_bits(base: LoadedModel, tmp_path: Path, step: int) -> None:
    settings, rows = PACKED.model_copy(update={"dropout": 0.1}), database_rows()
    whole = train(base, tmp_path / "whole", settings, rows=rows)
    with pytest.raises(KilledError):
        train(base, tmp_path / "parts", settings, rows=rows, progress=killed_at(step))
    resumed = train(base, tmp_path / "parts", settings, rows=rows)
    assert resumed.resumed_from == (step - 1) // 2 * 2
    assert adapter_identity(tmp_path / "parts" / "adapter") == adapter_identity(tmp_path / "whole" / "adapter")
    assert [entry["loss"] for entry in resumed.history] == [entry["loss"] for entry in whole.history]


def test_smaller_packs_and_gradient_checkpointing_change_no_loss(base: LoadedModel, tmp_path: Path) -> None:
    rows = database_rows()
    changes: list[dict[str, Any]] = [{}, {"pack_tokens": 60}, {"gradient_checkpointing": True}]
    losses = [
        [e["loss"] for e in train(base, tmp_path / str(n), PACKED.model_copy(update=change), rows=rows).history]
        for n, change in enumerate(changes)
    ]
    for other in losses[1:]:
        assert other == pytest.approx(losses[0], rel=1e-4)


def test_packed_training_leaves_the_base_as_it_was(base: LoadedModel, tmp_path: Path) -> None:
    config = base.model.config.to_dict()
    attention = base.model.config._attn_implementation
    train(base, tmp_path, PACKED, rows=database_rows())
    assert base.model.config.to_dict() == config
    assert base.model.config._attn_implementation == attention
    assert not any(parameter.requires_grad for parameter in base.model.parameters())


def test_training_in_bfloat16_follows_float32(base: LoadedModel, base_folder: Path, tmp_path: Path) -> None:
    half = load_model(str(base_folder), device="cpu", dtype="bfloat16")
    rows = database_rows(2, 3)
    exact = train(base, tmp_path / "float32", PACKED, rows=rows)
    rough = train(half, tmp_path / "bfloat16", PACKED, rows=rows)
    assert rough.history[0]["loss"] == pytest.approx(exact.history[0]["loss"], rel=2e-2)


def test_a_base_in_four_bits_learns_from_packs_what_it_learns_in_batches(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")
    base = load_model(str(base_folder), device="cpu", quantization="nf4")
    rows = database_rows(2, 3)
    packed = train(base, tmp_path / "packed", PACKED, rows=rows)
    groups = [row["group"] for row in rows]
    monkeypatch.setattr(lora, "example_order", lambda lengths, settings, seed: grouped_order(groups, settings, seed))
    plain = train(base, tmp_path / "plain", PACKED.model_copy(update={"packing": "none"}), rows=rows)
    assert packed.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=1e-3)
    assert packed.history[0]["grad_norm"] == pytest.approx(plain.history[0]["grad_norm"], rel=2e-2)


def test_an_example_that_fills_no_pack_is_refused_and_not_cut(base: LoadedModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"training example \d+ has \d+ tokens, more than training.pack_tokens = 20"):
        train(base, tmp_path, PACKED.model_copy(update={"pack_tokens": 20}), rows=database_rows())


def test_a_model_whose_window_is_too_short_is_refused(tmp_path: Path) -> None:
    narrow = load_model(str(save_tiny_mistral(tmp_path / "model", sliding_window=8)), device="cpu")
    with pytest.raises(ModelError, match=r'shared_prefix".*attends to 8 tokens only, and the longest example has \d+'):
        train(narrow, tmp_path / "run", PACKED, rows=database_rows())


def test_a_model_without_attention_is_refused(tmp_path: Path, base: LoadedModel) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    recurrent = MambaForCausalLM(MambaConfig(vocab_size=320, hidden_size=16, state_size=4, num_hidden_layers=1))
    with pytest.raises(ModelError, match="MambaForCausalLM"):
        train(
            LoadedModel(recurrent, base.tokenizer, "cpu", "float32", "none"),
            tmp_path,
            PACKED.model_copy(update={"target_modules": ("in_proj",)}),
            rows=database_rows(),
        )


@pytest.mark.parametrize("epochs", [0.4, 1, 2.5])
def test_every_epoch_has_every_example_once_and_every_step_several_databases(epochs: float) -> None:
    sizes = [3, 40, 17, 8, 25, 1, 30, 12, 9, 22, 14, 19]
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    settings = LoraSettings(epochs=epochs, batch_size=8, gradient_accumulation=2, databases_per_step=4)
    order = grouped_order(groups, settings, seed=3)
    assert len(order) == round(epochs * len(groups))
    for start in range(0, len(order) - len(groups) + 1, len(groups)):
        assert sorted(order[start : start + len(groups)]) == list(range(len(groups)))
    steps = [order[at : at + 16] for at in range(0, len(order) - 15, 16)]
    assert all(len({groups[index] for index in step}) >= 4 for step in steps)
    # Few of them share, or packing would save nothing.
    assert sum(len({groups[index] for index in step}) for step in steps) / len(steps) < 7
    assert order == grouped_order(groups, settings, seed=3) != grouped_order(groups, settings, seed=4)


def test_rows_without_a_group_are_learnt_too(base: LoadedModel, tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("input_ids", "labels")} for row in database_rows()]
    assert train(base, tmp_path, PACKED, rows=rows).examples == 24


def test_processes_share_a_step_without_loss_or_overlap() -> None:
    rows = database_rows(3, 3)
    for processes in (1, 2, 4, 12):
        parts = [SharedPrefixCollator(100, rank=rank, processes=processes)(rows) for rank in range(processes)]
        targets = sorted(t for part in parts for pack in part["packs"] for t in pack["targets"].tolist())
        assert targets == sorted(label for row in rows for label in row["labels"] if label != -100)
        assert {part["labels_in_step"] for part in parts} == {len(targets)}
        assert all(part["packs"] for part in parts)


SHARED_WORK = """
import json, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from contrapeso.models.loading import load_model
from contrapeso.settings import LoraSettings
from test_lora import train, training_rows
from test_shared_prefix import PACKED, database_rows
settings = PACKED.model_copy(update={change!r})
rows = database_rows()[:{count}]
result = train(load_model({base!r}, device="cpu"), Path({out!r}), settings, rows=rows)
Path({out!r}, f"history-{{sys.argv[1]}}.json").write_text(json.dumps(result.history))
"""


@pytest.mark.parametrize(("packing", "count"), [("shared_prefix", 13), ("none", 13)])
def test_two_processes_train_what_one_trains(
    base: LoadedModel, base_folder: Path, tmp_path: Path, packing: str, count: int
) -> None:
    change = {"packing": packing, "epochs": 1}
    alone = train(base, tmp_path / "one", PACKED.model_copy(update=change), rows=database_rows()[:count])
    out = tmp_path / "two"
    out.mkdir()
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    script = SHARED_WORK.format(paths=paths, change=change, count=count, base=str(base_folder), out=str(out))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(rank)],
            env={**os.environ, **common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    for rank in range(2):
        history = json.loads((out / f"history-{rank}.json").read_text())
        assert [e["loss"] for e in history] == pytest.approx([e["loss"] for e in alone.history], rel=2e-4)
        assert [e["grad_norm"] for e in history] == pytest.approx([e["grad_norm"] for e in alone.history], rel=2e-3)
    assert (out / "adapter" / "adapter_model.safetensors").is_file()


def test_a_pack_without_a_row_has_a_gradient_of_zero(model: Any) -> None:
    batch = SharedPrefixCollator(100, rank=0, processes=2)([{"input_ids": [1, 2], "labels": [-100, 2]}])
    assert Pack() == Pack() and batch["labels_in_step"] == 1
    loss = pack_loss(model, model.get_base_model(), batch["packs"][0])
    assert loss.item() == 0 and not gradients(model, loss).any()
