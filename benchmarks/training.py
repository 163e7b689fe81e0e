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
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.packed_agreement import agreement
from benchmarks.random_mistral import TINY_SHAPE, ceiling, compiled_layers, random_mistral
from benchmarks.training_ways import PRESET, Case, profile_step, train_ours, train_trl
from contrapeso.models.loading import LoadedModel
from contrapeso.settings import LoraSettings
from contrapeso.training.order import grouped_order

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
            f"{row['tokens_per_example']:.0f} | "
            + (f"{row['peak_gib']:.1f} | {100 * row['ceiling_share']:.0f} % |" if "peak_gib" in row else "– | – |")
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


def tried(
    case: Case, base: LoadedModel, rows: Sequence[dict[str, Any]], work: Path, matmul: float | None
) -> dict[str, Any]:
    """The figures of a case, or why there are none: one that does not fit must not cost the others."""
    try:
        figures = measure(case, base, rows, work)
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"}
    if matmul is None:
        return figures
    # Frozen weights: forward and backward pass multiply by each of them once.
    weights = sum(parameter.numel() for parameter in base.model.model.layers.parameters())
    return {**figures, "ceiling_share": 4 * weights * figures["tokens_per_second"] / (matmul * 1e12)}


def main(words: Sequence[str] | None = None) -> None:
    """Measure every case, one after the other, and file the figures after each."""
    from transformers import AutoTokenizer

    arguments = parsed(words)
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


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spider", type=Path, help="folder in Spider's layout")
    parser.add_argument("--rows", type=Path, help="token rows instead of --spider")
    parser.add_argument("--write-rows", type=Path, help="only write token rows")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("results/training"))
    parser.add_argument("--cases", type=int, nargs="*", help=f"numbers of cases; all {len(CASES)} by default")
    parser.add_argument("--profile", type=int, help="number of a case to profile")
    parser.add_argument("--tiny", action="store_true", help="a model of two layers and few rows, on a CPU too")
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
