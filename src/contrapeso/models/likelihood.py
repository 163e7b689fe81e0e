"""How likely a model finds whole texts after a prompt: what full-text multiple choice and perplexity rest on.

Token ids enter, log-likelihoods leave. Nothing here knows tokenizers, tasks or adapters.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from contrapeso.models.batches import Batch, pad, plan_batches
from contrapeso.models.decoding import accepts, continued

MOST_TOKENS = 4096
"""In a batch: every token of a text needs logits over the whole vocabulary, 0.5 GiB for 4,096 tokens of 32,000."""


def beginning(prompt: Sequence[int], text: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Prompt and text; of a text without a prompt the first token is the prompt, since nothing foretells it."""
    return (prompt, text) if prompt else (text[:1], text[1:])


def plan_texts(
    prompts: Sequence[Sequence[int]],
    keys: Sequence[Hashable],
    *,
    texts: Sequence[Sequence[Sequence[int]]],
    batch_size: int,
    token_budget: int,
) -> list[Batch]:
    """Divide prompts into batches, each with all of its texts; see `plan_batches`.

    Args:
        prompts: token ids of each.
        keys: prompts with equal keys share a prefix; None never shares.
        texts: token ids of each prompt's texts; every one of them is a row of its own.
        batch_size: most rows in a batch.
        token_budget: most tokens in a batch.
    """
    longest = max((len(text) for of_prompt in texts for text in of_prompt), default=0)
    most = max(map(len, texts), default=1)
    return plan_batches(
        [prompt[:-1] for prompt in prompts],  # the last token foretells the text: it is not shared
        keys,
        room=longest + 1,
        smallest_group=2,
        batch_size=max(1, batch_size // most),
        token_budget=min(token_budget, MOST_TOKENS) // most,
    )


@torch.no_grad()
def log_likelihoods(
    model: Any,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    pad_token: int,
    prefix: Any = None,
) -> list[float]:
    """sum_t log p(text_t | prefix, prompt, text_<t), in nats, one number a row.

    Args:
        model: a causal language model.
        rows: prompt and text of each row as token ids, the prompt without what is in `prefix`; none of them empty.
        pad_token: fills shorter rows on the right, where no real token can see it.
        prefix: a cache with one row that all prompts continue; it is left as it is.
    """
    ids, mask = (
        tensor.to(model.device)
        for tensor in pad([[*prompt, *text] for prompt, text in rows], pad_token=pad_token, side="right")
    )
    new = ids.shape[1]
    inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": prefix is not None}
    if prefix is not None:
        inputs["past_key_values"], inputs["attention_mask"] = continued(prefix, mask)
    if accepts(model, "position_ids"):
        positions = (inputs["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
        inputs["position_ids"] = positions[:, -new:]
    first = min(len(prompt) for prompt, _ in rows) - 1  # the logits after a token foretell the next one
    columns = torch.arange(first, new - 1, device=ids.device)
    if accepts(model, "logits_to_keep"):
        inputs["logits_to_keep"] = columns
    logits = model(**inputs).logits
    if "logits_to_keep" not in inputs:
        logits = logits[:, columns]
    found = logits.float().log_softmax(dim=-1).gather(2, ids[:, first + 1 :, None])[..., 0]
    place = columns[None, :] + 1
    starts = torch.tensor([[len(prompt)] for prompt, _ in rows], device=ids.device)
    ends = torch.tensor([[len(prompt) + len(text)] for prompt, text in rows], device=ids.device)
    sums: list[float] = torch.where((place >= starts) & (place < ends), found, 0.0).sum(dim=1).tolist()
    return sums
