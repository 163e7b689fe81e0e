"""The card of an adapter (`adapters/<run>/README.md`): what it is, what it gained and lost, how to ask it, its limits.

A summary and what it was made from enter, Markdown with Hugging Face metadata leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrapeso.data.sources import SETS
from contrapeso.names import model_name
from contrapeso.report.card_example import example_lines
from contrapeso.report.card_metadata import POCKET, card_metadata, data_name, fingerprint_of
from contrapeso.report.measurement import Sources
from contrapeso.report.record import Record
from contrapeso.report.text import (
    INTERVALS_NOTE,
    Summary,
    accuracy_cell,
    comparison_rows,
    markdown_table,
    plain_markdown,
    task_name,
    verdict_sentences,
)
from contrapeso.version import __version__

OURS = "made by the contrapeso project: MIT"
APACHE = "Apache 2.0, as its authors publish it"
BASE_LICENCES = {
    POCKET: OURS,
    "mistralai/Mistral-7B-v0.1": APACHE,
    "mistralai/Mistral-7B-v0.3": APACHE,
    "mistralai/Mistral-7B-Instruct-v0.1": APACHE,
    "mistralai/Mistral-7B-Instruct-v0.2": APACHE,
    "mistralai/Mistral-7B-Instruct-v0.3": APACHE,
}
DATA_LICENCES = {POCKET: OURS} | {name: known.licence for name, known in SETS.items()}
"""What is known of the terms of models and data, by name; a folder of one's own may be called so too."""
NOT_KNOWN = "not known to contrapeso: ask who made it"
LEAK_CHECK = "leaked_items"
NOT_SHOWN = ("name", "report_to", "checkpoint_steps")
"""Settings of a run that say nothing about its adapter."""
OF_PACKING = ("pack_tokens", "databases_per_step")


def model_card(run: str, summary: Summary, *, sources: Sources, record: Record) -> str:
    """The card of one run.

    Args:
        run: display name of the run.
        summary: from `summarize`.
        sources: what it was made from, with the study's settings.
        record: the study's plan, and how the target task asks.
    """
    base = plain_markdown(model_name(summary["facts"]["base_model"]))
    lines = [
        "---",
        card_metadata(run, summary, sources=sources, record=record).rstrip("\n"),
        "---",
        "",
        f"# {plain_markdown(run)}",
        "",
        f"A LoRA adapter for {base}, trained to write SQL, and measured for what that gave and what it took away: "
        f"study {plain_markdown(summary['study'])}, contrapeso {__version__}.",
        "",
        *_verdict(run, summary),
        *_numbers(run, summary),
        *example_lines(run, summary, sources=sources, record=record),
        *_training(run, sources),
        *_data(run, summary, sources, record),
        *_limits(run, summary),
        *_licence(summary, sources.settings),
    ]
    return "\n".join(lines)


def _verdict(run: str, summary: Summary) -> list[str]:
    rows = [row for row in summary["tradeoff"] if row["variant"] == run]
    sentences = verdict_sentences({**summary, "tradeoff": rows}) if rows else []
    return [line for sentence in sentences for line in (f"**{plain_markdown(sentence)}**", "")]


def _numbers(run: str, summary: Summary) -> list[str]:
    """Accuracies of base and adapter, and the differences."""
    baseline = summary["variants"].get(summary["facts"]["baseline"], {})  # not yet measured, in an unfinished study
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
    lines = ["## Results", "", *markdown_table(("Task", "n", "Base [95 %]", "With this adapter [95 %]"), measured), ""]
    if changes:
        lines += [*markdown_table(("Task", "Δ points", "95 % interval", "Verdict"), changes), ""]
    return [
        *lines,
        f"Base and adapter answered the same questions, asked in the same words. {INTERVALS_NOTE}",
        "",
    ]


def _training(run: str, sources: Sources) -> list[str]:
    settings = next(entry for entry in sources.settings["runs"] if entry["name"] == run)
    idle = NOT_SHOWN + (OF_PACKING if settings["packing"] == "none" else ())
    rows = [(name, _value(value)) for name, value in settings.items() if name not in idle]
    rows.append(("seed", str(sources.settings["seed"])))
    history = sources.training.get(run, ())
    if history:
        last = [row["loss"] for row in history[-10:]]
        rows.append(("optimizer steps taken", f"{history[-1]['step']:.0f}"))
        rows.append((f"loss, mean of the last {len(last)} steps", f"{sum(last) / len(last):.4f}"))
    versions = sources.provenance.get("versions", {})
    made_with = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "transformers", "peft", "trl") if name in versions
    )
    return [
        "## Training",
        "",
        "The loss is on the answer alone, after the very prompt shown above."
        + (f" Made with {plain_markdown(made_with)}." if made_with else ""),
        "",
        *markdown_table(("Setting", "Value"), rows),
        "",
    ]


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _data(run: str, summary: Summary, sources: Sources, record: Record) -> list[str]:
    """What was learnt from and what was measured on, with hashes."""
    facts = summary["facts"]
    learnt = next((plan.adapter_key for plan in record.plan if plan.variant == run and plan.adapter_key), {})
    named = data_name(facts["target"], summary, sources.settings) or task_name(facts["target"])
    rows = [("learnt", f"{named}, train", str(facts["train_examples"]), str(learnt.get("examples", "–")))]
    rows += [
        (
            "measured",
            data_name(task, summary, sources.settings) or task_name(task),
            str(entry["n"]),
            fingerprint_of(record, run, task) or "–",
        )
        for task, entry in summary["variants"][run].items()
    ]
    return [
        "## Data",
        "",
        *(
            f"The audit: {plain_markdown(check['detail'])}.\n"
            for check in summary["audit"]
            if check["check"] == LEAK_CHECK
        ),
        *markdown_table(("Use", "Data", "Questions", "SHA-256 of prompts and answers"), rows),
        "",
    ]


def _limits(run: str, summary: Summary) -> list[str]:
    warned = {name for entry in summary["variants"][run].values() for name in entry.get("warnings", ())}
    limits = [
        "It writes SQL that may be wrong, or change data: run it on a read-only connection, with a time limit.",
        "It was trained and measured with the whole schema in the prompt and in the layout above; asked otherwise, its "
        "accuracy is another.",
        "One training run with one seed: the intervals speak of other databases and questions, not of another seed.",
        "What it lost is measured by multiple choice alone; other abilities may have changed more.",
    ]
    if model_name(summary["facts"]["base_model"]) == POCKET:
        limits.append(
            "The pocket model is a toy for trying the instrument; its numbers say nothing about other models."
        )
    if warned:
        limits.append(f"The audit warns: {', '.join(sorted(warned))} (report.html of the study says more).")
    return ["## Limits", "", *(f"- {plain_markdown(limit)}" for limit in limits), ""]


def _licence(summary: Summary, settings: Mapping[str, Any]) -> list[str]:
    base, facts = model_name(summary["facts"]["base_model"]), summary["facts"]
    learnt, measured = (data_name(facts[key], summary, settings) for key in ("target", "general"))
    rows = [("base model", base, BASE_LICENCES.get(base, NOT_KNOWN))]
    for part, name in (("training data", learnt), ("general questions, measured and not learnt", measured)):
        rows.append((part, name or "–", DATA_LICENCES.get(name, NOT_KNOWN)))
    return [
        "## Licence",
        "",
        "An adapter is derived from its base model and from the data it learnt, so the terms of both may reach it. "
        "This is what is known of them, by name; it is not legal advice.",
        "",
        *markdown_table(("Part", "Name", "Terms"), rows),
        "",
    ]
