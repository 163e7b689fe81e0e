"""The batches of an optimizer step, dealt out to the processes that share it.

Token rows of a whole step enter; the batches of one process leave. However many processes there are, a step is the
same examples: they are dealt out one by one, so that each process gets its share of the long ones, and where there are
more processes than examples, some compute a token without a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contrapeso.training.examples import IGNORED, Row

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class BatchCollator:
    """Makes the batches of one optimizer step from its rows, on every process those of its own share.

    Attributes:
        batch_size: most rows in a batch.
        rank: number of this process.
        processes: how many share the work.
    """

    batch_size: int
    rank: int = 0
    processes: int = 1

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Make this process's share of a step.

        Args:
            rows: all rows of the optimizer step, as they come from a data loader.

        Returns:
            `packs`: tensors of each batch, `input_ids`, `attention_mask` and `labels` of shape (rows, longest).
            `nothing`: a batch without a label, for a process that only has to keep step with the others.
            `labels_in_step`: how many labels the step has in all processes, the number its loss is the mean over.
        """
        own = rows[self.rank :: self.processes]
        batches = [own[at : at + self.batch_size] for at in range(0, len(own), self.batch_size)]
        labels = sum(label != IGNORED for row in rows for label in row["labels"][1:])
        nothing = _tensors([{"input_ids": [0], "labels": [IGNORED]}])
        tensors = [_tensors(batch) for batch in batches] or [nothing]
        return {"packs": tensors, "nothing": nothing, "labels_in_step": labels}


def _tensors(rows: Sequence[Row]) -> dict[str, Tensor]:
    from torch import ones, tensor
    from torch.nn.utils.rnn import pad_sequence

    def padded(values: list[Tensor], filling: int) -> Tensor:
        return pad_sequence(values, batch_first=True, padding_value=filling)

    ids = [tensor(row["input_ids"]) for row in rows]
    return {
        "input_ids": padded(ids, 0),
        "attention_mask": padded([ones(len(row), dtype=row.dtype) for row in ids], 0),
        "labels": padded([tensor(row["labels"]) for row in rows], IGNORED),
    }
