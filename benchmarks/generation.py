"""Text-to-SQL by contrapeso and by `transformers.generate`: the same model and prompts, query by query and by seconds.

    python -m benchmarks.generation [--model pocket] [--limit 128] [--rounds 3]

`generate` is given what a careful user would give it: batches of 32 or 64 with padding on the left, greedy decoding
and the same stop strings. Counted are the seconds from prompts in memory to queries; loading the model comes before.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import side_by_side
from contrapeso.data import load_spider, spider_folder
from contrapeso.models.engine import Variant
from contrapeso.models.local import LocalEngine
from contrapeso.models.prompts import render
from contrapeso.sql import Sandbox
from contrapeso.tasks.text_to_sql import TextToSQL

OURS = "contrapeso"
PEERS = {"transformers.generate, 32": 32, "transformers.generate, 64": 64}


def generate_ours(model: Any, tokenizer: Any, task: TextToSQL, *, batch_size: int) -> list[str]:
    """Queries of contrapeso's engine, cut before the stop string, in the order of the items.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        task: what is asked.
        batch_size: most prompts at a time.
    """
    engine = LocalEngine(model, tokenizer, batch_size_generate=batch_size)
    texts = {}
    for rows, replies in task.ask(engine, Variant("Baseline Model"), skip=frozenset()):
        texts.update(zip(rows, (reply.text for reply in replies), strict=True))
    return [texts[row] for row in range(len(task.items))]


def generate_plain(model: Any, tokenizer: Any, task: TextToSQL, *, batch_size: int) -> list[str]:
    """Queries of `model.generate`, cut before the stop string, in the order of the items.

    Args:
        model, tokenizer, task, batch_size: as in `generate_ours`.
    """
    prompts = [render(tokenizer, task.prompt(item)) for item in task.items]
    texts: list[str] = []
    for start in range(0, len(prompts), batch_size):
        inputs = tokenizer(
            prompts[start : start + batch_size], return_tensors="pt", padding=True, add_special_tokens=False
        ).to(model.device)
        output = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=task.max_new_tokens,
            stop_strings=list(task.stop),
            tokenizer=tokenizer,
            pad_token_id=tokenizer.pad_token_id,
        )
        answers = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        texts += [_cut(answer, task.stop) for answer in answers]
    return texts


def _cut(text: str, stop: Sequence[str]) -> str:
    return text[: min((text.index(each) for each in stop if each in text), default=len(text))]


def generate_one(arguments: argparse.Namespace) -> None:
    """Generate one way; the last line printed is the queries and how long they took, in JSON."""
    from contrapeso.models.loading import load_model

    loaded = load_model(arguments.model)
    items = load_spider(spider_folder(arguments.spider), "dev")[: arguments.limit]
    with Sandbox(workers=1) as sandbox:
        task = TextToSQL(
            tuple(items), sandbox, schema_style=arguments.schema_style, max_new_tokens=arguments.max_new_tokens
        )
        started = time.perf_counter()
        if arguments.only == OURS:
            texts = generate_ours(loaded.model, loaded.tokenizer, task, batch_size=arguments.batch)
        else:
            texts = generate_plain(loaded.model, loaded.tokenizer, task, batch_size=PEERS[arguments.only])
        print(json.dumps({"texts": texts, "seconds": time.perf_counter() - started}))


def main() -> None:
    """Generate each way in turns; print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket", help="`pocket` or a folder")
    parser.add_argument("--spider", default="pocket", help="`pocket` or a folder in Spider's layout")
    parser.add_argument("--schema-style", default="compact", choices=["ddl", "compact"])
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--limit", type=int, default=None, help="questions; all of dev by default")
    parser.add_argument("--batch", type=int, default=64, help="contrapeso's prompts at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/generation.json"))
    parser.add_argument("--only", choices=[OURS, *PEERS], help="generate one way, once, and print the queries")
    arguments = parser.parse_args()
    if arguments.only:
        generate_one(arguments)
        return
    options = {name.replace("_", "-"): value for name, value in vars(arguments).items()}
    names = ("model", "spider", "schema-style", "max-new-tokens", "batch", "limit")
    words = [f"--{name}={options[name]}" for name in names if options[name] is not None]
    found = side_by_side.in_turns("benchmarks.generation", [OURS, *PEERS], words, rounds=arguments.rounds)
    texts = {way: rows[0]["texts"] for way, rows in found.items()}
    result = {
        **side_by_side.compared(found, OURS),
        "questions": len(texts[OURS]),
        "same_text_as_ours": {way: sum(map(str.__eq__, other, texts[OURS])) for way, other in texts.items()},
    }
    side_by_side.write(arguments.out, result)
    print(side_by_side.table(result, len(texts[OURS])))
    print(json.dumps({key: result[key] for key in ("questions", "same_text_as_ours", "load")}, indent=1))


if __name__ == "__main__":
    main()
