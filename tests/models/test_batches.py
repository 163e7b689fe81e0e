"""Dividing prompts into batches."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from contrapeso.errors import ResourceError
from contrapeso.models.batches import (
    Backoff,
    Batch,
    bucket,
    common_prefix,
    cut,
    gather,
    is_out_of_memory,
    pad,
    plan_batches,
)


@given(st.lists(st.integers(1, 60), min_size=1), st.integers(1, 9), st.integers(1, 300))
def test_batches_cover_every_prompt_once_within_the_limits(
    lengths: list[int], batch_size: int, token_budget: int
) -> None:
    tokens = [[1] * length for length in lengths]
    batches = plan_batches(
        tokens, [None] * len(tokens), room=0, smallest_group=2, batch_size=batch_size, token_budget=token_budget
    )
    rows = [row for batch in batches for row in batch.rows]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    for batch in batches:
        longest = max(lengths[row] for row in batch.rows)
        assert len(batch.rows) <= batch_size
        assert batch.longest == longest
        assert len(batch.rows) == 1 or longest * len(batch.rows) <= token_budget


def test_equal_lengths_keep_their_order_and_tokens_to_be_generated_count() -> None:
    tokens = [[1] * length for length in (5, 9, 5, 9, 5)]
    batches = plan_batches(tokens, [None] * 5, room=11, smallest_group=2, batch_size=9, token_budget=40)
    assert [batch.rows for batch in batches] == [(1, 3), (0, 2), (4,)]


def test_groups_too_small_for_a_cache_of_their_own_join_the_rest() -> None:
    tokens = [[group] * 20 + [row] for row, group in enumerate([1, 1, 1, 2, 2, 3])]
    keys = [1, 1, 1, 2, 2, 3]
    plan = plan_batches(tokens, keys, room=0, smallest_group=3, batch_size=9, token_budget=999)
    assert [(batch.rows, batch.shared) for batch in plan] == [((0, 1, 2), 20), ((3, 4, 5), 0)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 30)), min_size=1, max_size=40), st.integers(1, 5))
def test_batches_cover_every_prompt_once_and_share_only_what_is_equal(
    shapes: list[tuple[int, int]], batch_size: int
) -> None:
    tokens = [[group] * 20 + list(range(100, 100 + own)) for group, own in shapes]
    keys = [group or None for group, _ in shapes]
    batches = plan_batches(tokens, keys, room=0, smallest_group=2, batch_size=batch_size, token_budget=1000)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(tokens)))
    for batch in batches:
        assert len({tuple(tokens[row][: batch.shared]) for row in batch.rows}) == 1
        assert all(len(tokens[row]) > batch.shared for row in batch.rows)
        if batch.shared == 0:
            continue
        group = keys[batch.rows[0]]
        assert batch.shared >= 20 and all(keys[row] == group is not None for row in batch.rows)


def test_batches_are_cut_to_what_keeps_a_gpu_busy_and_shared_tokens_are_not_computed() -> None:
    tokens = [[1] * 100 + [row] * (900 - 40 * row) for row in range(20)]
    limits = {"room": 50, "smallest_group": 2, "batch_size": 99, "token_budget": 10**6}
    whole = plan_batches(tokens, [1] * 20, **limits)
    assert [batch.rows for batch in whole] == [tuple(range(20))]
    parts = cut(whole, tokens, most=2000)
    assert [row for part in parts for row in part.rows] == list(range(20))
    assert [part.rows for part in parts][:2] == [(0, 1), (2, 3)], "900 and 860, then 820 and 780, are below 2,000"
    for part, after in pairwise(parts):
        own = len(tokens[part.rows[0]]) - 100
        assert part.shared == 100 and part.longest == own + 150
        assert own * len(part.rows) <= 2000 < own * (len(part.rows) + 1), "no part is smaller than it must be"
        assert part.longest > after.longest
    assert cut(whole, tokens, most=10) == [Batch((row,), len(tokens[row]) + 50, 100) for row in range(20)]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 50)), min_size=1, max_size=30),
    st.integers(1, 20),
    st.integers(1, 400),
)
def test_gathered_batches_keep_their_order_and_stay_within_the_limits(
    shapes: list[tuple[int, int]], batch_size: int, token_budget: int
) -> None:
    batches = [Batch(tuple(range(rows)), longest) for rows, longest in shapes]
    together = gather(batches, batch_size=batch_size, token_budget=token_budget)
    assert [batch for joined in together for batch in joined] == batches

    def fits(joined: tuple[Batch, ...]) -> bool:
        rows = sum(len(batch.rows) for batch in joined)
        longest = max(batch.longest for batch in joined)
        return rows <= batch_size and bucket(rows) * bucket(longest) <= token_budget

    assert all(fits(joined) or len(joined) == 1 for joined in together)
    for joined, after in pairwise(together):
        assert not fits((*joined, after[0])), "a batch that fits is not left behind"


def test_buckets_are_few_and_at_most_a_quarter_too_large() -> None:
    assert [bucket(number) for number in (1, 2, 5, 8, 9, 16, 17, 33, 64, 65, 250)] == [
        1, 2, 5, 8, 10, 16, 20, 40, 64, 80, 256
    ]  # fmt: skip
    assert all(number <= bucket(number) <= 1.25 * number for number in range(1, 3000))
    assert len({bucket(number) for number in range(1025, 2049)}) == 4


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [([[1, 2, 3], [1, 2, 4]], 2), ([[1, 2], [1, 2, 3]], 1), ([[1, 2], [1, 2]], 1), ([[2], [1]], 0)],
)
def test_the_common_prefix_leaves_every_prompt_a_token_of_its_own(sequences: list[list[int]], expected: int) -> None:
    assert common_prefix(sequences) == expected


def test_padding_goes_to_the_side_asked_for() -> None:
    ids, mask = pad([[1, 2, 3], [4]], pad_token=9, side="left")
    assert ids.tolist() == [[1, 2, 3], [9, 9, 4]] and mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    ids, mask = pad([[1, 2, 3], [4]], pad_token=9, side="right")
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]] and mask.tolist() == [[1, 1, 1], [1, 0, 0]]


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 50)), min_size=1), st.integers(50, 400))
def test_whatever_fits_row_by_row_is_computed_once_and_in_order(batches: list[tuple[int, int]], memory: int) -> None:
    said: list[str] = []
    backoff = Backoff(said.append)
    failures = 0
    for size, longest in batches:

        def compute(part: list[int], longest: int = longest) -> list[int]:
            nonlocal failures
            if len(part) * longest > memory:
                failures += 1
                raise MemoryError
            return [row * row for row in part]

        assert backoff.in_parts(range(size), longest, compute) == [row * row for row in range(size)]
    assert len(said) == (failures > 0)
    assert failures <= 10, "20 rows of 50 tokens are halved a few times, and what was learnt holds from then on"


def test_shorter_prompts_may_be_more_at_a_time_once_memory_has_run_out() -> None:
    backoff = Backoff(lambda line: None)
    sizes: list[int] = []

    def compute(part: list[int]) -> list[int]:
        sizes.append(len(part))
        if sizes == [8]:
            raise torch.OutOfMemoryError("no memory")
        return part

    assert backoff.in_parts(list(range(8)), 100, compute) == list(range(8))
    assert backoff.in_parts(list(range(12)), 50, compute) == list(range(12))
    assert sizes == [8, 4, 4, 8, 4]


def test_who_may_not_go_on_alone_is_told_what_to_lower() -> None:
    def compute(part: list[int]) -> list[int]:
        raise MemoryError

    said: list[str] = []
    with pytest.raises(ResourceError, match=r"8 prompts of up to 100 tokens .* lower evaluate\.generate_batch"):
        Backoff(said.append, alone=False).in_parts(list(range(8)), 100, compute)
    assert not said


def test_what_the_processors_allocator_says_is_known_as_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
