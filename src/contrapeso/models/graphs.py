"""Greedy generation in slots, its steps replayed as CUDA graphs.

Prompts in parts that share a prefix enter; token ids leave. A step of a 7B model is some 800 small kernels, three
times as many with an adapter, and to launch them from Python takes longer than to run them. A graph is recorded once
for a number of rows and a capacity, and launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from contrapeso.models.batches import Batch, bucket, is_out_of_memory
from contrapeso.models.decoding import attention_of, prefix_cache
from contrapeso.models.slots import SLOTS, Slots

STRIDE = 4
"""Steps between two looks at what was generated: a look waits for the GPU, and a finished row goes on until then."""

Compute = Callable[[], None]
Record = Callable[[Compute], Compute]
Part = tuple[Sequence[int], Sequence[Sequence[int]]]
"""The token ids that some prompts share, and those of each of them after that."""


def parts_of(batches: Sequence[Batch], rows: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[Part]:
    """Some rows of batches as parts.

    Args:
        batches: what is answered together.
        rows: those of their rows that are asked for, in their order.
        tokens: token ids of each whole prompt.
    """
    asked = set(rows)
    parts: list[Part] = []
    for batch in batches:
        some = [tokens[row] for row in batch.rows if row in asked]
        if some:
            parts.append((some[0][: batch.shared], [whole[batch.shared :] for whole in some]))
    return parts


class Recorder:
    """Runs a computation, from the second time for a key on as a replay of what was recorded.

    Args:
        compute: works in place on tensors that stay where they are, and is the same from call to call for one key.
        record: gives a function that replays a computation, without running it; None where nothing can be recorded.
        say: told, once, when recording fails; all is then computed as it stands.
    """

    def __init__(self, compute: Compute, record: Record | None, say: Callable[[str], None]) -> None:
        self._compute, self._record, self._say = compute, record, say
        self._replays: dict[Hashable, Compute | None] = {}

    def run(self, key: Hashable) -> None:
        """Compute once more."""
        if key not in self._replays:
            # Not recorded yet: at its first run a library makes the memory that it then keeps for itself.
            self._replays[key] = None
            self._compute()
            return
        replay = self._replays[key]
        if replay is None:
            replay = self._replays[key] = self._recorded()
        replay()

    def _recorded(self) -> Compute:
        if self._record is None:
            return self._compute
        try:
            return self._record(self._compute)
        except RuntimeError as error:
            cause = error.__context__ or error  # ending a recording that broke off is an error of its own
            if is_out_of_memory(cause):
                raise torch.OutOfMemoryError(str(cause)) from error
            self._record = None
            reason = next(iter(str(cause).splitlines()), type(cause).__name__)
            self._say(f"generating without CUDA graphs, which is slower: this model cannot be recorded ({reason})")
            return self._compute


def cuda_recorder() -> Record | None:
    """Records computations as CUDA graphs that share one pool of memory; None without CUDA."""
    if not torch.cuda.is_available():
        return None
    pool = torch.cuda.graph_pool_handle()

    def record(compute: Compute) -> Compute:
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.current_stream()
        try:
            with torch.cuda.graph(graph, pool=pool):
                compute()
        finally:
            torch.cuda.set_stream(stream)  # a recording that breaks off leaves its own behind
        return graph.replay

    return record


class SlotGenerator:
    """Generates for one variant of a model; memory and graphs live as long as it does.

    Args:
        model: a causal language model for which `has_slots` holds, answering as the variant in every call.
        pad_token: fills shorter prompts.
        say: told, once, when steps cannot be recorded.
    """

    def __init__(self, model: Any, *, pad_token: int, say: Callable[[str], None]) -> None:
        self._model, self._pad_token, self._say = model, pad_token, say
        self._held: tuple[Slots, Recorder] | None = None
        self._prefix: tuple[list[int], Any] = ([], None)

    @torch.no_grad()
    def generate(
        self, parts: Sequence[Part], *, max_new_tokens: int, finished: Callable[[list[int]], bool]
    ) -> list[list[int]]:
        """Greedy generation; see `decoding.generate_greedy`, whose tokens these are.

        Parts are read one after the other and go on together. Once half of the rows have finished, the others move
        together, and the steps after that are of the smaller batch.

        Args:
            parts: prompts.
            max_new_tokens: most tokens to generate for a row.
            finished: told a row's generated tokens after every one of them, says whether the row ends there.

        Returns:
            The generated token ids of each row, the finishing one included.
        """
        try:
            with attention_of(self._model, SLOTS):
                return self._generate(parts, max_new_tokens, finished)
        except (MemoryError, RuntimeError):
            # What did not fit at once will come back in smaller parts, which must not find the memory taken.
            self._held, self._prefix = None, ([], None)
            raise

    def _generate(
        self, parts: Sequence[Part], max_new_tokens: int, finished: Callable[[list[int]], bool]
    ) -> list[list[int]]:
        count = sum(len(suffixes) for _, suffixes in parts)
        longest = max(len(shared) + max(map(len, suffixes)) for shared, suffixes in parts)
        slots, steps = self._with_slots(bucket(count), bucket(longest + max_new_tokens))
        start = 0
        for shared, suffixes in parts:
            slots.read(start, suffixes, prefix=self._prefix_of(list(shared)))
            start += len(suffixes)
        generated: list[list[int]] = [[] for _ in range(count)]
        places = dict(enumerate(range(count)))  # slot -> row that is not finished
        chosen, made = [slots.newest.clone()], 1
        while True:
            for slot, tokens in enumerate(torch.stack(chosen, dim=1).tolist()):
                for token in tokens if slot in places else ():
                    generated[places[slot]].append(token)
                    if finished(generated[places[slot]]):
                        del places[slot]
                        break
            if not places or made >= max_new_tokens:
                return generated
            if 2 * bucket(len(places)) <= slots.rows:
                places = self._move_together(slots, places)
            chosen = []
            for _ in range(min(STRIDE, max_new_tokens - made)):
                steps.run((slots.rows, slots.capacity))
                chosen.append(slots.newest.clone())
            made += len(chosen)

    def _move_together(self, slots: Slots, places: dict[int, int]) -> dict[int, int]:
        # Slots in excess of the rows still going repeat the first of them.
        kept = list(places)
        slots.select(kept + kept[:1] * (bucket(len(kept)) - len(kept)))
        return dict(enumerate(places.values()))

    def _with_slots(self, rows: int, capacity: int) -> tuple[Slots, Recorder]:
        """Empty slots, in the memory there is if it is enough, and what takes steps in them."""
        needed = rows * capacity
        if self._held is None or self._held[0].tokens < needed:
            self._held = None  # before the new ones, not after
            slots = Slots(self._model, tokens=needed, pad_token=self._pad_token)
            # Graphs write where they were recorded to.
            self._held = slots, Recorder(slots.step, cuda_recorder(), self._say)
        self._held[0].reshape(rows, capacity)
        return self._held

    def _prefix_of(self, tokens: list[int]) -> Any:
        if not tokens:
            return None
        if tokens != self._prefix[0]:  # batches that share a prefix follow one another, so it is computed once
            self._prefix = ([], None)
            self._prefix = (tokens, prefix_cache(self._model, tokens))
        return self._prefix[1]
