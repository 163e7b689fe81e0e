"""What does a second GPU bring, does it change anything, and what does dividing the base between two cost?

In: Spider, MMLU and Mistral's tokenizer, or the file that `--write-data` made of them. Out: `result.json` and the same
figures as a table. The model has the shape of Mistral-7B and random weights, made on the GPU; nothing ends an answer
early. Three measurements, each in processes of its own: one GPU; two; two with the base divided (`model.sharding =
"fsdp"`). Each first trains and asks a small model in float32, by which the three are held against one another.

    python -m benchmarks.two_gpus --spider DIR --mmlu DIR --tokenizer DIR --out DIR [--tiny]
    python -m benchmarks.two_gpus --spider DIR --mmlu DIR --tokenizer DIR --write-data data.json.gz
    python -m benchmarks.two_gpus --data data.json.gz --tokenizer DIR --out DIR
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.random_mistral import TINY_SHAPE, random_mistral
from benchmarks.training import spider_rows
from benchmarks.training_ways import PRESET, Stopwatch
from benchmarks.two_gpus_compared import differences, table
from contrapeso.distributed import greatest, is_main, size, tell, together
from contrapeso.follower import END, follow
from contrapeso.models.engine import Variant
from contrapeso.models.fsdp import divided
from contrapeso.models.loading import LoadedModel
from contrapeso.models.sharded import start_local
from contrapeso.settings import LoraSettings
from contrapeso.tasks.base import Prompt
from contrapeso.training.lora import RunFolders, train_run

WAYS = {"one GPU": 1, "two GPUs": 2, "two GPUs, base divided": 2}
WARM_STEPS = 3
"""Steps that are not counted: kernels are compiled in them."""
LETTERS = ("A", "B", "C", "D")
SMALL_BATCH: dict[str, Any] = {"rank": 8, "dropout": 0.0, "batch_size": 8, "gradient_accumulation": 2}


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        shape: what differs from Mistral-7B, as fields of `MistralConfig`.
        examples: training examples a step.
        steps: optimizer steps, the warm ones included.
        generations: Spider questions; with a divided base a quarter of them.
        choices: MMLU questions; likewise.
        new_tokens: of every answer.
    """

    shape: Mapping[str, int]
    examples: int
    steps: int
    generations: int
    choices: int
    new_tokens: int


FULL = Scale({}, examples=128, steps=8, generations=768, choices=1536, new_tokens=40)
TINY = Scale(TINY_SHAPE, examples=8, steps=5, generations=16, choices=16, new_tokens=4)


def make_data(spider: Path, mmlu: Path, tokenizer: Any) -> dict[str, Any]:
    """Token rows of Spider's train set, prompts of Spider dev and of MMLU, as JSON-ready values."""
    from contrapeso.data import load_mmlu, load_spider
    from contrapeso.sql import Sandbox
    from contrapeso.tasks import TextToSQL
    from contrapeso.tasks.multiple_choice import MultipleChoice

    general = load_mmlu(mmlu)
    choices = MultipleChoice(general.test, general.dev, shots=5)
    with Sandbox(1) as sandbox:
        target = TextToSQL(load_spider(spider, "dev"), sandbox, chat=True)
        asked = {"generations": [target.prompt(item) for item in target.items[: FULL.generations]]}
    asked["choices"] = [choices.prompt(item) for item in choices.items[: FULL.choices]]
    prompts = {kind: [[each.prefix, each.body, each.chat] for each in some] for kind, some in asked.items()}
    return {"rows": spider_rows(spider, tokenizer), **prompts}


def make_base(tokenizer: Any, shape: Mapping[str, int], *, exact: bool, divide: bool) -> LoadedModel:
    """The model, whole or this process's part of it; `exact` in float32."""
    base = random_mistral(tokenizer, shape)
    if exact:
        base = replace(base, model=base.model.float(), dtype="float32")
    if not divide:
        return base
    model = divided(lambda: base.model, base.device)
    model.name_or_path = "random"
    return replace(base, model=model)


def train(base: LoadedModel, rows: Sequence[dict[str, Any]], settings: LoraSettings, folder: Path) -> Stopwatch:
    """Train in all processes; in the main one."""
    shutil.rmtree(folder, ignore_errors=True)
    asked: dict[str, Any] = {
        "rows": rows,
        "settings": settings,
        "seed": 42,
        "folders": RunFolders(folder / "adapter", folder / "checkpoints"),
    }
    watch = Stopwatch()
    tell("train", **asked)
    result = train_run(base, **asked, progress=watch)
    (folder / "losses.json").write_text(json.dumps([step["loss"] for step in result.history]))
    return watch


def small_and_exact(data: Mapping[str, Any], base: LoadedModel, out: Path) -> None:
    """What a small model in float32 learns and answers, filed for comparison; in the main process."""
    rows = sorted(data["rows"], key=lambda row: len(row["input_ids"]))[:61]  # the last step is not full
    for packing in ("none", "shared_prefix"):
        settings = LoraSettings(**SMALL_BATCH, packing=packing, pack_tokens=2048, learning_rate=1e-3)
        train(base, rows, settings, out / packing)
    engine = start_local(base, batch_size_score=8, batch_size_generate=8)
    for adapter in (None, out / "none" / "adapter"):
        variant = Variant("small", adapter)
        scores = engine.score_options(variant, prompts(data["choices"][:50]), letters=LETTERS, skip=frozenset())
        found = {
            row: reply.log_probabilities for rows, replies in scores for row, reply in zip(rows, replies, strict=True)
        }
        texts = engine.generate(
            variant, prompts(data["generations"][:20]), max_new_tokens=16, stop=(";",), skip=frozenset()
        )
        said = {row: reply.text for rows, replies in texts for row, reply in zip(rows, replies, strict=True)}
        values = {"scores": [found[row] for row in sorted(found)], "texts": [said[row] for row in sorted(said)]}
        (out / f"answers-{adapter is not None}.json").write_text(json.dumps(values))
    engine.detach()


def rates(data: Mapping[str, Any], base: LoadedModel, scale: Scale, out: Path, *, divide: bool) -> dict[str, Any]:
    """How fast the large model learns and answers; in the main process."""
    settings = LoraSettings(
        **{**PRESET, "dropout": 0.0, "packing": "shared_prefix", "pack_tokens": 16384, "batch_size": scale.examples},
        epochs=scale.examples * scale.steps / len(data["rows"]),
    )
    seconds = train(base, data["rows"], settings, out / "large").seconds()[WARM_STEPS - 1 :]
    figures = {"training": scale.examples * len(seconds) / sum(seconds), "step_seconds": seconds}
    figures["training_gib"] = peak_gib()
    print(json.dumps(figures), flush=True)
    engine = start_local(base, batch_size_generate=128, batch_size_score=128)
    share = 4 if divide else 1
    for kind, count in (("generations", scale.generations // share), ("choices", scale.choices // share)):
        asked, variant, nothing = prompts(data[kind][:count]), Variant("base"), frozenset[int]()
        started = time.perf_counter()
        if kind == "choices":
            batches = engine.score_options(variant, asked, letters=LETTERS, skip=nothing)
        else:
            batches = engine.generate(variant, asked, max_new_tokens=scale.new_tokens, stop=(), skip=nothing)
        answered = sum(len(rows) for rows, _ in batches)
        figures[kind] = answered / (time.perf_counter() - started)
        print(json.dumps({kind: figures[kind]}), flush=True)
    return figures | {"answering_gib": peak_gib()}


def prompts(values: Sequence[Sequence[Any]]) -> list[Prompt]:
    """Prompts from their JSON values."""
    return [Prompt(prefix, body, chat=chat) for prefix, body, chat in values]


def peak_gib() -> float:
    """The largest GPU memory of this process since it was asked last, in GiB."""
    import torch

    if not torch.cuda.is_available():
        return 0.0
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak


def measure(arguments: argparse.Namespace) -> None:
    """One way, in one of its processes."""
    import torch
    from transformers import AutoTokenizer

    out, divide = arguments.out / arguments.way.replace(" ", "-"), "divided" in arguments.way
    scale = TINY if arguments.tiny else FULL
    with together():
        tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
        tokenizer.pad_token, tokenizer.padding_side = tokenizer.pad_token or tokenizer.eos_token, "left"
        data = read_data(arguments) if is_main() else {}
        small = make_base(tokenizer, TINY_SHAPE, exact=True, divide=divide)
        result: dict[str, Any] = {"processes": size()}
        if is_main():
            out.mkdir(parents=True, exist_ok=True)
            small_and_exact(data, small, out)
            tell(END, result=None)
        else:
            follow(small)
        large = make_base(tokenizer, scale.shape, exact=False, divide=divide)
        peak_gib()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            result["base_gib"] = torch.cuda.memory_allocated() / 2**30
        if is_main():
            result |= rates(data, large, scale, out, divide=divide)
            (out / "result.json").write_text(json.dumps(result))
            tell(END, result=None)
        else:
            follow(large)
        greatest(0)


def read_data(arguments: argparse.Namespace) -> dict[str, Any]:
    """The data file."""
    with gzip.open(arguments.data, "rt") as stream:
        data: dict[str, Any] = json.load(stream)
    return data


def main(arguments: argparse.Namespace) -> None:
    """Measure every way, each in processes of its own, and hold them against the first."""
    results: dict[str, Any] = {}
    own = list(sys.argv[1:])
    for way in arguments.ways:
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(WAYS[way])]
        command = [sys.executable, *(several if WAYS[way] > 1 else []), "-m", "benchmarks.two_gpus", *own, "--way", way]
        print(way, flush=True)
        ended = subprocess.run(command, check=False).returncode
        if ended:
            print(f"{way}: failed with exit code {ended}", flush=True)
            continue
        folder = arguments.out / way.replace(" ", "-")
        results[way] = json.loads((folder / "result.json").read_text())
        first = arguments.out / next(iter(results)).replace(" ", "-")
        results[way]["differences"] = differences(first, folder)
        print(json.dumps({way: results[way]}), flush=True)
        (arguments.out / "result.json").write_text(json.dumps(results, indent=1))
    (arguments.out / "table.md").write_text(table(results) + "\n")
    print(table(results))
    sys.exit(len(results) < len(arguments.ways))


def parsed() -> argparse.Namespace:
    """The command line; without `--data`, the data file is made first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spider", type=Path, help="folder in Spider's layout")
    parser.add_argument("--mmlu", type=Path, help="folder in MMLU's layout")
    parser.add_argument("--data", type=Path, help="instead of both")
    parser.add_argument("--write-data", type=Path, help="only write --data")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("results/two-gpus"))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="all by default")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help="a model of two layers and few prompts, on a CPU too")
    return parser.parse_args()


def write_data(arguments: argparse.Namespace, file: Path) -> None:
    """Write the data file."""
    from transformers import AutoTokenizer

    data = make_data(arguments.spider, arguments.mmlu, AutoTokenizer.from_pretrained(arguments.tokenizer))
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt") as stream:
        json.dump(data, stream)


if __name__ == "__main__":
    asked = parsed()
    if asked.way:
        measure(asked)
    elif asked.write_data:
        write_data(asked, asked.write_data)
    else:
        if asked.data is None:
            asked.data = asked.out / "data.json.gz"
            write_data(asked, asked.data)
            sys.argv += ["--data", str(asked.data)]
        main(asked)
