"""Training one LoRA adapter on a loaded base model, resumable at any moment.

Token rows (`training.examples`) and a run's settings enter; an adapter folder in PEFT format and a `TrainingResult`
leave. The base model leaves as it came, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrapeso.errors import DataError, ModelError, ResourceError
from contrapeso.models.loading import LoadedModel
from contrapeso.settings import LoraSettings
from contrapeso.training.adapter import adapted, save_adapter
from contrapeso.training.arguments import collator, require_trackers, tracking, training_arguments
from contrapeso.training.checkpoints import Kept, newest_complete, write_folder
from contrapeso.training.examples import Row
from contrapeso.training.kl import mark_kl
from contrapeso.training.order import example_order, grouped_order
from contrapeso.training.shared_prefix import require_packable

if TYPE_CHECKING:
    from contrapeso.training.trainer import Progress


@dataclass(frozen=True)
class RunFolders:
    """Where one run writes.

    Attributes:
        adapter: the finished adapter; there whole or not at all.
        checkpoints: what an interrupted run resumes from.
        kept: adapters to be kept from the middle of the run.
        only_kept: the finished adapter is there already and stays; training ends with the last of `kept`.
    """

    adapter: Path
    checkpoints: Path
    kept: tuple[Kept, ...] = ()
    only_kept: bool = False

    @property
    def logs(self) -> Path:
        """Where trackers write: `logs/<run>`, beside the folder of all adapters."""
        return self.adapter.parent.parent / "logs" / self.adapter.name


@dataclass(frozen=True)
class TrainingResult:
    """What a training run was.

    Attributes:
        steps: optimizer steps of the whole run.
        examples: examples seen, repeated epochs counted.
        seconds: time of this call; a resumed run took longer in all.
        resumed_from: the step it went on from; 0 when it started afresh.
        final_loss: mean loss of the last ten steps, in nats per completion token.
        history: one dict a step: `step`, `loss`, `learning_rate`, `grad_norm`, ...
    """

    steps: int
    examples: int
    seconds: float
    resumed_from: int
    final_loss: float
    history: tuple[dict[str, float], ...]


def train_run(
    base: LoadedModel,
    rows: Sequence[Row],
    *,
    settings: LoraSettings,
    seed: int,
    folders: RunFolders,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train one adapter: W x + (alpha / r) B A x, with A and B learnt and W frozen.

    The loss is the mean over the tokens of a step whose label is not -100, packed or not. Same rows, settings, seed and
    machine give the same adapter bit for bit, also when the run was killed and resumed.

    Args:
        base: the model to adapt, without adapters on it.
        rows: `input_ids` and `labels` of every example, equally long; `group` where examples share a beginning.
        settings: the run's configuration (Hu et al. 2021, https://arxiv.org/abs/2106.09685).
        seed: of the initial A, the order of examples and dropout.
        folders: where the adapter and the checkpoints go. Checkpoints found there are taken for this very run's.
        progress: called after every step with the step, the number of steps and the loss.

    Returns:
        Steps, losses and times; the adapter lies in `folders.adapter`.

    Raises:
        DataError: there is no example, or one is longer than `max_length` or, when packed, than `pack_tokens`.
        ModelError: `target_modules` name no layer of this model, it cannot be trained on packs, or training diverged.
        ResourceError: memory, disk or device does not allow it.
        StudyError: a tracker is not installed.
    """
    check_run(base, rows, settings)
    order = _order(rows, settings, seed)
    started = time.perf_counter()
    with adapted(base, settings, seed) as model, _quiet():
        name = folders.adapter.name
        arguments = training_arguments(base, settings, seed=seed, checkpoints=folders.checkpoints, name=name)
        with arguments.main_process_first(local=False):  # it deletes what is not complete
            checkpoint = newest_complete(folders.checkpoints)
        afresh = checkpoint is None and not folders.only_kept
        with tracking(settings, folders.logs, afresh=afresh), _memory_errors():
            trainer = _trainer(model, base, [rows[index] for index in order], settings, arguments)
            _report(trainer, progress)
            if folders.kept:
                from contrapeso.training.kept import KeepAdapters

                trainer.add_callback(KeepAdapters(folders.kept, stop=folders.only_kept))
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        _require_finite(trainer.state.log_history, settings)
        if trainer.is_world_process_zero() and not folders.only_kept:
            write_folder(folders.adapter, lambda folder: save_adapter(model, folder))
        trainer.accelerator.wait_for_everyone()
    history = _history(trainer.state.log_history)
    losses = [entry["loss"] for entry in history[-10:]]
    return TrainingResult(
        steps=trainer.state.global_step,
        examples=len(order),
        seconds=time.perf_counter() - started,
        resumed_from=int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0,
        final_loss=sum(losses) / len(losses),
        history=history,
    )


def _history(logged: Sequence[Mapping[str, float]]) -> tuple[dict[str, float], ...]:
    # In float16 a step whose gradients overflow is left out, and its norm is no number: no JSON holds that.
    return tuple(
        {name: value for name, value in entry.items() if math.isfinite(value)} for entry in logged if "loss" in entry
    )


def _require_finite(history: Sequence[Mapping[str, float]], settings: LoraSettings) -> None:
    """A diverged adapter is never filed: everything measured on it would be noise."""
    for entry in history:
        if not math.isfinite(entry.get("loss", 0.0)):
            raise ModelError(
                f"training diverged: the loss is {entry['loss']} at step {entry.get('step')} with learning_rate = "
                f"{settings.learning_rate}: lower it (or max_grad_norm), or use another model.dtype"
            )


def check_run(base: LoadedModel, rows: Sequence[Row], settings: LoraSettings) -> None:
    """Refuse a run that could not be trained. Takes no time, so it is asked before the base is measured.

    Raises:
        DataError, ModelError, ResourceError, StudyError: as in `train_run`.
    """
    if not rows:
        raise DataError("there is no training example: check target.data and target.train_limit")
    longest = max(range(len(rows)), key=lambda index: len(rows[index]["input_ids"]))
    length = len(rows[longest]["input_ids"])
    if length > settings.max_length:
        raise DataError(
            f"training example {longest} has {length} tokens, more than training.max_length = {settings.max_length}: "
            "raise it (a cut example would teach a cut answer)"
        )
    if settings.packing == "shared_prefix":
        if length > settings.pack_tokens:
            raise DataError(
                f"training example {longest} has {length} tokens, more than training.pack_tokens = "
                f"{settings.pack_tokens}: raise it (a cut example would teach a cut answer)"
            )
        require_packable(base.model, length)
    require_trackers(settings)
    if settings.optimizer == "paged_adamw_8bit" and (base.device != "cuda" or find_spec("bitsandbytes") is None):
        raise ResourceError(
            'training.optimizer is "paged_adamw_8bit", which needs CUDA and bitsandbytes: set it to "adamw", or '
            "install the extra `gpu` on a machine with a GPU"
        )
    if not isinstance(settings.target_modules, str):
        layers = [f".{name}" for name, _ in base.model.named_modules()]
        for module in settings.target_modules:
            if not any(layer.endswith(f".{module}") for layer in layers):
                raise ModelError(
                    f"training.target_modules = {list(settings.target_modules)}: this model has no layer called "
                    f'{module!r}; name layers it has, or set "all-linear"'
                )


def _order(rows: Sequence[Row], settings: LoraSettings, seed: int) -> list[int]:
    """In which order rows are learnt; see `training.order`."""
    if settings.packing == "none":
        return example_order([len(row["input_ids"]) for row in rows], settings, seed)
    # A row without a group is in a group of its own, numbered below those there are.
    return grouped_order([row.get("group", -1 - index) for index, row in enumerate(rows)], settings, seed)


def _trainer(model: Any, base: LoadedModel, rows: Sequence[Row], settings: LoraSettings, arguments: Any) -> Any:
    from datasets import Dataset

    from contrapeso.training.trainer import AdapterTrainer, SharedBatchTrainer, SharedPrefixTrainer

    if settings.kl_to_base:
        rows = mark_kl(rows, settings.kl_on)
    names = ("input_ids", "labels", *(["kl"] if settings.kl_to_base else []))
    columns = {name: [list(row[name]) for row in rows] for name in names}
    ordinary = AdapterTrainer if arguments.world_size == 1 else SharedBatchTrainer
    kind = ordinary if settings.packing == "none" else SharedPrefixTrainer
    trainer = kind(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=base.tokenizer,
        data_collator=collator(base, settings, arguments),
    )
    if isinstance(trainer, SharedPrefixTrainer):
        trainer.kl_to_base = settings.kl_to_base
    return trainer


def _report(trainer: Any, progress: Progress | None) -> None:
    """Progress goes to the callback and not to the console."""
    from transformers import PrinterCallback

    from contrapeso.training.trainer import ReportProgress

    trainer.remove_callback(PrinterCallback)
    if progress is not None:
        trainer.add_callback(ReportProgress(progress))


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of the trainer's chatter on the console; progress goes through the callback."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def _memory_errors() -> Iterator[None]:
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ResourceError(
            "out of memory while training: lower training.batch_size and raise training.gradient_accumulation as much "
            "(with packing: lower training.pack_tokens), or set training.gradient_checkpointing = true; the same "
            "command then starts this run again"
        ) from error
