"""The tables of the paper's results, as blocks.

A summary enters, blocks leave. Numbers that the audit withholds are in none of them; a note says which and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contrapeso.report import text
from contrapeso.report.paper_blocks import Block, Cell, table
from contrapeso.report.paper_words import PaperWords, Part

Summary = Mapping[str, Any]
Entry = Mapping[str, Any]

NOTHING = "\u2013"


def accuracy_table(summary: Summary, words: PaperWords) -> Block:
    """Accuracy of every variant, task by task."""
    head = [words[f"col_{name}"] for name in ("variant", "n", "correct", "accuracy", "interval", "macro")]
    rows: list[list[Cell]] = []
    for task in tasks(summary):
        rows.append([{"head": text.task_name(task)}])
        for variant, entry in entries(summary, task).items():
            count = words.page.count(entry["n"])
            if not entry["valid"]:
                rows.append([variant, count, *[NOTHING] * 3, words["not_valid"]])
                continue
            numbers = (f"{100 * entry['accuracy']:.1f}", text.span(entry["ci"]), f"{100 * entry['macro']:.1f}")
            rows.append([variant, count, words.page.count(entry["correct"]), *map(words.page.number, numbers)])
    found = [entry for task in tasks(summary) for entry in entries(summary, task).values()]
    clustered = [
        task for task in tasks(summary) for e in entries(summary, task).values() if e["ci_method"] == "cluster"
    ]
    methods = [words["wilson_name"]] if any(entry["ci_method"] != "cluster" for entry in found) else []
    if clustered:
        methods.append(words["cluster_name"].format(task=text.task_name(clustered[0])))
    kinds = dict.fromkeys("by_database" if entry["kind"] == "generation" else "by_subject" for entry in found)
    note = words.say("accuracy_note", methods=", ".join(methods), groups=" / ".join(words[kind] for kind in kinds))
    note += _withheld(summary, found, words)
    return table("accuracy", head, rows, caption=words.say("accuracy_caption"), note=note, align="lr")


def accuracies_said(summary: Summary, words: PaperWords) -> list[list[Part]]:
    """From where to where the accuracies on each task run."""
    said = []
    for task in tasks(summary):
        valid = {variant: entry["accuracy"] for variant, entry in entries(summary, task).items() if entry["valid"]}
        if len(valid) > 1:
            low, high = min(valid, key=valid.__getitem__), max(valid, key=valid.__getitem__)
            shown = {
                "low": words.page.number(text.percent(valid[low])),
                "high": words.page.number(text.percent(valid[high])),
            }
            said.append(words.say("accuracy_range", task=text.task_name(task), low_name=low, high_name=high, **shown))
    return said


def changes_table(summary: Summary, words: PaperWords) -> Block:
    """Every variant against the baseline, task by task."""
    columns = ("variant", "delta", "lost", "gained", "p", "p_holm", "p_tost", "detectable", "verdict")
    rows: list[list[Cell]] = []
    for task in dict.fromkeys(row["task"] for row in summary["comparisons"]):
        rows.append([{"head": text.task_name(task)}])
        rows += [_change_row(row, words) for row in summary["comparisons"] if row["task"] == task]
    baseline = summary["facts"]["baseline"]
    names: dict[str, Part] = {name: {"em": words[f"col_{name}"]} for name in ("p", "p_holm", "p_tost")}
    margin = words.page.number(f"{100 * summary['facts']['margin']:g}")
    note = [*words.say("changes_note", baseline=baseline, **names), " "]
    note += words.say("equivalence_note", margin=margin, **names)
    note += _withheld(summary, summary["comparisons"], words)
    caption = words.say("changes_caption", baseline=baseline)
    head = [words[f"col_{name}"] for name in columns]
    return table("changes", head, rows, caption=caption, note=note, align="lrrrrrrrl", floats=True)


def _change_row(row: Mapping[str, Any], words: PaperWords) -> list[Cell]:
    if not row["valid"]:
        return [row["variant"], *[NOTHING] * 7, words["not_valid"]]
    detectable = NOTHING if row["detectable"] is None else words.page.number(f"{100 * row['detectable']:.1f}")
    tests = (text.p_value(p) for p in (row["p"], row["p_holm"], row["equivalence"]["p"]))
    prompted = words.page.page["prompted"].format(note=row["prompt_note"]) if row["prompt_note"] else ""
    verdict = words.page.verdict(row["verdict"])
    return [
        row["variant"],
        {
            "main": words.page.number(text.points(row["delta"])),
            "sub": words.page.number(text.span(row["ci"], signed=True)),
        },
        words.page.count(row["lost"]),
        words.page.count(row["gained"]),
        *map(words.page.number, tests),
        detectable,
        {"main": verdict, "sub": prompted} if prompted else verdict,
    ]


def trade_table(summary: Summary, words: PaperWords) -> Block:
    """Gain, loss, exchange rate, relative changes and standing of every variant that was weighed."""
    head = [words[f"col_{name}"] for name in ("variant", "gain", "relative", "loss", "relative", "rate", "pareto")]
    rows: list[list[Cell]] = []
    for row in summary["tradeoff"]:
        if not row["valid"]:
            rows.append([row["variant"], *[NOTHING] * 5, words["not_valid"]])
            continue
        changes: list[Cell] = []
        for what in ("gain", "loss"):
            changes.append(over(text.points(row[what]), text.span(row[f"{what}_ci"], signed=True), words))
            relative, ci = row[f"relative_{what}"], row[f"relative_{what}_ci"]
            shown = NOTHING if relative is None else f"{text.points(relative)} %"
            changes.append(over(shown, text.span(ci, signed=True) if ci else "", words))
        rows.append([row["variant"], *changes, _rate(row, words), _standing(row["pareto"], words)])
    names = {key: text.task_name(summary["facts"][key]) for key in ("target", "general")}
    baseline = summary["facts"]["baseline"]
    note = words.say("trade_note", **names)
    if any(row["valid"] for row in summary["tradeoff"]):
        note += [" ", *words.say("relative_note", baseline=baseline)]
    if any(row["pareto"] for row in summary["tradeoff"]):
        note += [" ", *words.say("pareto_note")]
    note += _withheld(summary, summary["tradeoff"], words)
    caption = words.say("trade_caption", **names)
    return table("trade", head, rows, caption=caption, note=note, align="lrrrrrl", floats=True)


def _rate(row: Mapping[str, Any], words: PaperWords) -> Cell:
    if row["exchange_rate"] is None:
        return words.page.page["no_rate_negative" if row["gain_ci"][1] < 0 else "no_rate"]
    low, high = map(text.rate, row["ci"])
    return over(text.rate(row["exchange_rate"]), f"[{low}, {high}]", words)


def _standing(standing: str, words: PaperWords) -> str:
    """The words of `stats.pareto` in the paper's language."""
    if standing.startswith("dominated by "):
        return words["dominated"].format(variant=standing.removeprefix("dominated by "))
    known = {"on the front": words["front"], "uncertain": words["uncertain"]}
    return known.get(standing, standing or NOTHING)


def leading_variant(summary: Summary, task: str) -> str:
    """The tuned variant with the largest gain on the target among those validly compared there and on the task.

    Variants that are the base prompted otherwise come only where there is no other; "" when there is none.
    """
    valid = {(row["variant"], row["task"]): row["delta"] for row in summary["comparisons"] if row["valid"]}
    notes = {row["variant"] for row in summary["comparisons"] if row["prompt_note"]}
    target = summary["facts"]["target"]
    candidates = [variant for variant, measured in valid if measured == task]
    tuned = [variant for variant in candidates if variant not in notes] or candidates
    return max(tuned, key=lambda variant: valid.get((variant, target), -1.0), default="")


def tasks(summary: Summary) -> list[str]:
    """The tasks measured, in order."""
    return list(dict.fromkeys(task for by_task in summary["variants"].values() for task in by_task))


def entries(summary: Summary, task: str) -> dict[str, Entry]:
    """Variant -> its numbers on a task."""
    return {variant: by_task[task] for variant, by_task in summary["variants"].items() if task in by_task}


def over(main: str, sub: str, words: PaperWords) -> Cell:
    """A number over a smaller one, both with the language's decimal mark."""
    shown = words.page.number(main)
    return {"main": shown, "sub": words.page.number(sub)} if sub else shown


def _withheld(summary: Summary, rows: Iterable[Mapping[str, Any]], words: PaperWords) -> list[Part]:
    """That numbers are not valid, and the checks of the audit that say so."""
    reasons = [row["invalid_reason"] for row in rows if not row["valid"]]
    failed = [row["check"] for row in summary["audit"] if row["status"] == "fail"]
    names = [words.check(check) for check in failed if any(f"{check}: " in reason for reason in reasons)]
    return [" ", *words.say("withheld", names=", ".join(names))] if reasons else []
