"""How fast does LoRA training of a 7B model go on one GPU, beside TRL's packing on the same machine in the same run?

In: Spider and Mistral's tokenizer, or the token rows that `--write-rows` made of them. Out: `result.json`, the same
figures as a table, and with `--profile` the kernels of a step. The model has the shape of Mistral-7B and random
weights: a step costs what it costs with real ones, and the losses mean nothing. The settings are those of the preset
`mistral-7b` in bfloat16, but for the examples a step.

    python -m benchmarks.training --spider DIR --tokenizer DIR --out DIR [--tiny]
    python -m benchmarks.training --spider DIR --tokenizer DIR --write-rows rows.json.gz
    python -m benchmarks.training --rows rows.json.gz --tokenizer DIR --out DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.packed_agreement import agreement
from benchmarks.random_mistral import TINY_SHAPE, ceiling, compiled_layers, random_mistral
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


PACKED: dict[str, Any] = {"packing": "shared_prefix", "pack_tokens": 16384}
CASES = (
    Case("shared prefix, 8 examples a step", {**PACKED, "batch_size": 8}),
    Case("shared prefix, 16 a step", {**PACKED, "batch_size": 16}),
    Case("shared prefix, 64 a step, packs of 8192", {**PACKED, "batch_size": 64, "pack_tokens": 8192}),
    Case("shared prefix, 64 a step", {**PACKED, "batch_size": 64}),
    Case("shared prefix, 128 a step", {**PACKED, "batch_size": 128}),
    Case("shared prefix, 128 a step, layers compiled", {**PACKED, "batch_size": 128}, compiled=True),
    Case("TRL, packing 2048, batch 8, Liger", {"batch_size": 8}, steps=8, trl_length=2048),
)


def spider_rows(spider: Path, tokenizer: Any) -> list[dict[str, Any]]:
    """Spider's train questions as tokens, with the prompts of a study."""
    from contrapeso.data import load_spider
    from contrapeso.sql import Sandbox
    from contrapeso.tasks import TextToSQL
    from contrapeso.training.examples import tokenize_examples, training_examples

    items = load_spider(spider, "train")
    with Sandbox(1) as sandbox:
        task = TextToSQL(items, sandbox, chat=True)
        return tokenize_examples(tokenizer, training_examples(items, task.prompt))


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


def measure(case: Case, base: LoadedModel, rows: Sequence[dict[str, Any]], work: Path) -> dict[str, Any]:
    """Train as a case says; what it does to memory and time.

    Returns:
        Examples and tokens a second, seconds of each counted step, the largest GPU memory, or the error.
    """
    import torch

    forward, kept = vars(base.model).get("forward"), dict(vars(base.model.config))
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    train: Callable[..., dict[str, Any]] = train_trl if case.trl_length else train_ours
    with compiled_layers(base.model, case.compiled):
        figures = train(case, base, rows, work)
    vars(base.model).pop("forward", None)
    if forward is not None:
        base.model.forward = forward
    vars(base.model.config).update(kept)
    if torch.cuda.is_available():
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return figures


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


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures in Markdown."""
    lines = [
        "| training | examples/s | tokens/s | tokens an example | GPU memory, GiB | share of the matmul ceiling |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in results.items():
        if "error" in row:
            lines.append(f"| {name} | {row['error']} | | | | |")
            continue
        lines.append(
            f"| {name} | {row['examples_per_second']:.1f} | {row['tokens_per_second']:,.0f} | "
            f"{row['tokens_per_example']:.0f} | {row.get('peak_gib', 0):.1f} | {100 * row['ceiling_share']:.0f} % |"
        )
    return "\n".join(lines)


def read_rows(arguments: argparse.Namespace, tokenizer: Any) -> list[dict[str, Any]]:
    """Token rows, from a file or from Spider; few and short ones for a tiny run."""
    if arguments.rows:
        with gzip.open(arguments.rows, "rt") as stream:
            rows: list[dict[str, Any]] = json.load(stream)
    else:
        rows = spider_rows(arguments.spider, tokenizer)
    return [row for row in rows if len(row["input_ids"]) < 400][:64] if arguments.tiny else rows


def machine(base: LoadedModel, rows: Sequence[dict[str, Any]], tokenizer: Any) -> dict[str, Any]:
    """What is measured on, and whether packs are exact there."""
    import torch

    order = grouped_order([row["group"] for row in rows], LoraSettings(batch_size=24, databases_per_step=3), 1)
    step = [rows[index] for index in order[:24]]
    small = random_mistral(tokenizer, TINY_SHAPE)
    small = replace(small, model=small.model.float(), dtype="float32")
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "ceiling_tflops": ceiling(),
        "mean_example_tokens": mean(len(row["input_ids"]) for row in rows),
        "packed_against_one_by_one": {
            f"{one.dtype}, {one.model.config.num_hidden_layers} layers": agreement(one, step, PRESET)
            for one in (small, base)
        },
    }


def tried(case: Case, base: LoadedModel, rows: Sequence[dict[str, Any]], work: Path, matmul: float) -> dict[str, Any]:
    """The figures of a case, or why there are none: one that does not fit must not cost the others."""
    try:
        figures = measure(case, base, rows, work)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"}
    # Frozen weights: forward and backward pass multiply by each of them once.
    weights = sum(parameter.numel() for parameter in base.model.model.layers.parameters())
    return {**figures, "ceiling_share": 4 * weights * figures["tokens_per_second"] / (matmul * 1e12)}


def main(arguments: argparse.Namespace) -> None:
    """Measure every case, one after the other, and file the figures after each."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    rows = read_rows(arguments, tokenizer)
    if arguments.write_rows:
        with gzip.open(arguments.write_rows, "wt") as stream:
            json.dump(rows, stream)
        return
    out, work = arguments.out, arguments.out / "work"
    out.mkdir(parents=True, exist_ok=True)
    base = random_mistral(tokenizer, TINY_SHAPE if arguments.tiny else {})
    report: dict[str, Any] = {**machine(base, rows, tokenizer), "results": {}}
    print(json.dumps(report), flush=True)
    if arguments.profile is not None:
        (out / "profile.txt").write_text(profile_step(base, rows, CASES[arguments.profile], work))
    for number in arguments.cases or range(len(CASES)):
        case = CASES[number]
        if arguments.tiny:
            few = {"batch_size": 2} if case.trl_length else {"batch_size": 4, "pack_tokens": 2048}
            case = replace(case, settings={**case.settings, **few}, steps=5, trl_length=case.trl_length and 512)
        figures = report["results"][case.name] = tried(case, base, rows, work, report["ceiling_tflops"])
        print(json.dumps({case.name: figures}), flush=True)
        (out / "result.json").write_text(json.dumps(report, indent=1))
    (out / "table.md").write_text(table(report["results"]) + "\n")
    print(table(report["results"]))
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spider", type=Path, help="folder in Spider's layout")
    parser.add_argument("--rows", type=Path, help="token rows instead of --spider")
    parser.add_argument("--write-rows", type=Path, help="only write token rows")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("results/training"))
    parser.add_argument("--cases", type=int, nargs="*", help=f"numbers of cases; all {len(CASES)} by default")
    parser.add_argument("--profile", type=int, help="number of a case to profile")
    parser.add_argument("--tiny", action="store_true", help="a model of two layers and few rows, on a CPU too")
    main(parser.parse_args())
