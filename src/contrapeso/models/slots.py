"""Keys and values in slots: memory of a fixed size at a fixed place, which a step of generation writes into.

Token ids enter, logits leave. Every row stands at the left of its slot and has a length of its own, so prompts that
were read apart, each group behind its own prefix, go on together, and a step of generation is the same computation
every time: nothing grows, nothing is copied, and no mask has to be made for reading a prompt, because what stands
behind a row is still to come. That is what a CUDA graph can replay (see `graphs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import repeat_kv

from contrapeso.models.batches import pad
from contrapeso.models.decoding import (
    GrowingLayer,
    accepts,
    attention_of,
    grouped_attention,
    logits_after,
    new_cache,
)

SLOTS = "contrapeso_slots"


@dataclass
class Cursor:
    """Where the next keys and values go: into `rows` from column `shared` on, or one for every row to `places`, numbers
    of rows and columns."""

    rows: slice = field(default_factory=lambda: slice(0))
    shared: int = 0
    places: tuple[torch.Tensor, torch.Tensor] | None = None


class SlotLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Keys and values of one layer; shapes [rows, heads, capacity, size], memory allocated at the first use.

    Args:
        tokens: most tokens of all rows together, the empty rest of their slots included.
        cursor: where what is appended goes; shared by all layers.
    """

    def __init__(self, tokens: int, cursor: Cursor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.keys: torch.Tensor
        self.values: torch.Tensor
        self._tokens, self._cursor = tokens, cursor
        self._storage: list[torch.Tensor] = []
        self._shape = (0, 0)

    def reshape(self, rows: int, capacity: int) -> None:
        """Divide the memory anew; what was in it is lost."""
        self._shape = (rows, capacity)
        if self._storage:
            self.keys, self.values = (self._divided(flat) for flat in self._storage)

    def select(self, kept: torch.Tensor) -> None:
        """Keep these rows, in this order, at the beginning of the memory."""
        held = self.keys[kept], self.values[kept]
        self.reshape(len(kept), self._shape[1])
        for slots, states in zip((self.keys, self.values), held, strict=True):
            slots.copy_(states)

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write where the cursor says; shapes [rows, heads, new, size] (one row stands for all). Returns what is there.

        With `Cursor.places` these are the whole slots, otherwise the rows written to, up to the newest token.
        """
        if not self._storage:
            self._storage = [_flat(states, self._tokens) for states in (key_states, value_states)]
            self.reshape(*self._shape)
        cursor, written = self._cursor, (key_states, value_states)
        if cursor.places is not None:
            rows, columns = cursor.places
            for slots, states in zip((self.keys, self.values), written, strict=True):
                slots[rows, :, columns] = states[:, :, 0]
            return self.keys, self.values
        end = cursor.shared + key_states.shape[-2]
        for slots, states in zip((self.keys, self.values), written, strict=True):
            slots[cursor.rows, :, cursor.shared : end] = states
        return self.keys[cursor.rows, :, :end], self.values[cursor.rows, :, :end]

    def get_seq_length(self) -> int:
        """Tokens in front of those to come; with lengths of their own rows have no common one."""
        return self._cursor.shared

    def _divided(self, flat: torch.Tensor) -> torch.Tensor:
        heads, _, size = flat.shape
        rows, capacity = self._shape
        return flat.view(-1)[: rows * heads * capacity * size].view(rows, heads, capacity, size)


class Slots:
    """The slots of all layers, and the two computations on them: reading prompts, and one step of generation.

    Args:
        model: a causal language model for which `has_slots` holds.
        tokens: most tokens of all rows together.
        pad_token: fills shorter prompts on the right.
    """

    def __init__(self, model: Any, *, tokens: int, pad_token: int) -> None:
        self.tokens = tokens
        self.rows = self.capacity = 0
        self._model, self._pad_token, self._cursor = model, pad_token, Cursor()
        layers = model.config.get_text_config(decoder=True).num_hidden_layers
        self._layers = [SlotLayer(tokens, self._cursor) for _ in range(layers)]
        self._cache = Cache(layers=list(self._layers))
        # As many as there could be rows and columns, so that they never move.
        self._newest, self._lengths = (torch.zeros(tokens, dtype=torch.long, device=model.device) for _ in range(2))
        self._numbers = torch.arange(tokens, device=model.device)

    @property
    def newest(self) -> torch.Tensor:
        """The last token of every row, not yet among its keys; shape [rows]. `step` replaces it."""
        return self._newest[: self.rows]

    def reshape(self, rows: int, capacity: int) -> None:
        """Make empty slots: `rows` of them for `capacity` tokens each."""
        self.rows, self.capacity = rows, capacity
        self._newest.zero_()
        self._lengths.zero_()
        for layer in self._layers:
            layer.reshape(rows, capacity)

    def select(self, kept: Sequence[int]) -> None:
        """Keep these rows, in this order."""
        places = torch.tensor(kept, device=self._newest.device)
        for layer in self._layers:
            layer.select(places)
        for held in (self._newest, self._lengths):
            held[: len(kept)] = held[places]
        self.rows = len(kept)

    @torch.no_grad()
    def read(self, start: int, prompts: Sequence[Sequence[int]], *, prefix: Any = None) -> torch.Tensor:
        """Fill slots with prompts.

        Args:
            start: the first of their slots.
            prompts: token ids of each row, without those in `prefix`.
            prefix: a cache with one row that all prompts continue; it is left as it is.

        Returns:
            Logits of the token after each prompt in float32, shape [prompts, vocabulary].
        """
        rows = slice(start, start + len(prompts))
        cursor = self._cursor
        cursor.rows, cursor.shared, cursor.places = rows, 0, None
        if prefix is not None:
            for layer, held in zip(self._layers, prefix.layers, strict=True):
                layer.update(held.keys, held.values)
            cursor.shared = prefix.get_seq_length()
        ids, mask = pad(prompts, pad_token=self._pad_token, side="right")
        own = mask.sum(dim=1)
        positions = torch.arange(cursor.shared, cursor.shared + ids.shape[1]).expand_as(ids)
        device = self._model.device
        logits = logits_after(self._model, ids.to(device), None, positions.to(device), last=own - 1, cache=self._cache)
        self._lengths[rows] = (own + cursor.shared).to(device)
        self._newest[rows] = logits.argmax(dim=-1)
        return logits

    @torch.no_grad()
    def step(self) -> None:
        """Append the newest token of every row and find the likeliest one after it; in place, with nothing in Python
        that differs from step to step."""
        lengths, newest = self._lengths[: self.rows], self.newest
        self._cursor.places = self._numbers[: self.rows], lengths
        # As numbers to add, of the keys' own kind: a mask of truth values would be turned into them by every layer.
        seen = self._numbers[: self.capacity] <= lengths[:, None]
        mask = torch.zeros_like(seen, dtype=self._layers[0].keys.dtype).masked_fill_(~seen, -torch.inf)
        logits = self._model(
            input_ids=newest[:, None],
            attention_mask=mask[:, None, None],
            position_ids=lengths[:, None],
            past_key_values=self._cache,
            use_cache=True,
        ).logits
        newest.copy_(logits[:, -1].argmax(dim=-1))
        lengths.add_(1)


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of new tokens to all before them, and with a mask `grouped_attention`.

    Args:
        module: the attention layer.
        query: shape [rows, query heads, new tokens, size]; the new tokens are the last of the keys'.
        key, value: shape [rows, heads, tokens, size].
        attention_mask: shape [rows, 1, 1, tokens], or None.
        options: what else transformers gives an attention function.

    Returns:
        Shape [rows, new tokens, query heads, size].
    """
    if attention_mask is not None:
        return grouped_attention(module, query, key, value, attention_mask, **options)
    group = query.shape[1] // key.shape[1]
    parameters = torch.backends.cuda.SDPAParams(query, key, value, None, 0.0, False, group > 1)
    grouped = group > 1 and torch.backends.cuda.can_use_flash_attention(parameters)
    if not grouped:  # the other kernels want a copy of the keys for every query head
        key, value = repeat_kv(key, group), repeat_kv(value, group)
    attended = torch.nn.functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=causal_lower_right(query.shape[2], key.shape[2]),
        scale=options.get("scaling"),
        enable_gqa=grouped,
    )
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(SLOTS, slot_attention)


@torch.no_grad()
def score_in_slots(model: Any, prompts: Sequence[Sequence[int]], *, pad_token: int, prefix: Any = None) -> torch.Tensor:
    """Log-probabilities of the token after each prompt; see `decoding.score`, whose numbers these are."""
    shared = 0 if prefix is None else prefix.get_seq_length()
    rows, longest = len(prompts), shared + max(map(len, prompts))
    slots = Slots(model, tokens=rows * longest, pad_token=pad_token)
    slots.reshape(rows, longest)
    with attention_of(model, SLOTS):
        return slots.read(0, prompts, prefix=prefix).log_softmax(dim=-1)


def budget_tokens(model: Any) -> int:
    """How many tokens' keys and values a batch may hold.

    Returns:
        32,768; on a GPU as many as a quarter of its memory (of what this process may use of it) has room for, whatever
        else is in it at the moment: the same model on the same card always divides prompts alike.
    """
    if model.device.type != "cuda":
        return 32_768
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    each = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    whole = torch.cuda.get_device_properties(model.device).total_memory
    return int(whole * torch.cuda.get_per_process_memory_fraction(model.device) / 4 / each)


def has_slots(model: Any) -> bool:
    """Whether the model's keys and values can stand in slots: it attends to all of them, through transformers'
    `sdpa` attention, and takes positions."""
    cache = new_cache(model)
    return (
        cache is not None
        and all(type(layer) is GrowingLayer for layer in cache.layers)
        and model.config._attn_implementation == "sdpa"
        and model._can_set_attn_implementation()
        and accepts(model, "position_ids")
    )


def _flat(states: torch.Tensor, tokens: int) -> torch.Tensor:
    _, heads, _, size = states.shape
    # Zeros: an empty place is masked, but nothing times a number that is none is one.
    return states.new_zeros(heads, tokens, size)
