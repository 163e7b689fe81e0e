"""The tables of the page, as cells that a template only has to place.

A summary enters, tables leave. A cell carries the text to read, a second line for its interval, and the number that
its column sorts by; so sorting in the browser needs no parsing of what people read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contrapeso.report import text
from contrapeso.report.page_words import Words

Summary = Mapping[str, Any]
Entries = Mapping[str, Mapping[str, Any]]

SHOWN_GROUPS = 12
"""Longer tables of parts are folded."""


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Attributes:
        text: the first line.
        small: the second line.
        sort: what the column sorts by; None sorts by the text.
        change: a difference in [-1, 1], drawn as a bar to the left (loss) or right (gain); None draws none.
        tone: class of the cell: `gain`, `loss`, `quiet`, `ok`, `warn`, `fail` or "".
    """

    text: str
    small: str = ""
    sort: float | None = None
    change: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its title.

    Attributes:
        title: heading; also the caption that a screen reader hears.
        note: a sentence under the heading.
        head: column headings.
        rows: cells; the first of each row is its heading.
        sortable: whether the headings sort.
        folded: whether it is closed until asked for.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    folded: bool = False

    @property
    def largest(self) -> float:
        """The largest change, which the longest bar stands for."""
        return max((abs(cell.change) for row in self.rows for cell in row if cell.change is not None), default=0.0)


def variants_table(summary: Summary, words: Words) -> Table:
    """One row a variant: accuracy and change on every task, and the exchange rate."""
    facts, page = summary["facts"], words.page
    tasks = _tasks(summary)
    changes = {(row["variant"], row["task"]): row for row in summary["comparisons"]}
    rates = {row["variant"]: row for row in summary["tradeoff"]}
    head = [page["col_variant"]]
    for task in tasks:
        head += [text.task_name(task), f"Δ {text.task_name(task)}"]
    rows = []
    for variant, entries in summary["variants"].items():
        row = [Cell(variant)]
        for task in tasks:
            accuracy, few = accuracy_cell(entries.get(task), words), text.fewer(summary, variant, task)
            if few:
                accuracy = replace(accuracy, small=f"{accuracy.small}\n{few}")
            row += [accuracy, change_cell(changes.get((variant, task)), words)]
        row.append(rate_cell(rates.get(variant), words))
        standing = summary.get("pareto", {}).get(variant, {}).get("standing", "")
        rows.append([*row, Cell(words.standing(standing) or "–", tone="" if standing else "quiet")])
    names = {key: text.task_name(facts[key]) for key in ("target", "general")}
    note = page["variants_note"].format(baseline=facts["baseline"], **names)
    return Table(page["variants"], note, [*head, page["col_rate"], page["col_pareto"]], rows)


def changes_table(summary: Summary, words: Words) -> Table:
    """One row a comparison with the baseline: interval, flips, test, power, verdict."""
    page = words.page
    columns = ("variant", "task", "n", "delta", "interval", "changed", "p", "detectable", "verdict")
    head = ["n" if column == "n" else page[f"col_{column}"] for column in columns]
    rows = []
    for row, cells in zip(summary["comparisons"], text.comparison_rows(summary), strict=True):
        note = page["prompted"].format(note=row["prompt_note"]) if row["prompt_note"] else ""
        last = Cell(words.verdict(row["verdict"]), note, tone=_tone(row))
        rows.append([*(Cell(words.number(cell)) for cell in cells[:-1]), last])
        rows[-1][0], rows[-1][2] = Cell(cells[0]), Cell(words.count(row["n"]))
    note = page["changes_note"]
    return Table(page["changes"].format(baseline=summary["facts"]["baseline"]), note, head, rows)


def part_tables(summary: Summary, words: Words) -> list[Table]:
    """Accuracy and change by hardness, category, database, subject; the largest loss first."""
    tables = []
    for task in _tasks(summary):
        entries = _entries(summary, task)
        kind = next(iter(entries.values()))["kind"]
        for key, title in (
            ("hardness", "parts_hardness"),
            ("categories", "parts_categories"),
            ("groups", f"parts_groups_{kind}"),
        ):
            names = list(dict.fromkeys(name for entry in entries.values() for name in entry.get(key, {})))
            if names:
                title = words.page[title].format(task=text.task_name(task))
                rows = [_part_row(summary, entries, key, name, words) for name in names]
                tables.append(_sorted_table(title, "", _head(summary, entries, "col_part", words), rows))
    return tables


def reason_tables(summary: Summary, words: Words) -> list[Table]:
    """Why answers are wrong, for every task that says; one row a reason."""
    tables = []
    for task in _tasks(summary):
        entries = _entries(summary, task)
        reasons = dict.fromkeys(name for entry in entries.values() for name in entry.get("reasons", {}) if name != "ok")
        if reasons:
            rows = [_reason_row(summary, entries, reason, words) for reason in reasons]
            head = _head(summary, entries, "col_reason", words)
            tables.append(_sorted_table(text.task_name(task), "", head, rows, fold=False))
    return tables


def rule_tables(summary: Summary, words: Words) -> list[Table]:
    """Share of items that each rule of comparison calls correct; columns are variants."""
    tables = []
    for task in _tasks(summary):
        entries = _entries(summary, task)
        rules = list(dict.fromkeys(rule for entry in entries.values() for rule in entry.get("rules", {})))
        if rules:
            rows = [[Cell(rule), *(_rule_cell(entry, rule, words) for entry in entries.values())] for rule in rules]
            title = words.page["rules"].format(task=text.task_name(task))
            head = [words.page["col_rule"], *entries]
            tables.append(Table(title, words.page["rules_note"], head, rows))
    return tables


def accuracy_cell(entry: Mapping[str, Any] | None, words: Words) -> Cell:
    """Accuracy over its interval, with the checks that warn of it; or why there is none."""
    if entry is None:
        return Cell("–", tone="quiet")
    if not entry["valid"]:
        return Cell(words.verdict(text.not_valid(entry)), tone="fail")
    warned = "".join(f"\n{words.name('warn')}: {words.name(check)}" for check in entry.get("warnings", ()))
    shown = words.number(text.percent(entry["accuracy"])), words.number(text.span(entry["ci"])) + warned
    return Cell(*shown, sort=entry["accuracy"], tone="warn" if warned else "")


def change_cell(row: Mapping[str, Any] | None, words: Words) -> Cell:
    """A difference over its interval, coloured only when it can be told from nothing."""
    if row is None:
        return Cell("–", tone="quiet")
    if not row["valid"]:
        return _not_valid(words)
    interval = words.number(text.span(row["ci"], signed=True))
    return Cell(words.number(text.points(row["delta"])), interval, sort=row["delta"], tone=_tone(row))


def rate_cell(row: Mapping[str, Any] | None, words: Words) -> Cell:
    """Exchange rate over its interval, or why there is none."""
    if row is None:
        return Cell("–", tone="quiet")
    if not row["valid"]:
        return _not_valid(words)
    if row["exchange_rate"] is None:
        return Cell(words.page["no_rate_negative" if row["gain_ci"][1] < 0 else "no_rate"], tone="quiet")
    low, high = (text.rate(end) for end in row["ci"])
    return Cell(words.number(text.rate(row["exchange_rate"])), words.number(f"[{low}, {high}]"))


def first_variant(summary: Summary) -> str:
    """The variant whose change orders the tables: the first that was trained, else the first that is no baseline."""
    rows = [row for row in summary["comparisons"] if not row["prompt_note"]] or summary["comparisons"]
    return rows[0]["variant"] if rows else ""


def _part_row(summary: Summary, entries: Entries, key: str, name: str, words: Words) -> list[Cell]:
    """Name, n, then for each variant its accuracy and its change."""
    baseline = summary["facts"]["baseline"]
    base = entries.get(baseline, {})
    sizes = [entry[key][name]["n"] for entry in entries.values() if name in entry.get(key, {})]
    row = [Cell(words.name(name) if key != "groups" else name), Cell(words.count(max(sizes)), sort=max(sizes))]
    for variant, entry in entries.items():
        part, reference = entry.get(key, {}).get(name), base.get(key, {}).get(name)
        row.append(accuracy_cell(part and part | {"valid": True}, words) if entry["valid"] else _not_valid(words))
        if variant != baseline:
            known = part and reference and entry["valid"] and base["valid"]
            row.append(_difference(part["accuracy"] - reference["accuracy"] if known else None, words))
    return row


def _reason_row(summary: Summary, entries: Entries, reason: str, words: Words) -> list[Cell]:
    """Name, then for each variant how many items it explains and the change of their share (more is worse)."""
    baseline = summary["facts"]["baseline"]
    base = entries.get(baseline)
    row = [Cell(words.name(reason))]
    for variant, entry in entries.items():
        count = entry.get("reasons", {}).get(reason, 0)
        share = count / entry["n"]
        row.append(
            Cell(str(count), words.number(text.percent(share)), sort=count) if entry["valid"] else _not_valid(words)
        )
        if variant != baseline:
            known = base and base["valid"] and entry["valid"]
            before = base.get("reasons", {}).get(reason, 0) / base["n"] if base and known else None
            row.append(_difference(None if before is None else share - before, words, worse=True))
    return row


def _rule_cell(entry: Mapping[str, Any], rule: str, words: Words) -> Cell:
    if not entry["valid"]:
        return _not_valid(words)
    count = entry["rules"].get(rule, 0)
    return Cell(words.number(text.percent(count / entry["n"])), f"{count} / {entry['n']}")


def _difference(change: float | None, words: Words, *, worse: bool = False) -> Cell:
    """A difference as number and bar; `worse` says that more of it is worse, which turns the bar round."""
    if change is None:
        return Cell("–", tone="quiet")
    return Cell(words.number(text.points(change)), sort=change, change=-change if worse else change)


def _sorted_table(title: str, note: str, head: Sequence[str], rows: list[list[Cell]], *, fold: bool = True) -> Table:
    """The rows by their first change, growing; rows without one last."""

    def key(row: Sequence[Cell]) -> tuple[bool, float]:
        change = next((cell.change for cell in row if cell.change is not None), None)
        return change is None, change or 0.0

    return Table(title, note, head, sorted(rows, key=key), sortable=True, folded=fold and len(rows) > SHOWN_GROUPS)


def _head(summary: Summary, entries: Entries, first: str, words: Words) -> list[str]:
    columns = [words.page[first], *(["n"] if first == "col_part" else [])]
    for variant in entries:
        columns += [variant] if variant == summary["facts"]["baseline"] else [variant, f"Δ {variant}"]
    return columns


def _entries(summary: Summary, task: str) -> dict[str, Mapping[str, Any]]:
    return {variant: by_task[task] for variant, by_task in summary["variants"].items() if task in by_task}


def _tasks(summary: Summary) -> list[str]:
    return list(dict.fromkeys(task for by_task in summary["variants"].values() for task in by_task))


def _not_valid(words: Words) -> Cell:
    return Cell(words.page["not_valid"], tone="fail")


def _tone(row: Mapping[str, Any]) -> str:
    """Colour of a verdict: `gain`, `loss`, or none for what cannot be told from nothing."""
    if not row["valid"]:
        return "fail"
    return row["verdict"] if row["verdict"] in ("gain", "loss") else ""


def used_methods(summary: Summary) -> Iterable[str]:
    """The methods of the accuracies' intervals, `wilson` or `cluster`, in the order met."""
    entries = [entry for by_task in summary["variants"].values() for entry in by_task.values()]
    return dict.fromkeys(entry.get("ci_method", "wilson").split(" (")[0] for entry in entries)
