"""How prompts are divided into batches, the padded tensors of one batch, and what happens when one does not fit.

Token ids enter; batches leave. The division depends on the prompts (and the engine's limits) alone, never on what has
been answered already, so a resumed evaluation computes the very same batches and ends in the same bits. Only where
memory runs out is a batch computed in parts, which changes the order of floating-point sums and nothing else.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from contrapeso.errors import ResourceError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

READ_TOKENS = 4096  # enough to keep a large GPU busy; more only puts prompts of unlike length together
SHORTEST_SHARED = 16  # tokens; below this a cache of the prefix costs more than it saves


@dataclass(frozen=True)
class Batch:
    """Prompts answered together.

    Attributes:
        rows: their places in the list of prompts.
        longest: tokens of the longest of them, those to be generated included.
        shared: how many leading tokens all of them have in common and take from one cache; 0 means none.
    """

    rows: tuple[int, ...]
    longest: int
    shared: int = 0


def plan_batches(
    tokens: Sequence[Sequence[int]],
    keys: Sequence[Hashable],
    *,
    room: int,
    smallest_group: int,
    batch_size: int,
    token_budget: int,
) -> list[Batch]:
    """Divide prompts into batches: those that share a prefix together, the rest by length, longest first.

    Longest first puts prompts of similar length together, which saves padding, and meets an out-of-memory at once
    rather than after an hour. Equal lengths keep their order.

    Args:
        tokens: token ids of each whole prompt.
        keys: prompts with equal keys share a prefix; None never shares. How much they share is read off the tokens,
            because a tokenizer may merge across the end of the shared text.
        room: tokens to be generated for each prompt; they count against the budget.
        smallest_group: fewer prompts than this do not get batches of their own for their prefix.
        batch_size: most prompts in a batch.
        token_budget: most tokens in a batch, padding included, shared ones counted for every row (their cache is
            expanded); a longer prompt makes a batch of its own.
    """
    groups: dict[Hashable, list[int]] = {}
    alone: list[int] = []
    for row, key in enumerate(keys):
        (alone if key is None else groups.setdefault(key, [])).append(row)
    together: list[tuple[list[int], int]] = []
    for rows in groups.values():
        shared = common_prefix([tokens[row] for row in rows]) if len(rows) >= max(2, smallest_group) else 0
        if shared >= SHORTEST_SHARED:
            together.append((rows, shared))
        else:
            alone.extend(rows)
    together.append((sorted(alone), 0))
    lengths = [len(ids) + room for ids in tokens]
    together.sort(key=lambda group: -max((lengths[row] for row in group[0]), default=0))
    batches = []
    for rows, shared in together:
        order = sorted(rows, key=lambda row: -lengths[row])
        chunks = _chunks(order, lengths, batch_size, token_budget)
        batches += [Batch(chunk, lengths[chunk[0]], shared) for chunk in chunks]
    return batches


def cut(batches: Sequence[Batch], tokens: Sequence[Sequence[int]], *, most: int = READ_TOKENS) -> list[Batch]:
    """Split batches of which too many tokens would be computed at once, for a GPU that is busy with fewer.

    Padding is what it saves: all of MMLU behind its shots has 28 % in batches of 128, and 10 % so.

    Args:
        batches: rows longest first.
        tokens: token ids of each whole prompt.
        most: tokens computed at once, padding included and shared ones left out; a longer prompt stays alone.
    """
    parts = []
    for batch in batches:
        room = batch.longest - len(tokens[batch.rows[0]])
        start = 0
        while start < len(batch.rows):
            longest = len(tokens[batch.rows[start]])
            rows = batch.rows[start : start + max(1, most // (longest - batch.shared))]
            parts.append(Batch(rows, longest + room, batch.shared))
            start += len(rows)
    return parts


def gather(batches: Sequence[Batch], *, batch_size: int, token_budget: int) -> list[tuple[Batch, ...]]:
    """Put batches that follow one another together, for a computation in which rows may share different prefixes.

    Args:
        batches: longest first.
        batch_size: most prompts together; a batch with more stays alone.
        token_budget: most tokens together, rows and lengths rounded up by `bucket`; likewise.
    """
    together: list[tuple[Batch, ...]] = []
    for batch in batches:
        joined = (*together[-1], batch) if together else (batch,)
        rows, longest = sum(len(each.rows) for each in joined), max(each.longest for each in joined)
        if len(joined) > 1 and rows <= batch_size and bucket(rows) * bucket(longest) <= token_budget:
            together[-1] = joined
        else:
            together.append((batch,))
    return together


def bucket(number: int) -> int:
    """The smallest of 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, ... that is not smaller than the number.

    Sizes rounded like this are few, four for every doubling, and at most a quarter too large.
    """
    step = 1 << max(0, (number - 1).bit_length() - 3)
    return -(-number // step) * step


class Backoff:
    """Computes batches in parts once memory has run out, and remembers how much fits.

    Args:
        say: told once, in a sentence, when it happens first.
        alone: whether this process may go on by itself. Where the weights are divided, another would wait for ever for
            its part in the forward pass that broke off; it is an error then.
    """

    def __init__(self, say: Callable[[str], None], *, alone: bool = True) -> None:
        self._say, self._alone = say, alone
        self._tokens: int | None = None  # most at a time, padding included; None as long as everything has fitted

    def in_parts(self, rows: Sequence[int], longest: int, compute: Callable[[Sequence[int]], Sequence[T]]) -> list[T]:
        """The replies to all rows, in their order: at once if they fit, otherwise halved until they do.

        Args:
            rows: what is computed together.
            longest: tokens of the longest row, those to be generated included.
            compute: gives one reply for each of the rows it gets.

        Raises:
            ResourceError: one row alone does not fit, or this process may not go on by itself.
        """
        replies: list[T] = []
        while len(replies) < len(rows):
            fitting = len(rows) if self._tokens is None else max(1, self._tokens // longest)
            part = rows[len(replies) :][:fitting]
            try:
                replies += compute(part)
                continue
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if not self._alone:
                    raise ResourceError(
                        f"out of memory with {len(part)} prompts of up to {longest} tokens at a time, on a base "
                        "divided among processes: lower evaluate.generate_batch or evaluate.score_batch; finished "
                        "batches are kept"
                    ) from error
                if len(part) == 1:
                    raise ResourceError(
                        f"out of memory with a single prompt of {longest} tokens (its answer included): take a smaller "
                        'model or model.quantization = "nf4", or shorten the prompts (target.schema_style = "compact", '
                        "fewer shots); finished batches are kept"
                    ) from error
            # Not in the `except` clause: until its end the traceback holds the tensors of the failed attempt.
            self._halve(len(part), longest)
        return replies

    def _halve(self, rows: int, longest: int) -> None:
        import torch

        if self._tokens is None:
            self._say(
                f"out of memory with {rows} prompts of up to {longest} tokens at a time: going on with fewer; "
                "lower evaluate.generate_batch or evaluate.score_batch to save the failed attempts"
            )
        self._tokens = rows // 2 * longest
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; not all of them have a type of their own."""
    import torch

    # The words of PyTorch's CPU allocator, of cuBLAS and of the CUDA runtime.
    words = ("DefaultCPUAllocator: ", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in words)


def common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many leading tokens all sequences share, leaving each at least one token of its own."""
    # The first and last in sorted order differ at least as early as any other two.
    first, last = min(map(list, sequences)), max(map(list, sequences))
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return min(same, min(len(sequence) for sequence in sequences) - 1)


def pad(sequences: Sequence[Sequence[int]], *, pad_token: int, side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask of a batch, both of shape [rows, longest], dtype int64.

    Args:
        sequences: token ids of each row.
        pad_token: fills the rest; the mask is 0 there.
        side: `left` or `right`, where the padding goes.
    """
    import torch

    longest = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), longest), pad_token, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        where = slice(longest - len(sequence), longest) if side == "left" else slice(0, len(sequence))
        ids[row, where] = torch.tensor(sequence, dtype=torch.long)
        mask[row, where] = 1
    return ids, mask


def _chunks(order: Sequence[int], lengths: Sequence[int], batch_size: int, token_budget: int) -> list[tuple[int, ...]]:
    # `order` is longest first, so a chunk's first row fixes its padded length.
    chunks: list[tuple[int, ...]] = []
    start = 0
    while start < len(order):
        rows = max(1, min(batch_size, token_budget // lengths[order[start]]))
        chunks.append(tuple(order[start : start + rows]))
        start += rows
    return chunks
