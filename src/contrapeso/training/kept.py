"""Adapters kept from the middle of a run: what the model was after some of its optimizer steps.

A training run and the steps wanted enter; an adapter folder in PEFT format leaves for each, whole or not at all, with
the key it is valid for. Unlike a checkpoint it holds no optimizer: nothing resumes from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from contrapeso.store import key_file, write_json
from contrapeso.training.adapter import save_adapter
from contrapeso.training.checkpoints import Kept, write_folder


class KeepAdapters(TrainerCallback):
    """Writes the adapter after the steps wanted.

    Args:
        wanted: in any order.
        stop: whether training ends after the last of them.
    """

    def __init__(self, wanted: Sequence[Kept], *, stop: bool) -> None:
        self._wanted = {kept.step: kept for kept in wanted}
        self._last = max(self._wanted, default=0) if stop else 0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Write it, before a checkpoint of the same step is: who resumes from that one would not pass here again."""
        kept = self._wanted.get(state.global_step)
        if kept is not None and state.is_world_process_zero:
            write_folder(kept.folder, lambda folder: _write(kwargs["model"], kept, folder))
        if self._last and state.global_step >= self._last:
            control.should_training_stop = True
        return control


def _write(model: Any, kept: Kept, folder: Path) -> None:
    save_adapter(model, folder)
    write_json(key_file(folder), dict(kept.key))
