"""What the engine `local` gains on a GPU by slots and CUDA graphs, and whether it answers the same with them.

In: the prompts that `benchmarks.served --write-prompts` made of Spider and MMLU, and Mistral's tokenizer. Out:
`slots.json` in `--out`, with

- the pocket model, base and a random adapter, with and without slots, 128 prompts of each task, in float32 and bfloat16
  (and NF4, where bitsandbytes is installed): answers that differ;
- the shape of Mistral-7B with random weights in bfloat16, base and a random adapter of rank 8: all of Spider dev with
  40 new tokens and MMLU's questions on some subjects in slots, and a part of both without.

    python -m benchmarks.slots --prompts prompts.json.gz --tokenizer DIR --work DIR --out DIR

Without a GPU the second part has a tiny model and few prompts; nothing is recorded there, and its seconds say nothing.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.asked_prompts import pocket_prompts, read_prompts
from benchmarks.random_mistral import TINY_SHAPE, random_mistral, save_random_adapter
from benchmarks.served import BASE, NEW_TOKENS, Stages, compare, generate, score
from contrapeso.models.engine import Variant
from contrapeso.models.loading import POCKET, POCKET_FOLDER, LoadedModel, load_model
from contrapeso.models.local import LocalEngine
from contrapeso.tasks.base import Prompt

GPU = torch.cuda.is_available()
# What the engine was measured with before there were slots.
WITHOUT = {"in_slots": False, "batch_size_generate": 256, "batch_size_score": 64, "token_budget": 32_768}


def engines(loaded: LoadedModel, said: list[str]) -> dict[str, LocalEngine]:
    """The engine with and without slots; both use the adapters on the model that either has put there."""
    slots = LocalEngine(loaded.model, loaded.tokenizer, in_slots=True, say=said.append)
    without = LocalEngine(loaded.model, loaded.tokenizer, say=said.append, **WITHOUT)
    without._adapters = slots._adapters
    return {"slots": slots, "without": without}


def agreement(stages: Stages, work: Path, dtype: Any, quantization: Any) -> None:
    """The pocket model's answers with and without slots."""
    loaded = load_model(POCKET, dtype=dtype, quantization=quantization)
    adapter = save_random_adapter(work / f"pocket-{dtype}-{quantization}", str(POCKET_FOLDER), seed=1, size=0.04)
    prompts = {name: some[: 128 if GPU else 20] for name, some in pocket_prompts().items()}
    said: list[str] = []
    for variant in (BASE, Variant("adapter", adapter)):
        found = {}
        for name, engine in engines(loaded, said).items():
            with stages.timed(f"pocket {dtype} {quantization}, {variant.name}, {name}"):
                found[name] = {
                    "mmlu": score(engine, variant, prompts["mmlu"]),
                    "spider": generate(engine, variant, prompts["spider"], 64),
                }
        stages.write(**{f"pocket {dtype} {quantization}, {variant.name}": compare(found["slots"], found["without"])})
    stages.write(**{f"said {dtype} {quantization}": said})


def speed(stages: Stages, prompts: dict[str, list[Prompt]], tokenizer: Path, work: Path) -> None:
    """A 7B model's answers with and without slots, second by second."""
    from transformers import AutoTokenizer

    names = AutoTokenizer.from_pretrained(tokenizer)
    names.pad_token, names.padding_side = names.pad_token or names.eos_token, "left"
    loaded = random_mistral(names, {} if GPU else TINY_SHAPE)
    loaded.model.config.save_pretrained(work / "shape")
    adapter = save_random_adapter(work / "adapter", str(work / "shape"), seed=1)
    said: list[str] = []
    asked = engines(loaded, said)
    queries, choices = prompts["spider"], of_subjects(prompts["mmlu"], 8 if GPU else 1)
    part = queries[:256]
    for engine in asked.values():  # kernels are chosen in it
        score(engine, BASE, choices[:64])
        generate(engine, BASE, queries[:8], NEW_TOKENS)
    for variant in (BASE, Variant("adapter", adapter)):
        rates = {}
        for name, engine in asked.items():
            some = queries if name == "slots" else part
            label = f"7B, {variant.name}, {name}"
            with stages.timed(f"{label}, spider"):
                texts = generate(engine, variant, some, NEW_TOKENS)
            with stages.timed(f"{label}, mmlu"):
                scores = score(engine, variant, choices)
            rates[name] = {
                "generations": len(some) / stages.seconds[f"{label}, spider"],
                "choices": len(choices) / stages.seconds[f"{label}, mmlu"],
                "answers": {"mmlu": scores, "spider": texts[: len(part)]},
            }
        alike = compare(*(rates[name].pop("answers") for name in asked))
        stages.write(**{f"7B, {variant.name}": {"a second": rates, "alike": alike}, "said 7B": said})
        print(variant.name, rates, flush=True)


def of_subjects(prompts: Sequence[Prompt], count: int) -> list[Prompt]:
    """All questions of some subjects, drawn at random, so that a question's share of its subject's shots is as it is in
    the whole set."""
    chosen = set(random.Random(0).sample(list(dict.fromkeys(prompt.prefix for prompt in prompts)), count))
    return [prompt for prompt in prompts if prompt.prefix in chosen]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("prompts", "tokenizer", "work", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    asked = parser.parse_args()
    about = {"gpu": torch.cuda.get_device_name() if GPU else "none", "torch": torch.__version__}
    stages = Stages(asked.out / "slots.json", about)
    prompts = read_prompts(asked.prompts)
    speed(stages, prompts if GPU else {name: some[:60] for name, some in prompts.items()}, asked.tokenizer, asked.work)
    kinds = [("float32", "none"), ("bfloat16", "none"), ("bfloat16", "nf4")]
    for dtype, quantization in kinds if GPU else kinds[:1]:
        if quantization == "none" or find_spec("bitsandbytes"):
            agreement(stages, asked.work, dtype, quantization)


if __name__ == "__main__":
    main()
