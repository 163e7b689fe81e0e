"""The metadata of a model card, as Hugging Face reads them: what the adapter belongs to and what it scored.

A summary and what it was made from enter; YAML leaves. A number that the audit withholds is not among the results.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from contrapeso.data.sources import SETS
from contrapeso.names import model_name
from contrapeso.report.measurement import Sources
from contrapeso.report.record import Record
from contrapeso.report.text import Summary, task_name

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

POCKET = "pocket"
TAGS = ("lora", "text-to-sql", "spider", "mmlu", "contrapeso")
METRICS = {"generation": ("execution_accuracy", "Execution accuracy"), "options": ("accuracy", "Accuracy")}
_QUESTIONS = {"generation": "Text-to-SQL", "options": "Multiple choice, answered by log-probability"}
_SPLITS = {"generation": "validation", "options": "test"}


def card_metadata(run: str, summary: Summary, *, sources: Sources, record: Record) -> str:
    """YAML for the head of a card.

    Args:
        run: display name of the run.
        summary: from `summarize`.
        sources: what it was made from; its settings name the data.
        record: the study's plan, which holds the fingerprints of the tasks.
    """
    from huggingface_hub import ModelCardData

    base, study = model_name(summary["facts"]["base_model"]), summary["study"]
    results = [
        _result(summary, task, entry, sources.settings, fingerprint_of(record, run, task))
        for task, entry in summary["variants"][run].items()
        if entry["valid"]
    ]
    card = ModelCardData(
        base_model=base,
        base_model_relation="adapter",
        library_name="peft",
        pipeline_tag="text-generation",
        license="mit" if _all_ours(summary, sources.settings) else None,
        tags=list(TAGS),
        metrics=list(dict.fromkeys(result.metric_type for result in results)) or None,
        model_name=f"{study}: {run}" if results else None,
        eval_results=results or None,
    )
    return str(card.to_yaml())


def data_name(task: str, summary: Summary, settings: Mapping[str, Any]) -> str:
    """What the study calls the data of a task: `pocket`, or the last part of a path; "" when that is not known."""
    return PurePath(_data(task, summary, settings)).name


def _data(task: str, summary: Summary, settings: Mapping[str, Any]) -> str:
    section = "target" if task == summary["facts"]["target"] else "general"
    return str(settings.get(section, {}).get("data", ""))


def fingerprint_of(record: Record, variant: str, task: str) -> str:
    """Hash of everything a variant's score on a task depends on apart from the model."""
    planned = (plan for plan in record.plan if (plan.variant, plan.task) == (variant, task))
    return next((plan.key.get("task", "") for plan in planned), "")


def _all_ours(summary: Summary, settings: Mapping[str, Any]) -> bool:
    """Whether base model and training data are those that ship with contrapeso."""
    learnt = data_name(summary["facts"]["target"], summary, settings)
    return bool(settings.get("model", {}).get("id") == POCKET == learnt)


def _result(
    summary: Summary, task: str, entry: Mapping[str, Any], settings: Mapping[str, Any], fingerprint: str
) -> EvalResult:
    from huggingface_hub import EvalResult

    data, name, kind = data_name(task, summary, settings), task_name(task), entry["kind"]
    fetched = SETS.get(_data(task, summary, settings))  # a folder of that name may hold anything
    metric, words = METRICS[kind]
    low, high = (round(100 * end, 1) for end in entry["ci"])
    return EvalResult(
        task_type="text-generation",
        task_name=_QUESTIONS[kind],
        dataset_type=fetched.hub.repository if fetched else task if data in (task, "") else f"{data}-{task}",
        dataset_name=name if data in (task, "") else f"{name} ({data})",
        dataset_split=_SPLITS[kind],
        dataset_args={"questions": entry["n"], "sha256": fingerprint},
        metric_type=metric,
        metric_name=f"{words} in percent, 95 % interval {low} to {high}",
        metric_value=round(100 * entry["accuracy"], 1),
        metric_args={"interval_low": low, "interval_high": high, "confidence": 0.95, "method": entry["ci_method"]},
    )
