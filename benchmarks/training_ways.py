"""The ways to train that `benchmarks.training` measures: ours, TRL's own packing, and a profile of ours.

A case and token rows enter; examples and tokens a second leave, or the kernels of two steps.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.random_mistral import compiled_layers
from contrapeso.models.loading import LoadedModel
from contrapeso.settings import LoraSettings
from contrapeso.training.arguments import training_arguments
from contrapeso.training.lora import RunFolders, train_run
from contrapeso.training.order import grouped_order
from contrapeso.training.shared_prefix import LEAST_SHARED, pack_rows

PRESET: dict[str, Any] = {
    "rank": 8,
    "alpha": 16,
    "dropout": 0.05,
    "target_modules": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "checkpoint_steps": 1000,
    "warmup_share": 0.0,
}
WARM_STEPS = 3
"""Steps that are not counted: kernels are compiled in them."""


@dataclass(frozen=True)
class Case:
    """One way to train.

    Attributes:
        name: in the table.
        settings: what differs from the preset; for TRL's own packing `packed_length` counts instead.
        compiled: whether the layers are compiled, which training does not do by itself.
        steps: optimizer steps, the warm ones included.
        trl_length: length of TRL's packs; 0 is our own training.
    """

    name: str
    settings: Mapping[str, Any]
    compiled: bool = False
    steps: int = 10
    trl_length: int = 0


@dataclass
class Stopwatch:
    """Notes when each optimizer step ended; the loss is read then, so the GPU has finished it."""

    ends: list[float] = field(default_factory=list)

    def __call__(self, step: int, total: int, loss: float) -> None:
        """A step has ended."""
        self.ends.append(time.perf_counter())

    def seconds(self) -> list[float]:
        """Of each step but the first."""
        return [end - start for start, end in zip(self.ends, self.ends[1:], strict=False)]


def train_ours(case: Case, base: LoadedModel, rows: Sequence[dict[str, Any]], work: Path) -> dict[str, Any]:
    """Train some steps as a study does; every part of it counts."""
    settings = LoraSettings(**{**PRESET, **case.settings})
    step = settings.batch_size * settings.gradient_accumulation
    settings = settings.model_copy(update={"epochs": step * case.steps / len(rows)})
    watch = Stopwatch()
    shutil.rmtree(work, ignore_errors=True)
    train_run(
        base,
        rows,
        settings=settings,
        seed=42,
        folders=RunFolders(work / "adapter", work / "checkpoints"),
        progress=watch,
    )
    tokens = _step_tokens(rows, settings, seed=42)[WARM_STEPS : case.steps]
    seconds = watch.seconds()[WARM_STEPS - 1 :]
    return _figures(step * len(seconds), sum(tokens), seconds) | {
        "first_steps_seconds": watch.seconds()[: WARM_STEPS - 1]
    }


def _step_tokens(rows: Sequence[dict[str, Any]], settings: LoraSettings, seed: int) -> list[int]:
    """Tokens that each step computes, without what fills a block."""
    step = settings.batch_size * settings.gradient_accumulation
    order = grouped_order([row["group"] for row in rows], settings, seed)
    chosen = [[rows[index] for index in order[at : at + step]] for at in range(0, len(order), step)]
    packs = (pack_rows(batch, settings.pack_tokens, least_shared=LEAST_SHARED) for batch in chosen)
    return [sum(len(pack.input_ids) for pack in of_step) for of_step in packs]


def train_trl(case: Case, base: LoadedModel, rows: Sequence[dict[str, Any]], work: Path) -> dict[str, Any]:
    """Train some steps with TRL's own packing; its examples a second are those of its packs, on the average."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from contrapeso.training.trainer import ReportProgress

    settings = LoraSettings(**{**PRESET, **case.settings})
    plain = training_arguments(base, settings, seed=42, checkpoints=work, name="trl")
    arguments = SFTConfig(
        output_dir=str(work),
        max_steps=case.steps,
        per_device_train_batch_size=settings.batch_size,
        packing=True,
        max_length=case.trl_length,
        learning_rate=settings.learning_rate,
        gradient_checkpointing=False,
        use_cpu=plain.use_cpu,
        bf16=plain.bf16,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        use_liger_kernel=base.device == "cuda",  # they stay in the model: TRL is measured last
    )
    columns = {name: [row[name] for row in rows] for name in ("input_ids", "labels")}
    target = settings.target_modules
    trainer = SFTTrainer(
        model=base.model,
        args=arguments,
        train_dataset=Dataset.from_dict(columns),
        processing_class=base.tokenizer,
        peft_config=LoraConfig(
            r=settings.rank,
            lora_alpha=int(settings.alpha),
            lora_dropout=settings.dropout,
            target_modules=target if isinstance(target, str) else list(target),
            task_type="CAUSAL_LM",
        ),
    )
    watch = Stopwatch()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(ReportProgress(watch))
    trainer.train()
    packs = trainer.train_dataset
    used = [sum(lengths) for lengths in packs["seq_lengths"]]
    examples = sum(len(lengths) for lengths in packs["seq_lengths"])
    seconds = watch.seconds()[WARM_STEPS - 1 :]
    share = settings.batch_size * len(seconds) / len(used)
    trainer.model.unload()
    vars(base.model).pop("peft_config", None)
    base.model.eval().requires_grad_(False)
    return _figures(examples * share, sum(used) * share, seconds)


def _figures(examples: float, tokens: float, seconds: Sequence[float]) -> dict[str, Any]:
    total = sum(seconds)
    return {
        "examples_per_second": examples / total,
        "tokens_per_second": tokens / total,
        "tokens_per_example": tokens / examples,
        "step_seconds": list(seconds),
    }


def profile_step(base: LoadedModel, rows: Sequence[dict[str, Any]], case: Case, work: Path) -> str:
    """The kernels of two warm steps, by the time they take."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    settings = LoraSettings(**{**PRESET, **case.settings})
    settings = settings.model_copy(update={"epochs": settings.batch_size * 5 / len(rows)})
    recorder = profile(activities=[ProfilerActivity.CUDA])
    table = ""

    def watch(step: int, total: int, loss: float) -> None:
        nonlocal table
        if step == 3:
            recorder.start()
        if step == 5:
            torch.cuda.synchronize()
            recorder.stop()
            table = recorder.key_averages().table(
                sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=90
            )

    shutil.rmtree(work, ignore_errors=True)
    with compiled_layers(base.model, case.compiled):
        train_run(base, rows, settings=settings, seed=42, folders=RunFolders(work / "a", work / "c"), progress=watch)
    return table
