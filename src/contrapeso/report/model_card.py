"""The card of an adapter (`adapters/<run>/README.md`): what it is, what it gained, what it lost.

A summary and the run's settings enter, Markdown with Hugging Face metadata leaves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contrapeso.names import model_name
from contrapeso.report.text import accuracy_cell, comparison_rows, markdown_table, plain_markdown, task_name


def model_card(run: str, summary: Mapping[str, Any], settings: Mapping[str, Any], *, version: str) -> str:
    """The card of one run.

    Args:
        run: display name of the run.
        summary: from `summarize`.
        settings: the run's settings, by name.
        version: of contrapeso.
    """
    facts = summary["facts"]
    base = model_name(facts["base_model"])
    baseline = summary["variants"].get(facts["baseline"], {})  # not yet measured, in a report of an unfinished study
    measured = [
        (
            task_name(task),
            str(entry["n"]),
            accuracy_cell(baseline[task]) if task in baseline else "–",
            accuracy_cell(entry),
        )
        for task, entry in summary["variants"][run].items()
    ]
    changes = [(row[1], *row[3:5], row[-1]) for row in comparison_rows(summary) if row[0] == run]
    lines = [
        "---",
        f"base_model: {json.dumps(base)}",
        "library_name: peft",
        "tags: [lora, text-to-sql, contrapeso]",
        "---",
        "",
        f"# {plain_markdown(run)}",
        "",
        f"A LoRA adapter for {plain_markdown(base)}, trained on text-to-SQL and measured in the study "
        f"{plain_markdown(summary['study'])} with contrapeso {version}.",
        "",
        *markdown_table(("Task", "n", "Base [95 %]", "With this adapter [95 %]"), measured),
        "",
        *markdown_table(("Task", "Δ points", "95 % interval", "Verdict"), changes),
        "",
        "## Training",
        "",
        *markdown_table(("Setting", "Value"), [(name, str(value)) for name, value in settings.items()]),
        "",
        "## Use",
        "",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        f"base = AutoModelForCausalLM.from_pretrained({json.dumps(base)})",
        'model = PeftModel.from_pretrained(base, "path/to/this/folder")',
        "```",
        "",
    ]
    return "\n".join(lines)
