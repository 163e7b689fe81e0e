"""The words of a report: the verdict in sentences, rows of tables, and the table on the console.

A summary (see `summary.summarize`) enters, text leaves. Fractions become points and percent here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

Summary = Mapping[str, Any]
Row = tuple[str, ...]

TASK_NAMES = {"spider": "Spider", "mmlu": "MMLU"}


def percent(fraction: float) -> str:
    """`0.2134` -> `21.3 %`."""
    return f"{100 * fraction:.1f} %"


def points(fraction: float) -> str:
    """A signed difference in points: `0.123` -> `+12.3`, with a true minus sign."""
    return f"{100 * fraction:+.1f}".replace("-", "−").replace("−0.0", "0.0").replace("+0.0", "0.0")


def span(ci: Sequence[float], *, signed: bool = False) -> str:
    """An interval of fractions: `[17.1, 26.0]`, or `[+8.1, +16.5]` when signed."""
    low, high = (points(end) if signed else f"{100 * end:.1f}" for end in ci)
    return f"[{low}, {high}]"


def rate(number: float) -> str:
    """An exchange rate, which is already a ratio: `0.0634` -> `0.06`."""
    return f"{number:.2f}".replace("-", "−")


def p_value(p: float) -> str:
    """`0.0229` -> `0.023`; `2e-7` -> `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def not_valid(entry: Mapping[str, Any]) -> str:
    """What stands in the place of a number that the audit withholds."""
    return f"not valid: {entry['invalid_reason']}"


def accuracy_cell(entry: Mapping[str, Any]) -> str:
    """Accuracy with its interval and the audit checks that warn of it, or why there is none."""
    warnings = f" (warning: {', '.join(entry['warnings'])})" if entry["valid"] and entry.get("warnings") else ""
    return _accuracy(entry) + warnings


def _accuracy(entry: Mapping[str, Any]) -> str:
    return f"{percent(entry['accuracy'])} {span(entry['ci'])}" if entry["valid"] else not_valid(entry)


def rate_cell(tradeoff: Mapping[str, Any]) -> str:
    """Exchange rate with its interval, or why there is none."""
    if not tradeoff["valid"]:
        return not_valid(tradeoff)
    if tradeoff["exchange_rate"] is None:
        return str(tradeoff["reason"])
    low, high = tradeoff["ci"]
    return f"{rate(tradeoff['exchange_rate'])} [{rate(low)}, {rate(high)}]"


def task_name(task: str) -> str:
    """How a task is written in prose: `mmlu` -> `MMLU`; an unknown key stays as it is."""
    return TASK_NAMES.get(task, task)


def on_the_way(summary: Summary, variant: str) -> bool:
    """Whether a variant is a checkpoint or a scaled adapter: in tables and figures, but with no sentence of its own."""
    point = summary.get("points", {}).get(variant)
    return point is not None and (point["step"] is not None or point["scale"] != 1)


def ends_of(summary: Summary) -> Summary:
    """The summary without checkpoints and scaled adapters.

    For what sets numbers of different variants side by side and not against the baseline on the same items: those may
    be measured on a part of the items, and are too many for a column each.
    """
    if "points" not in summary:
        return summary
    kept = {name: entries for name, entries in summary["variants"].items() if not on_the_way(summary, name)}
    rows = {
        key: [row for row in summary[key] if not on_the_way(summary, row["variant"])]
        for key in ("comparisons", "tradeoff")
    }
    return {**summary, **rows, "variants": kept}


def fewer(summary: Summary, variant: str, task: str) -> str:
    """`n = 200` where a variant answered fewer items than the baseline; else nothing."""
    entries = summary["variants"]
    n, base = (entries.get(name, {}).get(task, {}).get("n") for name in (variant, summary["facts"]["baseline"]))
    return f"n = {n}" if n is not None and base is not None and n < base else ""


def verdict_sentences(summary: Summary) -> list[str]:
    """One sentence for each run or imported adapter that was weighed, or what there is to say when none was."""
    target, general = summary["facts"]["target"], summary["facts"]["general"]
    name, other = task_name(target), task_name(general)
    verdicts = {(row["variant"], row["task"]): row for row in summary["comparisons"]}
    sentences = []
    for row in summary["tradeoff"]:
        if on_the_way(summary, row["variant"]):
            continue
        if not row["valid"]:
            sentences.append(f"{row['variant']} cannot be weighed; {not_valid(row)}.")
            continue
        on_target, on_general = verdicts[row["variant"], target], verdicts[row["variant"], general]
        sentence = f"{row['variant']}: {_change(on_target)} on {name}, {_change(on_general)} on {other}"
        if row["exchange_rate"] is not None and on_target["verdict"] == "gain":  # else there is nothing to price
            sentence += f"; {rate_cell(row)} {other} points lost for each {name} point gained"
        sentences.append(sentence + ".")
    if not sentences:
        sentences.append(
            "No variant was measured on both tasks beside the baseline, so there is no trade-off to weigh."
        )
    return sentences


def verdict_text(summary: Summary) -> str:
    """The verdict as one paragraph; key `verdict` of the summary."""
    prefix = "" if summary["complete"] else "Incomplete study. "
    return prefix + " ".join(verdict_sentences(summary))


def accuracy_rows(summary: Summary) -> list[Row]:
    """Rows of (variant, task, n, accuracy with interval)."""
    return [
        (variant, task_name(task), str(entry["n"]), accuracy_cell(entry))
        for variant, tasks in summary["variants"].items()
        for task, entry in tasks.items()
    ]


def comparison_rows(summary: Summary) -> list[Row]:
    """Rows of (variant, task, n, difference, interval, lost / gained, adjusted p, detectable, verdict)."""
    rows: list[Row] = []
    for row in summary["comparisons"]:
        note = f"; prompted differently ({row['prompt_note']})" if row["prompt_note"] else ""
        numbers: Row = ("–",) * 5
        if row["valid"]:
            detectable = "–" if row["detectable"] is None else f"{100 * row['detectable']:.1f}"
            changed = f"{row['lost']} / {row['gained']}"
            numbers = (points(row["delta"]), span(row["ci"], signed=True), changed, p_value(row["p_holm"]), detectable)
        rows.append((row["variant"], task_name(row["task"]), str(row["n"]), *numbers, row["verdict"] + note))
    return rows


def tradeoff_rows(summary: Summary) -> list[Row]:
    """Rows of (variant, gain, loss, exchange rate, place among the others)."""
    return [
        (
            row["variant"],
            f"{points(row['gain'])} {span(row['gain_ci'], signed=True)}" if row["valid"] else "–",
            f"{points(row['loss'])} {span(row['loss_ci'], signed=True)}" if row["valid"] else "–",
            rate_cell(row),
            row["pareto"] or "–",
        )
        for row in summary["tradeoff"]
    ]


INTERVALS_NOTE = (
    "Text-to-SQL intervals are for new databases (Wilson on the effective number of items); multiple-choice intervals "
    "for more questions like these (Wilson)."
)
TESTS_NOTE = (
    "p is of McNemar's exact test, or of the cluster-robust t test where that is larger (text-to-SQL, whose questions "
    "cluster by database), adjusted by Holm over the runs."
)
ACCURACY_HEAD = ("Variant", "Task", "n", "Accuracy [95 %]")
COMPARISON_HEAD = (
    "Variant",
    "Task",
    "n",
    "Δ points",
    "95 % interval",
    "lost / gained",
    "p (Holm)",
    "detectable",
    "Verdict",
)
TRADEOFF_HEAD = ("Variant", "Gain, points", "Loss, points", "Exchange rate", "Pareto front")


def summary_table(summary: Summary) -> Table:
    """The console table: accuracies, changes and exchange rate of the baseline, the runs and imported adapters."""
    between = sum(on_the_way(summary, variant) for variant in summary["variants"])
    summary = ends_of(summary)
    tasks = list(dict.fromkeys(task for entries in summary["variants"].values() for task in entries))
    changes = {(row["variant"], row["task"]): row for row in summary["comparisons"]}
    rates = {row["variant"]: rate_cell(row) for row in summary["tradeoff"]}
    table = Table(title=escape(summary["study"]), title_justify="left")
    table.add_column("variant")
    for task in tasks:
        table.add_column(escape(task_name(task)))
    target, general = (escape(task_name(summary["facts"][key])) for key in ("target", "general"))
    table.add_column(f"{general} lost per {target} gained")
    warnings: dict[str, None] = {}
    for variant, entries in summary["variants"].items():
        cells = []
        for task in tasks:
            cell = _accuracy(entries[task]) if task in entries else "–"
            if few := fewer(summary, variant, task):
                cell += f" {few}"
            if task in entries and entries[task]["valid"] and entries[task]["warnings"]:
                cell += " *"
                warnings |= dict.fromkeys(entries[task]["warnings"])
            change = changes.get((variant, task))
            if change and change["valid"]:
                cell += (
                    f"\n{points(change['delta'])} {span(change['ci'], signed=True)} {change['verdict'].split(' (')[0]}"
                )
            cells.append(escape(cell))
        table.add_row(escape(variant), *cells, escape(rates.get(variant, "–")))
    notes = [f"* the audit warns: {', '.join(warnings)}"] if warnings else []
    if between:
        notes.append(f"{between} checkpoints and scaled adapters: report.html and csv/frontier.csv")
    if notes:
        table.caption = escape("\n".join(notes))
        table.caption_justify = "left"
    return table


def _change(row: Mapping[str, Any]) -> str:
    low, high = row["ci"]
    if row["verdict"] == "gain":
        return f"gain of {100 * row['delta']:.1f} points {span((low, high))}"
    if row["verdict"] == "loss":
        return f"loss of {-100 * row['delta']:.1f} points {span((-high, -low))}"
    return str(row["verdict"])


def plain_markdown(text: str) -> str:
    """Text as Markdown that renders as itself: markup characters escaped, newlines flattened."""
    flat = " ".join(text.split())
    for character in "\\`*_{}[]<>#|~$":
        flat = flat.replace(character, "\\" + character)
    return flat.replace("&", "&amp;")


def markdown_table(head: Row, rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table; cells are plain text."""
    return [f"| {' | '.join(map(plain_markdown, row))} |" for row in (head, ("---",) * len(head), *rows)]
