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
import gzip
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contrapeso.models.engine import Engine, Variant
from contrapeso.tasks.base import Generation, OptionScores, Prompt

LETTERS = ("A", "B", "C", "D")
NEW_TOKENS = 40
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
BASE = Variant("base")


def write_prompts(spider: Path, mmlu: Path, file: Path) -> None:
    """The prompts of a study with a chat model, small enough to carry."""
    from contrapeso.data import load_mmlu, load_spider
    from contrapeso.sql import Sandbox
    from contrapeso.tasks import MultipleChoice, TextToSQL

    dev, train = load_spider(spider, "dev"), load_spider(spider, "train")
    questions = load_mmlu(mmlu)
    with Sandbox(1) as sandbox:
        target = TextToSQL(dev, sandbox, chat=True)
        general = MultipleChoice(questions.test, questions.dev, shots=5)
        tasks = {
            "spider": [target.prompt(item) for item in dev],
            "mmlu": [general.prompt(item) for item in general.items],
        }
    prefixes = list(dict.fromkeys(prompt.prefix for prompts in tasks.values() for prompt in prompts))
    places = {prefix: place for place, prefix in enumerate(prefixes)}
    rows = {name: [[places[p.prefix], p.body, p.chat] for p in prompts] for name, prompts in tasks.items()}
    with gzip.open(file, "wt", encoding="utf-8") as stream:
        json.dump({"prefixes": prefixes, "train": len(train), **rows}, stream)


def read_prompts(file: Path) -> dict[str, list[Prompt]]:
    """What `write_prompts` wrote."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        stored = json.load(stream)
    prefixes = stored["prefixes"]
    return {
        name: [Prompt(prefixes[place], body, chat=chat) for place, body, chat in stored[name]]
        for name in ("spider", "mmlu")
    }


def save_random_mistral(folder: Path, tokenizer: Path) -> None:
    """A model with the shape of Mistral-7B-Instruct-v0.3 and random weights, in Hugging Face format."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, MistralConfig

    names = AutoTokenizer.from_pretrained(tokenizer)
    config = MistralConfig(
        vocab_size=len(names),
        max_position_embeddings=32_768,
        sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=names.bos_token_id,
        eos_token_id=names.eos_token_id,
    )
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    names.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()


def save_random_adapter(folder: Path, base: str, *, seed: int, rank: int = 8, size: float = 0.02) -> Path:
    """An adapter on the attention's layers that changes answers, with random A and B."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
        wrapped = PeftModel(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(ATTENTION)))
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(weight.shape, generator=generator) * size
        for name, weight in get_peft_model_state_dict(wrapped, save_embedding_layers=False).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors")
    wrapped.peft_config["default"].save_pretrained(folder)
    return folder


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


def pocket_prompts() -> dict[str, list[Prompt]]:
    """The pocket tasks, as a study asks them."""
    from contrapeso.data import load_mmlu, load_spider, mmlu_folder, spider_folder
    from contrapeso.models.loading import POCKET, load_tokenizer
    from contrapeso.sql import Sandbox
    from contrapeso.tasks import MultipleChoice, TextToSQL

    items = load_spider(spider_folder("pocket"), "dev")
    questions = load_mmlu(mmlu_folder("pocket"))
    with Sandbox(1) as sandbox:
        target = TextToSQL(items, sandbox, chat=bool(load_tokenizer(POCKET).chat_template))
        general = MultipleChoice(questions.test, questions.dev, shots=5)
        return {
            "spider": [target.prompt(item) for item in items],
            "mmlu": [general.prompt(item) for item in general.items],
        }


def compare(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, Any]:
    """How far two engines' replies are apart."""
    from contrapeso.tasks.text_to_sql import extract_sql

    pairs = list(zip(one["mmlu"], other["mmlu"], strict=True))
    apart = sorted(abs(a - b) for x, y in pairs for a, b in zip(x.log_probabilities, y.log_probabilities, strict=True))
    margins = [_margin(x) for x, y in pairs if _letter(x) != _letter(y)]
    texts = list(zip(one["spider"], other["spider"], strict=True))
    different = [[x.text, y.text] for x, y in texts if x.text != y.text]
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
    prompts = pocket_prompts()
    adapter = save_random_adapter(work / "pocket-adapter", str(POCKET_FOLDER), seed=1, size=0.04)
    variants = (BASE, Variant("random adapter", adapter))
    answered: dict[str, dict[str, dict[str, list[Any]]]] = {}

    def ask(engine: Engine, name: str) -> None:
        for variant in variants:
            with stages.timed(f"{name}, {variant.name}"):
                answered.setdefault(name, {})[variant.name] = {
                    "mmlu": score(engine, variant, prompts["mmlu"]),
                    "spider": generate(engine, variant, prompts["spider"], 96),
                }

    with stages.timed("start served"):
        engine = ServedEngine(POCKET, dtype=dtype, quantization=quantization, adapters=[adapter])
    ask(engine, "served")
    ask(engine, "served again")
    engine.close()
    loaded = load_model(POCKET, dtype=dtype, quantization=quantization)  # type: ignore[arg-type]
    ask(LocalEngine(loaded.model, loaded.tokenizer), "local")
    small = LocalEngine(loaded.model, loaded.tokenizer, batch_size_generate=5, batch_size_score=5)
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
            save_random_mistral(folder, tokenizer)
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
