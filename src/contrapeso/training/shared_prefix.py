"""Packs in which examples about one database share one copy of its schema.

Token rows enter; packs leave, with the attention mask that makes a pack worth exactly the rows in it. Rows that begin
alike are laid out as a tree, depth first: what they have in common is there once, and every row goes on from it. A
token attends to the tokens of its own row and to nothing else, at the position it has in that row, so the loss and all
gradients are those of the rows taken one by one. Rows that share nothing stand beside each other and do not meet.

A Spider example has some 570 tokens of schema and 62 of question and SQL, so sixteen questions about one database are
1,560 tokens instead of 10,100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from contrapeso.errors import ModelError
from contrapeso.models.decoding import accepts
from contrapeso.training.examples import IGNORED, Row

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 128
"""Tokens that FlexAttention's kernels treat as one; on CUDA a pack is filled up to a multiple of it."""
LEAST_SHARED = BLOCK // 2
"""What is shared on CUDA at the least. One block of keys is one unit of work in the backward pass: were the instruction
before every schema (some 30 tokens) shared by all databases, that unit would see the whole pack, and all wait for it
(2.5 ms a layer on an H200, a sixth of a step)."""


@dataclass
class Pack:
    """Token rows laid out as a tree. Places are places in `input_ids`.

    Attributes:
        input_ids: tokens of the tree, depth first.
        positions: the place of each token in its rows, from 0: what rotary embeddings turn by.
        seen_until: the place behind the last token that has this one in its row. A tree laid out depth first keeps the
            tokens below one together, so `key <= query < seen_until[key]` is the whole attention mask.
        places: the tokens whose logits are needed, one for each label, and
        targets: the labels, i.e. the tokens that follow there.
        kl_rows: token whose distribution is held against the base's (`training.kl`) -> rows that it counts for.
        least_shared: a common beginning shorter than this is repeated, not shared.
    """

    input_ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    seen_until: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    kl_rows: dict[int, int] = field(default_factory=dict)
    least_shared: int = 1
    _path: list[int] = field(default_factory=list)

    def shared(self, row: Row) -> int:
        """How many tokens, from the first on, the row can take over from the row added last."""
        pairs = zip(self._path, row["input_ids"], strict=False)
        common = next(
            (depth for depth, (place, token) in enumerate(pairs) if self.input_ids[place] != token),
            min(len(self._path), len(row["input_ids"])),
        )
        return common if common >= self.least_shared else 0

    def add(self, row: Row) -> None:
        """Lay out one more row, after those that begin alike: rows must come in the order of their tokens."""
        tokens, shared = row["input_ids"], self.shared(row)
        first = len(self.input_ids)
        self.input_ids += tokens[shared:]
        self.positions += range(shared, len(tokens))
        self._path = self._path[:shared] + list(range(first, len(self.input_ids)))
        self.seen_until += [0] * (len(tokens) - shared)
        for place in self._path:
            self.seen_until[place] = len(self.input_ids)
        for depth, label in enumerate(row["labels"]):
            if depth and label != IGNORED:
                self.places.append(self._path[depth - 1])
                self.targets.append(label)
        for depth, wanted in enumerate(row.get("kl", ())):
            if wanted:
                self.kl_rows[self._path[depth]] = self.kl_rows.get(self._path[depth], 0) + 1


def pack_rows(rows: Sequence[Row], pack_tokens: int, *, least_shared: int = 1) -> list[Pack]:
    """Lay rows out in as few packs as filling one after the other takes.

    Args:
        rows: `input_ids` and `labels` of each example.
        pack_tokens: most tokens in a pack; a single row may have no more.
        least_shared: a common beginning shorter than this is repeated, not shared.

    Returns:
        Packs that hold every row once. Rows with a common beginning are neighbours; a beginning that reaches over the
        end of a pack is repeated in the next.
    """
    packs: list[Pack] = []
    for row in sorted(rows, key=lambda row: list(row["input_ids"])):
        room = pack_tokens - len(packs[-1].input_ids) + packs[-1].shared(row) if packs else 0
        if len(row["input_ids"]) > room:
            packs.append(Pack(least_shared=least_shared))
        packs[-1].add(row)
    return packs


def dense_mask(seen_until: Tensor) -> Tensor:
    """The attention mask as a matrix, for PyTorch's scaled dot-product attention.

    Args:
        seen_until: shape (tokens,), as in `Pack`.

    Returns:
        Booleans of shape (1, 1, tokens, tokens), [0, 0, query, key]; every query sees at least itself.
    """
    import torch

    place = torch.arange(len(seen_until), device=seen_until.device)
    return ((place[None, :] <= place[:, None]) & (place[:, None] < seen_until[None, :]))[None, None]


def block_mask(seen_until: Tensor) -> Any:
    """The same mask as a `BlockMask`, for FlexAttention: blocks in which nobody sees anybody cost nothing.

    Args:
        seen_until: shape (tokens,), as in `Pack`.
    """
    from torch.nn.attention.flex_attention import create_block_mask

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query < seen_until[key])

    size = len(seen_until)
    return create_block_mask(sees, None, None, size, size, device=seen_until.device)


def pack_loss(model: Any, inner: Any, pack: Mapping[str, Tensor]) -> Tensor:
    """Negative log-likelihood of all labels of a pack, summed, in nats: what its rows have one by one, summed.

    Args:
        model: what is called: the model, or what wraps it.
        inner: the transformers model itself, which knows its attention.
        pack: tensors as `SharedPrefixCollator` makes them, on the model's device.
    """
    from torch.nn.functional import cross_entropy

    logits = pack_logits(model, inner, pack, pack["places"])
    return cross_entropy(logits.float(), pack["targets"], reduction="sum")


def pack_logits(model: Any, inner: Any, pack: Mapping[str, Tensor], places: Tensor) -> Tensor:
    """Logits after some tokens of a pack, shape (places, vocabulary).

    Args:
        model: what is called: the model, or what wraps it.
        inner: the transformers model itself, which knows its attention.
        pack: tensors as `SharedPrefixCollator` makes them, on the model's device.
        places: of the tokens, in any order.
    """
    mask = block_mask if inner.config._attn_implementation == "flex_attention" else dense_mask
    inputs = {name: pack[name] for name in ("input_ids", "position_ids")}
    if accepts(inner, "logits_to_keep"):
        inputs["logits_to_keep"] = places
    logits: Tensor = model(**inputs, attention_mask=mask(pack["seen_until"]), use_cache=False).logits[0]
    return logits if "logits_to_keep" in inputs else logits[places]


@dataclass(frozen=True)
class SharedPrefixCollator:
    """Makes the packs of one optimizer step from its rows, on every process those of its own share.

    Attributes:
        pack_tokens: most tokens in a pack.
        multiple: packs are filled up to a multiple of so many tokens, which see themselves and have no label.
        least_shared: a common beginning shorter than this is repeated, not shared.
        rank: number of this process.
        processes: how many share the work.
    """

    pack_tokens: int
    multiple: int = 1
    least_shared: int = 1
    rank: int = 0
    processes: int = 1

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Pack this process's share of a step.

        Args:
            rows: all rows of the optimizer step, as they come from a data loader.

        Returns:
            `packs`: tensors of each pack, `input_ids` and `position_ids` of shape (1, tokens), `seen_until` (tokens,),
            `places` and `targets` (labels,). `labels_in_step`: how many labels the step has in all processes, the
            number its loss is the mean over. Of rows with `kl` also `kl_places` and `kl_rows` (tokens,) and, in every
            pack, `kl_in_step`, the number of tokens the divergence is the mean over.
            `nothing`: a pack without a label, for a process that only has to keep step with the others.
        """
        start, end = (len(rows) * process // self.processes for process in (self.rank, self.rank + 1))
        packs = pack_rows(rows[start:end], self.pack_tokens, least_shared=self.least_shared)
        labels = sum(label != IGNORED for row in rows for label in row["labels"][1:])
        compared = sum(sum(row.get("kl", ())) for row in rows)
        # A process left without a row computes a token without a label: the others wait for its gradient, zero.
        nothing = self._tensors(Pack(), compared)
        tensors = [self._tensors(pack, compared) for pack in packs] or [nothing]
        return {"packs": tensors, "nothing": nothing, "labels_in_step": labels}

    def _tensors(self, pack: Pack, compared: int = 0) -> dict[str, Tensor]:
        import torch

        size = len(pack.input_ids)
        filling = range(size, max(1, -(-size // self.multiple)) * self.multiple)
        tensors = {
            "input_ids": torch.tensor([pack.input_ids + [0] * len(filling)]),
            "position_ids": torch.tensor([pack.positions + [0] * len(filling)]),
            "seen_until": torch.tensor(pack.seen_until + [place + 1 for place in filling]),
            "places": torch.tensor(pack.places, dtype=torch.long),
            "targets": torch.tensor(pack.targets, dtype=torch.long),
        }
        if not compared:
            return tensors
        return tensors | {
            "kl_places": torch.tensor(list(pack.kl_rows), dtype=torch.long),
            "kl_rows": torch.tensor(list(pack.kl_rows.values()), dtype=torch.float32),
            "kl_in_step": torch.tensor(compared),
        }


def attention_for(model: Any, device: str) -> str:
    """Which attention of transformers a model computes packs with: FlexAttention on CUDA where it can, else SDPA.

    Args:
        model: a transformers causal language model.
        device: `cpu` or `cuda`.
    """
    flexible = getattr(model, "_supports_flex_attn", False) and not getattr(model.config, "attention_dropout", 0.0)
    return "flex_attention" if device == "cuda" and flexible else "sdpa"


def require_packable(model: Any, longest: int) -> None:
    """Refuse a model whose answer to a pack would not be its answer to the rows in it.

    Args:
        model: a transformers causal language model.
        longest: tokens of the longest example.

    Raises:
        ModelError: the model has no attention that takes a mask, is told no positions, or has a window shorter than
            the longest example.
    """
    text = model.config.get_text_config()
    windows = (getattr(text, name, None) for name in ("sliding_window", "attention_chunk_size"))
    narrow = min((window for window in windows if window), default=longest)
    obstacle = None
    if getattr(model, "_is_stateful", False) or not getattr(model, "_supports_sdpa", False):
        obstacle = "has layers that take no attention mask"
    elif not accepts(model, "position_ids"):
        obstacle = "takes no positions"
    elif narrow < longest:
        obstacle = f"attends to {narrow} tokens only, and the longest example has {longest}"
    if obstacle:
        raise ModelError(
            f'training.packing is "shared_prefix", but this model ({type(model).__name__}) {obstacle}: set '
            'training.packing = "none"'
        )
