"""What the benchmarks of the engines ask: Spider and MMLU as a study of a chat model asks them, or the pocket tasks.

In: folders in Spider's and MMLU's layout. Out: prompts, or a file of them that is small enough to carry to a GPU.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from contrapeso.tasks.base import Prompt


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


def pocket_golds() -> list[str]:
    """The gold query of every text-to-SQL prompt."""
    from contrapeso.data import load_spider, spider_folder

    return [item.gold for item in load_spider(spider_folder("pocket"), "dev")]
