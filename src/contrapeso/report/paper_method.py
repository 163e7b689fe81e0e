"""The paper's method, said of this very study: model, training, tasks, judging, statistics.

The settings of the study and its summary enter, blocks leave. What the study does not tell is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from statistics import fmean
from typing import Any

from contrapeso.report.measurement import Sources
from contrapeso.report.paper_blocks import Block, Cell, heading, paragraph, table
from contrapeso.report.paper_words import PaperWords, Part
from contrapeso.report.text import task_name
from contrapeso.settings import LoraSettings
from contrapeso.sql.sandbox import Limits
from contrapeso.stats.paired import RESAMPLES

Summary = Mapping[str, Any]
Settings = Mapping[str, Any]

_WITHOUT_EFFECT = ("name", "checkpoint_steps", "report_to", "max_length", "gradient_checkpointing")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_OF_PACKING = ("packing", "pack_tokens", "databases_per_step")


def method_blocks(summary: Summary, sources: Sources, words: PaperWords) -> list[Block]:
    """The section on method."""
    return [
        heading(words["method"]),
        *_model_blocks(summary, sources, words),
        *_task_blocks(summary, sources, words),
        heading(words["method_judging"], 2),
        _judging(words),
        heading(words["method_statistics"], 2),
        *_statistics(summary, words),
    ]


def size(summary: Summary, task: str) -> tuple[int, int]:
    """How many items of a task count, and in how many groups; 0 when it was not measured."""
    entries = [by_task[task] for by_task in summary["variants"].values() if task in by_task]
    return (entries[0]["n"], len(entries[0]["groups"])) if entries else (0, 0)


def model_name(summary: Summary, words: PaperWords) -> str:
    """The base model's name."""
    return without_folder(str(summary["facts"]["base_model"])) or words["a_model"]


def without_folder(name: str) -> str:
    """The last part of an absolute path, since the rest speaks of one machine only; any other name as it is."""
    return PurePath(name).name if PurePath(name).is_absolute() else name


def _model_blocks(summary: Summary, sources: Sources, words: PaperWords) -> list[Block]:
    facts, settings = summary["facts"], sources.settings
    if not facts["base_model"]:
        return []
    model = model_name(summary, words)
    dtype = sources.provenance.get("inputs", {}).get("dtype", "")
    quantized = settings.get("model", {}).get("quantization") == "nf4"
    sentence = ("model_nf4" if quantized else "model_dtype") if dtype else "model"
    sentences = [words.say(sentence, model=model, dtype=str(dtype))]
    if settings.get("model", {}).get("revision"):
        sentences.append(words.say("revision", revision={"code": str(settings["model"]["revision"])}))
    runs = settings.get("runs", ())
    blocks = [heading(words["method_model"], 2)]
    if not runs:
        return [*blocks, paragraph(*sentences)]
    sentences.append(words.say("lora", examples=words.counted("example", facts["train_examples"])))
    names = _settings_in_use(runs)
    shared = [name for name in names if all(run[name] == runs[0][name] for run in runs)]
    varied = [name for name in names if name not in shared]
    listed = ", ".join(f"{words.settings[name]} {_value(runs[0][name], words)}" for name in shared)
    later = [words.say("shared", settings=listed)] if shared else []
    later.append(words.say("varied"))
    later.append(words.say("training_seed", seed=str(facts["seed"])))
    return [*blocks, paragraph(*sentences), paragraph(*later), _runs_table(runs, varied, sources, words)]


def _settings_in_use(runs: Sequence[Settings]) -> list[str]:
    """Settings of the runs that move a weight, the learning rate first."""
    packed = any(run.get("packing", "none") != "none" for run in runs)
    idle = _WITHOUT_EFFECT if packed else (*_WITHOUT_EFFECT, *_OF_PACKING)
    used = (name for name in runs[0] if name not in LoraSettings.later or any(_is_set(run, name) for run in runs))
    names = [name for name in used if name not in idle]
    return sorted(names, key=lambda name: name != "learning_rate")


def _is_set(run: Settings, name: str) -> bool:
    return bool(run[name] != LoraSettings.model_fields[name].default)


def _value(value: Any, words: PaperWords) -> str:
    if isinstance(value, list | tuple):
        return "/".join(str(part).removesuffix("_proj") for part in value)
    if isinstance(value, Mapping):  # replay
        source = value["data"] if value["data"] != "self" else f"self ({value['prompts']})"
        share = words.page.number(f"{100 * value['share']:g}")
        return f"{share}\u00a0% {source.rpartition('/')[2]}"
    if value is None or isinstance(value, bool | str):
        return words.values.get(str(value), str(value))
    return words.page.number(_scientific(value) if 0 < value < 1e-3 else f"{value:g}")


def _scientific(value: float) -> str:
    """`0.0002` -> `2 × 10⁻⁴`."""
    digits, _, power = f"{value:e}".partition("e")
    return f"{float(digits):g} × 10{str(int(power)).translate(_RAISED)}"


def _runs_table(runs: Sequence[Settings], varied: Sequence[str], sources: Sources, words: PaperWords) -> Block:
    """One row a run: the settings in which runs differ, how long it learnt and how well."""
    head = [words["col_run"], *(words.settings[name] for name in varied)]
    head += [words["steps"], words["loss_first"], words["loss_last"]]
    rows: list[list[Cell]] = []
    for run in runs:
        history = sources.training.get(run["name"], ())
        losses = [row["loss"] for row in history if "loss" in row]
        tenth = max(1, len(losses) // 10)
        learnt = ["\u2013"] * 3
        if losses:
            steps = words.page.count(int(max(row["step"] for row in history)))
            ends = (fmean(losses[:tenth]), fmean(losses[-tenth:]))
            learnt = [steps, *(words.page.number(f"{loss:.3f}") for loss in ends)]
        rows.append([run["name"], *(_value(run[name], words) for name in varied), *learnt])
    caption, note = words.say("runs_caption"), words.say("runs_note")
    return table("runs", head, rows, caption=caption, note=note, align="lr")


def _task_blocks(summary: Summary, sources: Sources, words: PaperWords) -> list[Block]:
    facts, settings = summary["facts"], sources.settings
    blocks = [heading(words["method_tasks"], 2)]
    for task, sentences in (("target", _target), ("general", _general)):
        items, groups = size(summary, facts[task])
        if items:
            said = sentences(summary, settings.get(task, {}), words, counts=(items, groups))
            blocks.append(paragraph(*said, *_left_out(summary, facts[task], words)))
    return blocks if len(blocks) > 1 else []


def _target(summary: Summary, settings: Settings, words: PaperWords, *, counts: tuple[int, int]) -> list[list[Part]]:
    name = task_name(summary["facts"]["target"])
    questions, databases = words.counted("question", counts[0]), words.counted("database", counts[1])
    said = [words.say("target", target=name, questions=questions, databases=databases)]
    if settings.get("data") == "pocket":
        said.append(words.say("target_pocket", target=name))
    if settings.get("limit"):
        said.append(words.say("limited", limit=words.page.count(settings["limit"])))
    if settings:
        style = words[f"style_{settings['schema_style']}"]
        said.append(words.say("prompt", style=style, tokens=str(settings["max_new_tokens"])))
    else:
        said.append(words.say("prompt_plain"))
    if settings.get("shots"):
        said.append(words.say("shots", shots=words.counted("shot", settings["shots"])))
    notes = {variant: entry["prompt_note"] for variant, entry in _entries(summary, summary["facts"]["target"])}
    return said + [words.say("other_prompt", variant=name, note=note) for name, note in notes.items() if note]


def _general(summary: Summary, settings: Settings, words: PaperWords, *, counts: tuple[int, int]) -> list[list[Part]]:
    questions, subjects = words.counted("question", counts[0]), words.counted("subject", counts[1])
    name = task_name(summary["facts"]["general"])
    said = [words.say("general", general=name, questions=questions, subjects=subjects)]
    if settings.get("shots"):
        said.append(words.say("general_shots", shots=words.counted("solved", settings["shots"])))
    return said


def _left_out(summary: Summary, task: str, words: PaperWords) -> list[list[Part]]:
    left_out = next((entry["left_out"] for _, entry in _entries(summary, task) if "left_out" in entry), None)
    if left_out is None:
        return []
    count = words.counted("item", left_out["n"])
    return [words.say("left_out", count=count, task=task_name(task), reason=left_out["reason"])]


def _judging(words: PaperWords) -> Block:
    limits, count = Limits(), words.page.count
    sandbox = words.say(
        "sandbox",
        steps=count(limits.steps),
        seconds=f"{limits.cpu_seconds:g}",
        rows=count(limits.rows),
        memory=str(limits.memory_megabytes),
    )
    rules: dict[str, Part] = {rule: {"em": rule} for rule in ("unordered", "spider", "strict")}
    return paragraph(sandbox, words.say("rules", **rules))


def _statistics(summary: Summary, words: PaperWords) -> list[Block]:
    facts = summary["facts"]
    tasks = {"target": task_name(facts["target"]), "general": task_name(facts["general"])}
    methods = {
        entry["ci_method"] for task in (facts["target"], facts["general"]) for _, entry in _entries(summary, task)
    }
    accuracy = [words.say("wilson")] + ([words.say("cluster")] if "cluster" in methods else [])
    blocks = [paragraph(*accuracy)]
    if summary["comparisons"]:
        clustered = any(row["scheme"] == "cluster" for row in summary["comparisons"])
        margin = words.page.number(f"{100 * facts['margin']:g}")
        called: dict[str, Part] = {kind: {"em": words.page.verdicts[kind]} for kind in ("gain", "loss")}
        blocks += [
            paragraph(words.say("paired", resamples=words.page.count(RESAMPLES))),
            paragraph(words.say("mcnemar" if clustered else "mcnemar_only")),
            paragraph(words.say("verdict", margin=margin, **called)),
            paragraph(words.say("power")),
        ]
    last = [words.say("seed", seed=str(facts["seed"]))]
    if summary["tradeoff"]:
        last.insert(0, words.say("rate", **tasks))
    return [*blocks, paragraph(*last)]


def _entries(summary: Summary, task: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(variant, by_task[task]) for variant, by_task in summary["variants"].items() if task in by_task]
