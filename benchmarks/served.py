"""How fast is the engine `served`, and does it answer as `local` does?

In: Spider, MMLU and Mistral's tokenizer, or the prompts that `--write-prompts` made of the first two. Out, in `--out`:

- `agreement-*.json`: both engines on the pocket model, base and a random adapter, the pocket tasks.
- `speed.json`: the shape of Mistral-7B with random weights in bfloat16, base and two random adapters of rank 8, all of
  Spider dev with 40 new tokens and all of 5-shot MMLU; then `local` on a part of both. Random weights cost what real
  ones cost.

    python -m benchmarks.served --write-prompts prompts.json.gz --spider DIR --mmlu DIR
    python -m benchmarks.served agreement --work DIR --out DIR [--dtype bfloat16] [--quantization nf4]
    python -m benchmarks.served speed --prompts prompts.json.gz --tokenizer DIR --work DIR --out DIR
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.asked_prompts import pocket_golds, pocket_prompts, read_prompts, write_prompts
from benchmarks.random_mistral import save_in_own_process, save_random_adapter
from contrapeso.models.engine import Engine, Variant
from contrapeso.tasks.base import Generation, OptionScores, Prompt, TextScores

LETTERS = ("A", "B", "C", "D")
NEW_TOKENS = 40
BASE = Variant("base")


class Stages:
    """Seconds of every stage, written after each one, so that an interrupted run leaves what it measured."""

    def __init__(self, file: Path, facts: Mapping[str, Any]) -> None:
        self.file, self.results, self.seconds = file, dict(facts), {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measure one stage."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)
        print(f"{name}: {self.seconds[name]:.2f} s", flush=True)
        self.write()

    def write(self, **results: Any) -> None:
        """File what is known."""
        self.results |= results
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps({**self.results, "seconds": self.seconds}, indent=1) + "\n", encoding="utf-8")


def score(engine: Engine, variant: Variant, prompts: Sequence[Prompt]) -> list[OptionScores]:
    """All replies, in order."""
    found: dict[int, OptionScores] = {}
    for rows, replies in engine.score_options(variant, prompts, letters=LETTERS, skip=frozenset()):
        found.update(zip(rows, replies, strict=True))
    return [found[row] for row in range(len(prompts))]


def generate(engine: Engine, variant: Variant, prompts: Sequence[Prompt], tokens: int) -> list[Generation]:
    """All replies, in order."""
    found: dict[int, Generation] = {}
    stop = (";",) if prompts[0].chat else (";", "\n\n")
    for rows, replies in engine.generate(variant, prompts, max_new_tokens=tokens, stop=stop, skip=frozenset()):
        found.update(zip(rows, replies, strict=True))
    return [found[row] for row in range(len(prompts))]


def machine() -> dict[str, Any]:
    """What it was measured on."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    names = ("torch", "transformers", "peft", "vllm", "bitsandbytes")
    return {"gpu": torch.cuda.get_device_name(), "versions": {name: installed(name) for name in names}}


def replies(
    engine: Engine, variant: Variant, prompts: Mapping[str, Sequence[Prompt]], golds: Sequence[str]
) -> dict[str, list[Any]]:
    """All that a variant can be asked: choices, queries, and how likely it finds the gold queries."""
    found: dict[int, TextScores] = {}
    texts = [[f" {gold}"] for gold in golds]
    for rows, scores in engine.score_texts(variant, prompts["spider"], texts=texts, skip=frozenset()):
        found.update(zip(rows, scores, strict=True))
    return {
        "mmlu": score(engine, variant, prompts["mmlu"]),
        "spider": generate(engine, variant, prompts["spider"], 96),
        "golds": [found[row] for row in range(len(golds))],
    }


def compare(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, Any]:
    """How far two engines' replies are apart."""
    from contrapeso.tasks.text_to_sql import extract_sql

    pairs = list(zip(one["mmlu"], other["mmlu"], strict=True))
    apart = sorted(abs(a - b) for x, y in pairs for a, b in zip(x.log_probabilities, y.log_probabilities, strict=True))
    margins = [_margin(x) for x, y in pairs if _letter(x) != _letter(y)]
    texts = list(zip(one["spider"], other["spider"], strict=True))
    different = [[x.text, y.text] for x, y in texts if x.text != y.text]
    golds = list(zip(one.get("golds", []), other.get("golds", []), strict=True))
    likelihoods = sorted(abs(x.log_likelihoods[0] - y.log_likelihoods[0]) for x, y in golds)
    return {
        "questions": len(pairs),
        "log_probability_difference": {"median": apart[len(apart) // 2], "largest": apart[-1]},
        "letters_different": len(margins),
        "margins_of_different_letters": sorted(margins),
        "letter_would_be_given_different": sum(x.greedy_is_option != y.greedy_is_option for x, y in pairs),
        "queries": len(texts),
        "queries_equal": sum(x == y for x, y in texts),
        "texts_equal": len(texts) - len(different),
        "sql_equal": sum(extract_sql(x.text) == extract_sql(y.text) for x, y in texts),
        "log_likelihood_of_gold_differences": likelihoods,
        "prompts_equal": all(x.prompt_sha == y.prompt_sha for x, y in [*pairs, *texts]),
        "different_texts": different[:20],
    }


def _letter(reply: OptionScores) -> int:
    return reply.log_probabilities.index(max(reply.log_probabilities))


def _margin(reply: OptionScores) -> float:
    best = sorted(reply.log_probabilities)
    return best[-1] - best[-2]


def agreement(work: Path, out: Path, *, dtype: str = "float16", quantization: Any = "none") -> dict[str, Any]:
    """Both engines on the pocket model, base and a random adapter.

    Beside it, what arithmetic alone does to `local`: with other batches, and in float32.
    """
    from contrapeso.models.loading import POCKET, POCKET_FOLDER, load_model
    from contrapeso.models.local import LocalEngine
    from contrapeso.models.served import ServedEngine

    facts = machine() | {"dtype": dtype, "quantization": quantization}
    stages = Stages(out / f"agreement-{dtype}-{quantization}.json", facts)
    prompts, golds = pocket_prompts(), pocket_golds()
    adapter = save_random_adapter(work / "pocket-adapter", str(POCKET_FOLDER), seed=1, size=0.04)
    variants = (BASE, Variant("random adapter", adapter))
    answered: dict[str, dict[str, dict[str, list[Any]]]] = {}

    def ask(engine: Engine, name: str) -> None:
        for variant in variants:
            with stages.timed(f"{name}, {variant.name}"):
                answered.setdefault(name, {})[variant.name] = replies(engine, variant, prompts, golds)

    with stages.timed("start served"):
        engine = ServedEngine(POCKET, dtype=dtype, quantization=quantization, adapters=[adapter])
    ask(engine, "served")
    ask(engine, "served again")
    engine.close()
    loaded = load_model(POCKET, dtype=dtype, quantization=quantization)  # type: ignore[arg-type]
    ask(LocalEngine(loaded.model, loaded.tokenizer), "local")
    small = LocalEngine(loaded.model, loaded.tokenizer, batch_size_generate=24, batch_size_score=24)
    ask(small, "local, other batches")
    loaded = load_model(POCKET, dtype="float32", quantization=quantization)
    ask(LocalEngine(loaded.model, loaded.tokenizer), "local float32")
    for one, other in (
        ("served", "local"),
        ("served", "served again"),
        ("local", "local, other batches"),
        ("served", "local float32"),
        ("local", "local float32"),
    ):
        found = {v.name: compare(answered[one][v.name], answered[other][v.name]) for v in variants}
        stages.write(**{f"{one} and {other}": found})
    base, tuned = (answered["served"][v.name] for v in variants)
    stages.write(**{"base and adapter": compare(base, tuned)})
    return stages.results


def speed(prompts_file: Path, tokenizer: Path, work: Path, out: Path) -> None:
    """Base and two adapters on everything with `served`, then a part of it with `local`."""
    from contrapeso.models.loading import load_model
    from contrapeso.models.local import LocalEngine
    from contrapeso.models.served import ServedEngine
    from contrapeso.models.served_start import GRAPHS

    stages = Stages(out / "speed.json", machine() | {"graphs": dict(GRAPHS)})
    prompts = read_prompts(prompts_file)
    folder = work / "mistral"
    if not (folder / "config.json").is_file():
        with stages.timed("make the model"):
            save_in_own_process(folder, tokenizer, {})
    adapters = [save_random_adapter(work / f"adapter-{n}", str(folder), seed=n) for n in (1, 2)]
    variants = (BASE, *(Variant(f"adapter {n}", path) for n, path in enumerate(adapters, 1)))
    with stages.timed("start served"):
        engine = ServedEngine(str(folder), adapters=adapters)
    generated = {}
    for variant in variants:
        with stages.timed(f"served, spider, {variant.name}"):
            generated[variant.name] = generate(engine, variant, prompts["spider"], NEW_TOKENS)
        with stages.timed(f"served, mmlu, {variant.name}"):
            score(engine, variant, prompts["mmlu"])
    tokens = {name: sum(reply.tokens for reply in replies) for name, replies in generated.items()}
    stages.write(items={name: len(rows) for name, rows in prompts.items()}, generated_tokens=tokens)
    engine.close()
    with stages.timed("load local"):
        loaded = load_model(str(folder), dtype="bfloat16")
    local = LocalEngine(loaded.model, loaded.tokenizer, batch_size_generate=256, batch_size_score=64)
    few = {"spider": prompts["spider"][:256], "mmlu": prompts["mmlu"][:1200]}
    stages.write(local_items={name: len(rows) for name, rows in few.items()})
    score(local, BASE, few["mmlu"][:64])  # kernels are chosen in it
    for variant in variants[:2]:
        with stages.timed(f"local, mmlu, {variant.name}"):
            score(local, variant, few["mmlu"])
        with stages.timed(f"local, spider, {variant.name}"):
            generate(local, variant, few["spider"], NEW_TOKENS)
    stages.write(sample=[asdict(reply) for reply in generated["base"][:2]])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("agreement", "speed"))
    for name in ("write-prompts", "spider", "mmlu", "prompts", "tokenizer", "work", "out"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--dtype", default="float16", choices=("float16", "bfloat16"))
    parser.add_argument("--quantization", default="none", choices=("none", "nf4"))
    asked = parser.parse_args()
    if asked.write_prompts:
        write_prompts(asked.spider, asked.mmlu, asked.write_prompts)
    elif asked.what == "agreement":
        agreement(asked.work, asked.out, dtype=asked.dtype, quantization=asked.quantization)
    elif asked.what == "speed":
        speed(asked.prompts, asked.tokenizer, asked.work, asked.out)
    else:
        parser.error("say agreement, speed or --write-prompts")


if __name__ == "__main__":
    main()
