"""What TRL's trainer is told: a run's settings in its words, and where trackers write.

Settings enter; `SFTConfig` leaves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from contrapeso.distributed import size
from contrapeso.errors import StudyError
from contrapeso.models.loading import LoadedModel
from contrapeso.settings import LoraSettings
from contrapeso.training.shared_batches import BatchCollator
from contrapeso.training.shared_prefix import BLOCK, LEAST_SHARED, SharedPrefixCollator

LIBRARIES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""What each tracker of `training.report_to` is imported as, which is also what it is installed as."""


def training_arguments(base: LoadedModel, settings: LoraSettings, *, seed: int, checkpoints: Path, name: str) -> Any:
    """The run in TRL's words.

    Args:
        base: the model to adapt.
        settings: the run's configuration.
        seed: of dropout.
        checkpoints: where they go.
        name: what trackers call the run.
    """
    from trl.trainer.sft_config import SFTConfig

    whole = settings.packing == "shared_prefix" or size() > 1
    step = settings.batch_size * settings.gradient_accumulation
    if base.device == "cpu" and size() > 1:
        # accelerate numbers the CPU of every process, and PyTorch reads no checkpoint onto a "cpu:0".
        os.environ.setdefault("ACCELERATE_TORCH_DEVICE", "cpu")
    arguments = SFTConfig(
        output_dir=str(checkpoints),
        # The examples come in their order, epochs included: one pass.
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        # A step that is packed or shared comes whole, and is as many forward passes as its collator makes.
        per_device_train_batch_size=step if whole else settings.batch_size,
        gradient_accumulation_steps=1 if whole else settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler if settings.scheduler != "constant" else "constant_with_warmup",
        warmup_steps=settings.warmup_share,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch" if settings.optimizer == "adamw" else settings.optimizer,
        gradient_checkpointing=settings.gradient_checkpointing,
        use_cpu=base.device == "cpu",
        bf16=base.device == "cuda" and base.dtype == "bfloat16",
        fp16=base.device == "cuda" and base.dtype == "float16",
        save_strategy="steps",
        save_steps=settings.checkpoint_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen
        report_to=list(settings.report_to) or "none",
        run_name=name,
        disable_tqdm=True,
        log_level_replica="passive",  # as quiet as the main process
        ddp_find_unused_parameters=False,  # every layer of an adapter is used in every pass
        dataloader_pin_memory=base.device == "cuda",
        seed=seed,
        max_length=None,
        # Rows are tokenized already, and their length is checked.
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    # On a machine with several GPUs the trainer would multiply the batch by their number: another study.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def collator(base: LoadedModel, settings: LoraSettings, arguments: Any) -> SharedPrefixCollator | BatchCollator | None:
    """What makes packs of a step's rows, or the batches of several processes; else None, which is TRL's own."""
    rank, processes = arguments.process_index, arguments.world_size
    if settings.packing == "none":
        return BatchCollator(settings.batch_size, rank=rank, processes=processes) if processes > 1 else None
    on_gpu = base.device == "cuda"
    return SharedPrefixCollator(
        settings.pack_tokens,
        multiple=BLOCK if on_gpu else 1,
        least_shared=LEAST_SHARED if on_gpu else 1,
        rank=rank,
        processes=processes,
    )


def require_trackers(settings: LoraSettings) -> None:
    """Refuse trackers that are not installed.

    Raises:
        StudyError: one is not; the message names it.
    """
    for tracker in settings.report_to:
        if find_spec(LIBRARIES[tracker]) is None:
            raise StudyError(
                f"training.report_to names {tracker!r}, which is not installed: `pip install {LIBRARIES[tracker]}`, or "
                "leave it out"
            )


@contextmanager
def tracking(settings: LoraSettings, logs: Path, *, afresh: bool) -> Iterator[None]:
    """Let the trackers of a run write below a folder, and end their runs afterwards.

    They are told by environment variables. Those of a server that the user has set up (`WANDB_PROJECT`,
    `MLFLOW_TRACKING_URI`, ...) are left as they are.

    Args:
        settings: names the trackers.
        logs: the run's own folder; made when there is something to write.
        afresh: whether training begins at the first step, so that what an earlier attempt wrote is deleted.
    """
    if not settings.report_to:
        yield
        return
    if afresh:
        shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True, exist_ok=True)
    ours = {
        "WANDB_PROJECT": "contrapeso",
        "WANDB_DIR": str(logs),
        "MLFLOW_TRACKING_URI": f"sqlite:///{logs / 'mlflow.db'}",
        "MLFLOW_EXPERIMENT_NAME": "contrapeso",
    }
    before = dict(os.environ)
    os.environ.update({**ours, **before, "TENSORBOARD_LOGGING_DIR": str(logs)})
    try:
        yield
    finally:
        if "wandb" in settings.report_to:  # the trainer does not, and the next run would be logged as this one
            import_module("wandb").finish()
        os.environ.clear()
        os.environ.update(before)
