"""The card of an adapter that is no run of its own: trained elsewhere, a checkpoint, or an update scaled.

What it is in a sentence and, where there is one, a summary enter; Markdown with Hugging Face metadata leaves.
"""

from __future__ import annotations

import json

from contrapeso.models.engine import Point
from contrapeso.names import model_name
from contrapeso.report.text import (
    INTERVALS_NOTE,
    Summary,
    accuracy_cell,
    comparison_rows,
    markdown_table,
    plain_markdown,
    task_name,
)
from contrapeso.version import __version__


def point_card(point: Point, summary: Summary, *, trained_on: str = "") -> str:
    """The card of a checkpoint, a scaled adapter, or an adapter trained elsewhere.

    Args:
        point: which.
        summary: from `summarize`; the point need not be measured yet.
        trained_on: the base model that an adapter trained elsewhere names.
    """
    base = model_name(summary["facts"]["base_model"])
    return "\n".join(
        [
            "---",
            f"base_model: {json.dumps(base)}",
            "library_name: peft",
            "tags: [lora, text-to-sql, contrapeso]",
            "---",
            "",
            f"# {plain_markdown(point.name)}",
            "",
            f"A LoRA adapter for {plain_markdown(base)}. {_what(point, base, trained_on)} Measured in the study "
            f"{plain_markdown(summary['study'])} with contrapeso {__version__}.",
            "",
            *_results(point.name, summary),
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
            "It writes SQL that may be wrong, or change data: run it on a read-only connection, with a time limit.",
            "",
        ]
    )


def _what(point: Point, base: str, trained_on: str) -> str:
    said = []
    if point.imported:
        said.append(
            "**It was trained elsewhere**: how, on what, and whether on questions it is measured with is not known to "
            "contrapeso."
        )
        if trained_on and trained_on != base:
            said.append(f"Its configuration names {plain_markdown(trained_on)} as its base.")
    if point.step is not None:
        said.append(f"It is the run {plain_markdown(point.origin)} after {point.step} optimizer steps, not its end.")
    if point.scale != 1:
        said.append(
            f"Its update is that of {plain_markdown(point.adapter)} times {point.scale:g}: the factor is folded into "
            "the matrices B, so that it loads as any other adapter."
        )
    return " ".join(said)


def _results(variant: str, summary: Summary) -> list[str]:
    measured, base = (summary["variants"].get(name, {}) for name in (variant, summary["facts"]["baseline"]))
    if not measured:
        return []
    rows = [(task_name(task), str(entry["n"]), accuracy_cell(entry)) for task, entry in measured.items()]
    rows += [(f"{task_name(task)}, base", str(entry["n"]), accuracy_cell(entry)) for task, entry in base.items()]
    changes = [row[1:5] + row[-1:] for row in comparison_rows(summary) if row[0] == variant]
    lines = ["## Results", "", *markdown_table(("Task", "n", "Accuracy [95 %]"), rows), ""]
    if changes:
        lines += [*markdown_table(("Task", "n", "Δ points", "95 % interval", "Verdict"), changes), ""]
    return [
        *lines,
        f"Differences are on the questions that both answered, asked in the same words. {INTERVALS_NOTE}",
        "",
    ]
