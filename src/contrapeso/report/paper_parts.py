"""Where accuracies changed and why answers are wrong: the paper's tables of parts, rules and reasons, as blocks.

A summary enters, blocks leave. Variants whose numbers the audit withholds are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contrapeso.report import text
from contrapeso.report.paper_blocks import Block, Cell, paragraph, table
from contrapeso.report.paper_tables import NOTHING, Entry, entries, leading_variant, over, tasks
from contrapeso.report.paper_words import PaperWords, Part

Summary = Mapping[str, Any]

SHOWN_GROUPS = 10
"""Databases or subjects in a table of those that changed most, half of them for each direction."""


def part_tables(summary: Summary, words: PaperWords) -> list[Block]:
    """Accuracy by hardness, by category, by rule, and of the databases and subjects that changed most."""
    blocks: list[Block] = []
    for task in tasks(summary):
        shown = {variant: entry for variant, entry in entries(summary, task).items() if entry["valid"]}
        if not shown:
            continue
        said = _parts_said(summary, task, shown, words)
        if said:
            blocks.append(paragraph(*said))
        for key, column in (("hardness", "level"), ("categories", "category")):
            if any(key in entry for entry in shown.values()):
                blocks.append(_part_table(summary, task, shown, words, key=key, column=column))
        if any(entry.get("rules") for entry in shown.values()):
            blocks.append(_rules_table(task, shown, words))
        blocks += _groups_table(summary, task, shown, words)
    return blocks


def _parts_said(summary: Summary, task: str, shown: Mapping[str, Entry], words: PaperWords) -> list[list[Part]]:
    """How far the changes of the leading variant lie apart, by hardness or category and by group."""
    baseline, variant = summary["facts"]["baseline"], leading_variant(summary, task)
    if baseline not in shown or variant not in shown:
        return []
    kind = shown[baseline]["kind"]
    said = []
    for key, sentence in (
        ("hardness", "hardness_range"),
        ("categories", "categories_range"),
        ("groups", f"groups_range_{kind}"),
    ):
        changes = changes_of(shown[variant], shown[baseline], key)
        if len(changes) > 1:
            ends = [changes[-1], changes[0]]
            low, high = (words.page.number(text.points(change)) for _, change in ends)
            names = [name.replace("_", " ") if key == "groups" else words.page.name(name) for name, _ in ends]
            values: dict[str, Part] = {"low": low, "high": high, "low_name": names[0], "high_name": names[1]}
            said.append(words.say(sentence, variant=variant, task=text.task_name(task), **values))
    return said


def reasons_said(summary: Summary, words: PaperWords) -> list[list[Part]]:
    """The reasons that the leading variant has much less and much more often than the baseline."""
    baseline, task = summary["facts"]["baseline"], summary["facts"]["target"]
    variant, found = leading_variant(summary, task), entries(summary, task)
    if not variant:
        return []
    before, after = found[baseline]["reasons"], found[variant]["reasons"]
    changes = {name: after.get(name, 0) - before.get(name, 0) for name in (*before, *after) if name != "ok"}
    said = []
    for sentence, pick, sign in (("reasons_fell", min, -1), ("reasons_rose", max, 1)):
        name = pick(changes, key=changes.__getitem__, default="")
        if name and changes[name] * sign > 0:
            counts = {"before": words.page.count(before.get(name, 0)), "after": words.page.count(after.get(name, 0))}
            values = {"baseline": baseline, "variant": variant, "reason": words.page.name(name), **counts}
            said.append(words.say(sentence, **values))
    return said


def _part_table(
    summary: Summary, task: str, shown: Mapping[str, Entry], words: PaperWords, *, key: str, column: str
) -> Block:
    """One row a part: accuracy of every variant with its difference from the baseline, over its interval."""
    baseline = summary["facts"]["baseline"]
    names = list(dict.fromkeys(name for entry in shown.values() for name in entry.get(key, {})))
    rows: list[list[Cell]] = [
        [words.page.name(name), *_part_row(shown, baseline, words, key=key, name=name, intervals=True)]
        for name in names
    ]
    return table(
        f"{task}-{key}",
        [words[f"col_{column}"], "n", *shown],
        rows,
        caption=words.say(f"{key}_caption", task=text.task_name(task)),
        note=words.say("parts_note", baseline=baseline),
        align="lr",
        even=True,
    )


def _groups_table(summary: Summary, task: str, shown: Mapping[str, Entry], words: PaperWords) -> list[Block]:
    """The groups with the largest change of the variant that orders them; none without a baseline to compare with."""
    baseline, first = summary["facts"]["baseline"], leading_variant(summary, task)
    if baseline not in shown or first not in shown:
        return []
    ordered = [name for name, _ in changes_of(shown[first], shown[baseline], "groups")]
    half = SHOWN_GROUPS // 2
    names = ordered if len(ordered) <= SHOWN_GROUPS else [*ordered[:half], *ordered[-half:]]
    rows: list[list[Cell]] = [
        [name.replace("_", " "), *_part_row(shown, baseline, words, key="groups", name=name)] for name in names
    ]
    kind = shown[baseline]["kind"]
    note = words.say("groups_note", baseline=baseline, variant=first)
    if len(names) < len(ordered):
        note += [" ", *words.say("groups_shown", all=str(len(ordered)), shown=str(len(names)))]
    block = table(
        f"{task}-groups",
        [words["col_database" if kind == "generation" else "col_subject"], "n", *shown],
        rows,
        caption=words.say(f"groups_caption_{kind}", task=text.task_name(task)),
        note=note,
        align="lr",
        even=True,
    )
    return [block]


def _part_row(
    shown: Mapping[str, Entry], baseline: str, words: PaperWords, *, key: str, name: str, intervals: bool = False
) -> list[Cell]:
    """n, then of each variant the accuracy and, in parentheses, its difference from the baseline."""
    parts = {variant: entry.get(key, {}).get(name) for variant, entry in shown.items()}
    row: list[Cell] = [words.page.count(max(part["n"] for part in parts.values() if part))]
    base = parts.get(baseline)
    for variant, part in parts.items():
        if part is None:
            row.append(NOTHING)
            continue
        change = f" ({text.points(part['accuracy'] - base['accuracy'])})" if base and variant != baseline else ""
        shown_accuracy = f"{100 * part['accuracy']:.1f}{change}"
        row.append(over(shown_accuracy, text.span(part["ci"]) if intervals else "", words))
    return row


def changes_of(entry: Entry, base: Entry, key: str) -> list[tuple[str, float]]:
    """Parts that both have, with the change of their accuracy, the largest gain first."""
    before, after = base.get(key, {}), entry.get(key, {})
    changes = {name: after[name]["accuracy"] - before[name]["accuracy"] for name in before if name in after}
    return sorted(changes.items(), key=lambda pair: (-pair[1], pair[0]))


def _rules_table(task: str, shown: Mapping[str, Entry], words: PaperWords) -> Block:
    rules = list(dict.fromkeys(rule for entry in shown.values() for rule in entry["rules"]))
    rows: list[list[Cell]] = [
        [variant, *(words.page.number(f"{100 * entry['rules'].get(rule, 0) / entry['n']:.1f}") for rule in rules)]
        for variant, entry in shown.items()
    ]
    caption = words.say("rules_caption", task=text.task_name(task))
    head = [words["col_variant"], *rules]
    return table(f"{task}-rules", head, rows, caption=caption, note=words.say("rules_note"), align="lr")


def reasons_table(summary: Summary, words: PaperWords) -> list[Block]:
    """Why answers of the target task are wrong, for each variant; the reasons that grew rarest first."""
    task = summary["facts"]["target"]
    shown = {v: e for v, e in entries(summary, task).items() if e["valid"] and e.get("reasons")}
    reasons = dict.fromkeys(name for entry in shown.values() for name in entry["reasons"] if name != "ok")
    if not reasons:
        return []
    first = next(iter(shown.values()))
    ordered = sorted(reasons, key=lambda name: (-first["reasons"].get(name, 0), name))
    rows: list[list[Cell]] = []
    for reason in ordered:
        counts = [(entry["reasons"].get(reason, 0), entry["n"]) for entry in shown.values()]
        cells = [f"{words.page.count(count)} ({words.page.number(f'{100 * count / n:.1f}')})" for count, n in counts]
        rows.append([words.page.name(reason), *cells])
    caption = words.say("reasons_caption", task=text.task_name(task))
    head = [words["col_reason"], *shown]
    return [table("reasons", head, rows, caption=caption, note=words.say("reasons_note"), align="lr", even=True)]
