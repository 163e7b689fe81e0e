"""The penalty that keeps a run near its base: the base's next-token distributions, held against the adapter's.

A pack of token rows enters; its loss and its divergence from the base leave. The base is the same model with its
adapter switched off, so no second copy is in memory; its logits cost one more forward pass, without gradients.

    loss = nll / labels  +  kl_to_base * sum_t KL(base_t || tuned_t) / positions
    KL(p || q) = sum_v p_v (log p_v - log q_v);   d KL / d logits of the tuned model = q - p

The sum runs over positions of the prompts (`kl_on = "prompt"`), where the gold answer says nothing about what the model
should do, or over all positions of replayed examples (`"replay"`). A token that several rows share counts once a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from contrapeso.models.fsdp import is_divided
from contrapeso.training.examples import IGNORED, Row
from contrapeso.training.shared_prefix import pack_logits, pack_loss

if TYPE_CHECKING:
    from torch import Tensor


def mark_kl(rows: Sequence[Row], where: Literal["prompt", "replay"]) -> list[dict[str, Any]]:
    """Say at which tokens of each row the next-token distribution is held against the base's.

    Args:
        rows: `input_ids`, `labels`, and `replay` (true) in replayed ones.
        where: `prompt`: tokens whose successor has no label; `replay`: every token of a replayed row that has one.

    Returns:
        The rows with a further list `kl`, 1 at those tokens and 0 elsewhere.
    """
    marked = []
    for row in rows:
        followed = [*row["labels"][1:], None]  # nothing follows the last token
        if where == "prompt":
            kl = [int(label == IGNORED) for label in followed]
        else:
            kl = [int(bool(row.get("replay")) and label is not None) for label in followed]
        marked.append({**row, "kl": kl})
    return marked


def divergence(tuned: Tensor, base: Tensor) -> Tensor:
    """KL(base || tuned) at every position, in nats.

    Args:
        tuned: logits, shape (positions, vocabulary); gradients flow into them.
        base: logits of the same shape.

    Returns:
        Shape (positions,).
    """
    from torch.nn.functional import kl_div, log_softmax

    tuned, base = (log_softmax(logits.float(), dim=-1) for logits in (tuned, base))
    return kl_div(tuned, base, reduction="none", log_target=True).sum(dim=-1)


def penalised_loss(model: Any, adapted: Any, pack: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Negative log-likelihood of a pack's labels and its divergence from the base, both summed over its rows.

    Args:
        model: what is called: `adapted`, or what wraps it for several processes.
        adapted: the PEFT model, whose adapter can be switched off.
        pack: tensors as `SharedPrefixCollator` makes them of rows with `kl`.
    """
    import torch
    from torch.nn.functional import cross_entropy

    inner = adapted.get_base_model()
    if not len(pack["kl_places"]) and not is_divided(inner):
        return pack_loss(model, inner, pack), pack["kl_rows"].sum()
    # With nothing to compare on a divided base the pass of the base is still made: the other processes, which may have
    # something, need this one's part of the weights.
    labels = len(pack["places"])
    logits = pack_logits(model, inner, pack, torch.cat([pack["places"], pack["kl_places"]])).float()
    nll = cross_entropy(logits[:labels], pack["targets"], reduction="sum")
    with torch.no_grad(), adapted.disable_adapter(), _answering(adapted):
        base = pack_logits(adapted, inner, pack, pack["kl_places"])
    return nll, (divergence(logits[labels:], base) * pack["kl_rows"]).sum()


@contextmanager
def _answering(model: Any) -> Iterator[None]:
    """The base as it answers: a model with dropout of its own must not be held against noise."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
