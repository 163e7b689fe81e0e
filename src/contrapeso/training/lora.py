"""Training one LoRA adapter on a loaded base model, resumable at any moment.

Token rows (`training.examples`) and a run's settings enter; an adapter folder in PEFT format and a `TrainingResult`
leave. The base model leaves as it came, bit for bit.
"""

from __future__ import annotations

import copy
import json
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
from contrapeso.training.checkpoints import newest_complete, write_folder
from contrapeso.training.order import example_order

if TYPE_CHECKING:
    from contrapeso.training.trainer import Progress

Row = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class RunFolders:
    """Where one run writes.

    Attributes:
        adapter: the finished adapter; there whole or not at all.
        checkpoints: what an interrupted run resumes from.
    """

    adapter: Path
    checkpoints: Path


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

    The loss is taken over the tokens whose label is not -100. Same rows, settings, seed and machine give the same
    adapter bit for bit, also when the run was killed and resumed.

    Args:
        base: the model to adapt, without adapters on it.
        rows: `input_ids` and `labels` of every example, equally long.
        settings: the run's configuration (Hu et al. 2021, https://arxiv.org/abs/2106.09685).
        seed: of the initial A, the order of examples and dropout.
        folders: where the adapter and the checkpoints go. Checkpoints found there are taken for this very run's.
        progress: called after every step with the step, the number of steps and the loss.

    Returns:
        Steps, losses and times; the adapter lies in `folders.adapter`.

    Raises:
        DataError: there is no example, or one is longer than `max_length`.
        ModelError: `target_modules` name no layer of this model.
        ResourceError: memory, disk or device does not allow it.
    """
    check_run(base, rows, settings)
    order = example_order([len(row["input_ids"]) for row in rows], settings, seed)
    checkpoint = newest_complete(folders.checkpoints)
    started = time.perf_counter()
    with _adapted(base, settings, seed) as model, _quiet():
        arguments = _arguments(base, settings, seed, folders.checkpoints)
        trainer = _trainer(model, base.tokenizer, [rows[index] for index in order], arguments, progress)
        with _memory_errors():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        _require_finite(trainer.state.log_history, settings)
        write_folder(folders.adapter, lambda folder: _save_adapter(model, folder))
    history = tuple(entry for entry in trainer.state.log_history if "loss" in entry)
    losses = [entry["loss"] for entry in history[-10:]]
    return TrainingResult(
        steps=trainer.state.global_step,
        examples=len(order),
        seconds=time.perf_counter() - started,
        resumed_from=int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0,
        final_loss=sum(losses) / len(losses),
        history=history,
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
        DataError, ModelError, ResourceError: as in `train_run`.
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


@contextmanager
def _adapted(base: LoadedModel, settings: LoraSettings, seed: int) -> Iterator[Any]:
    """The base with a fresh adapter on it; afterwards the base as it was."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = base.model
    kept = [(holder, copy.deepcopy(vars(holder))) for holder in (model.config, model.generation_config)]
    forward, training = vars(model).get("forward"), model.training
    target = settings.target_modules
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]  # a fraction is fine: it is only divided by r
        lora_dropout=settings.dropout,
        target_modules=target if isinstance(target, str) else list(target),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:
            named = target if isinstance(target, str) else list(target)
            raise ModelError(
                f"training.target_modules = {named!r} does not fit this model ({error}); "
                '"all-linear" takes every linear layer'
            ) from error
        try:
            # Not peft.prepare_model_for_kbit_training for 4-bit bases: it casts the norms and the output layer to
            # float32 and leaves them so, and the base measured after training would be another model than before.
            yield adapted
        finally:
            adapted.unload()
            vars(model).pop("peft_config", None)
            if settings.gradient_checkpointing:
                model.gradient_checkpointing_disable()
                model.disable_input_require_grads()
            # TRL puts its fused output layer in place of `forward`, and writes token ids into the configurations.
            vars(model).pop("forward", None)
            if forward is not None:
                model.forward = forward
            for holder, values in kept:
                vars(holder).clear()
                vars(holder).update(values)
            model.requires_grad_(False).train(training)


def _arguments(base: LoadedModel, settings: LoraSettings, seed: int, checkpoints: Path) -> Any:
    from trl.trainer.sft_config import SFTConfig

    arguments = SFTConfig(
        output_dir=str(checkpoints),
        # The examples come in their order, epochs included: one pass.
        num_train_epochs=1,
        train_sampling_strategy="sequential",
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
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
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=base.device == "cuda",
        seed=seed,
        max_length=None,
        # Rows are tokenized already, and their length is checked.
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    # On a machine with several GPUs the trainer would multiply the batch by their number: another study.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _trainer(model: Any, tokenizer: Any, rows: list[Row], arguments: Any, progress: Progress | None) -> Any:
    from datasets import Dataset
    from transformers import PrinterCallback

    from contrapeso.training.trainer import AdapterTrainer, ReportProgress

    columns = {name: [list(row[name]) for row in rows] for name in ("input_ids", "labels")}
    trainer = AdapterTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_dict(columns), processing_class=tokenizer
    )
    trainer.remove_callback(PrinterCallback)
    if progress is not None:
        trainer.add_callback(ReportProgress(progress))
    return trainer


def _save_adapter(model: Any, folder: Path) -> None:
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a placeholder; the report writes the adapter's own card
    # PEFT writes sets in whatever order this process hashes them; sorted, the same training gives the same file.
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if Path(config["base_model_name_or_path"]).is_dir():  # somebody else's machine has no such folder
        config["base_model_name_or_path"] = Path(config["base_model_name_or_path"]).name
    for key, value in config.items():
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            config[key] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


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
            "out of memory while training: lower training.batch_size and raise training.gradient_accumulation as much, "
            "or set training.gradient_checkpointing = true; the same command then starts this run again"
        ) from error
