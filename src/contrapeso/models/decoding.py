"""The two computations on a causal language model: the next token's logits, and greedy generation.

Padded token ids enter, logits or token ids leave. Nothing here knows tokenizers, tasks or adapters.

A step of generation needs all keys and values and adds one of each. transformers' own cache and attention also copy
them at every step: the cache to append, the attention to give every query head a copy of its own. `GrowingLayer` and
`grouped_attention` do without: the pocket dev set, 64 prompts at a time, takes 8.8 s of processor time and not 14.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache as remembered
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import DynamicCache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from contrapeso.models.batches import pad

ROOM_TOKENS = 64  # how far a cache grows at once; the pocket study's longest answer
GROUPED = "contrapeso_grouped"


class GrowingLayer(DynamicLayer):
    """Keys and values of one layer, in buffers with room for tokens to come: appending a token copies that token."""

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append; shapes [rows, heads, new, size]. Returns all keys and values, as views of the buffers."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        needed = held + key_states.shape[-2]
        if self._buffers is None or needed > self._buffers[0].shape[-2]:
            self._buffers = (
                _with_room(self.keys, key_states, needed + ROOM_TOKENS),
                _with_room(self.values, value_states, needed + ROOM_TOKENS),
            )
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., held:needed, :] = states
        self.keys, self.values = (buffer[..., :needed, :] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows."""
        if self._buffers is None:
            super().batch_select_indices(indices)  # type: ignore[no-untyped-call]
            return
        held = self.get_seq_length()
        self._buffers = (self._buffers[0][indices], self._buffers[1][indices])
        self.keys, self.values = (buffer[..., :held, :] for buffer in self._buffers)

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat every row; the next `update` makes room anew."""
        super().batch_repeat_interleave(repeats)
        self._buffers = None


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' `sdpa` attention; for one new token a row, without a copy of the keys for every query head.

    Query heads that share keys and values stand as so many queries of one head, for which the mask is the same.

    Args:
        module: the attention layer.
        query: shape [rows, query heads, new tokens, size].
        key, value: shape [rows, heads, tokens, size].
        attention_mask: shape [rows, 1, new tokens, tokens], or None.
        options: what else transformers gives an attention function.

    Returns:
        Shape [rows, new tokens, query heads, size].
    """
    rows, heads, new, size = query.shape
    group = heads // key.shape[1]
    plain = not options.get("dropout") and options.get("position_bias") is None
    if not plain or attention_mask is None or attention_mask.shape[1] != 1 or new != 1 or group == 1:
        output: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return output
    attended = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(rows, heads // group, group, size),
        key,
        value,
        attn_mask=attention_mask.expand(-1, -1, group, -1),
        scale=options.get("scaling"),
    )
    return attended.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(GROUPED, grouped_attention)
AttentionMaskInterface.register(GROUPED, sdpa_mask)


def new_cache(model: Any) -> Any:
    """An empty key-value cache for the model; None when it keeps another kind of state, which is then recomputed."""
    if model.config.is_encoder_decoder or not model._supports_default_dynamic_cache():
        return None
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    # State-space layers cannot be cut, copied and expanded row by row as keys and values can.
    keeps_keys_and_values = all(isinstance(layer, DynamicLayer) for layer in cache.layers)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]  # type: ignore[no-untyped-call]
    return cache if keeps_keys_and_values and accepts(model, "past_key_values") else None


def next_token_logits(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, *, last: torch.Tensor, cache: Any = None
) -> torch.Tensor:
    """Logits of the token after position `last` of each row.

    Args:
        model: a causal language model.
        ids: the tokens not yet in the cache, shape [rows, new].
        mask: 1 for tokens, 0 for padding, cached ones included, shape [rows, cached + new].
        last: index into `new` of each row's last token, shape [rows].
        cache: keys and values of the earlier tokens; the new ones are added to it.

    Returns:
        Logits in float32, shape [rows, vocabulary].
    """
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    return logits_after(model, ids, mask, positions, last=last, cache=cache)


def logits_after(
    model: Any,
    ids: torch.Tensor,
    mask: torch.Tensor | None,
    positions: torch.Tensor,
    *,
    last: torch.Tensor,
    cache: Any = None,
) -> torch.Tensor:
    """`next_token_logits` for positions and a mask of the caller's own.

    Args:
        model, ids, cache: as there.
        mask: as there, or whatever else the model's attention takes.
        positions: of the new tokens, shape [rows, new].
        last: as there, on any device; where it is not the model's, nothing waits for the model.
    """
    # Only the positions asked for go through the output layer: over all of them it is a fifth of a small model's time.
    kept, place = (index.to(ids.device) for index in torch.unique(last, return_inverse=True))
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": cache is not None}
    if cache is not None:
        inputs["past_key_values"] = cache
    if accepts(model, "position_ids"):
        inputs["position_ids"] = positions
    narrow = accepts(model, "logits_to_keep")
    if narrow:
        inputs["logits_to_keep"] = kept
    logits: torch.Tensor = model(**inputs).logits
    if not narrow:
        logits = logits[:, kept]
    return logits[torch.arange(len(ids), device=ids.device), place].float()


@torch.no_grad()
def score(model: Any, prompts: Sequence[Sequence[int]], *, pad_token: int, prefix: Any = None) -> torch.Tensor:
    """Log-probabilities of the token after each prompt, over the whole vocabulary.

    Args:
        model: a causal language model.
        prompts: token ids of each row, without those in `prefix`.
        pad_token: fills shorter rows on the right, where no real token can see it.
        prefix: a cache with one row that all prompts continue; it is left as it is.

    Returns:
        log softmax in float32, shape [rows, vocabulary].
    """
    ids, mask = (tensor.to(model.device) for tensor in pad(prompts, pad_token=pad_token, side="right"))
    last = mask.sum(dim=1) - 1
    cache = None
    if prefix is not None:
        cache, mask = continued(prefix, mask)
    return next_token_logits(model, ids, mask, last=last, cache=cache).log_softmax(dim=-1)


@torch.no_grad()
def prefix_cache(model: Any, prefix: Sequence[int]) -> Any:
    """The key-value cache of one sequence of tokens, one row."""
    cache = new_cache(model)
    ids = torch.tensor([list(prefix)], device=model.device)
    last = torch.tensor([ids.shape[1] - 1], device=model.device)
    next_token_logits(model, ids, torch.ones_like(ids), last=last, cache=cache)
    return cache


@torch.no_grad()
def generate_greedy(
    model: Any,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    finished: Callable[[list[int]], bool],
    pad_token: int,
    prefix: Any = None,
) -> list[list[int]]:
    """Greedy generation, token for token what `model.generate(do_sample=False)` gives.

    A row leaves the batch when it is finished, so a batch does not pay for its longest answer in every row. That and
    the smaller overhead of a step are why this is not `model.generate`.

    Args:
        model: a causal language model.
        prompts: token ids of each row, without those in `prefix`; padded on the left here.
        max_new_tokens: most tokens to generate for a row.
        finished: told a row's generated tokens after every one of them, says whether the row ends there.
        pad_token: fills shorter rows.
        prefix: a cache with one row that all prompts continue; it is left as it is. Not for sliding windows: they
            count the padding that then stands between the prefix and a shorter prompt (see `has_sliding_window`).

    Returns:
        The generated token ids of each row, the finishing one included.
    """
    ids, mask = (tensor.to(model.device) for tensor in pad(prompts, pad_token=pad_token, side="left"))
    if prefix is None:
        cache = new_cache(model)
    else:
        cache, mask = continued(prefix, mask)
    generated: list[list[int]] = [[] for _ in prompts]
    active = list(range(len(prompts)))
    with attention_of(model, GROUPED):
        for _ in range(max_new_tokens):
            last = torch.full((len(active),), ids.shape[1] - 1, device=ids.device)
            chosen = next_token_logits(model, ids, mask, last=last, cache=cache).argmax(dim=-1, keepdim=True)
            for row, token in zip(active, chosen[:, 0].tolist(), strict=True):
                generated[row].append(token)
            going = [place for place, row in enumerate(active) if not finished(generated[row])]
            if not going:
                break
            ids = chosen if cache is not None else torch.cat([ids, chosen], dim=1)
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            if len(going) < len(active):
                keep = torch.tensor(going, device=ids.device)
                ids, mask, active = ids[keep], mask[keep], [active[place] for place in going]
                if cache is not None:
                    cache.batch_select_indices(keep)
    return generated


def has_sliding_window(cache: Any) -> bool:
    """Whether any layer of the cache forgets tokens beyond a window."""
    return any(layer.is_sliding for layer in cache.layers)


def continued(prefix: Any, mask: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """A copy of a one-row cache for every row of the mask, and the mask with the cached tokens in front."""
    cache = copy.deepcopy(prefix)
    cache.batch_repeat_interleave(len(mask))
    return cache, torch.cat([mask.new_ones(len(mask), prefix.get_seq_length()), mask], dim=1)


@contextmanager
def attention_of(model: Any, name: str) -> Iterator[None]:
    """Within the block a model with transformers' `sdpa` attention has the one registered under `name`."""
    before = model.config._attn_implementation
    if before != "sdpa" or not model._can_set_attn_implementation():
        yield
        return
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _with_room(held: torch.Tensor | None, new: torch.Tensor, room: int) -> torch.Tensor:
    """A buffer for `room` tokens of the kind of `new` that begins with what is held."""
    buffer = new.new_empty(*new.shape[:2], room, new.shape[-1])
    if held is not None and held.numel():
        buffer[..., : held.shape[-2], :] = held
    return buffer


def accepts(model: Any, name: str) -> bool:
    """Whether the model's own `forward` has a parameter of this name."""
    return name in _parameters(type(model).forward)


@remembered
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    # Reading a signature takes 50 us, and every step of generation asks three times.
    return frozenset(inspect.signature(function).parameters)
