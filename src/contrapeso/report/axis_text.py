"""The words of the section on further axes: rows of its tables and its sentences, in the language of the report.

A summary with the keys `axes`, `axes_tradeoff` and perhaps `forgetting` enters; text leaves, for page, paper and
`report.md` alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contrapeso.report import text
from contrapeso.report.axes import MEAN
from contrapeso.report.forgetting import LETTERS, SHUFFLED, WORDS
from contrapeso.report.page_words import Words
from contrapeso.report.text import Row

Summary = Mapping[str, Any]
NOTHING = "–"


@dataclass(frozen=True)
class AxisTable:
    """A table in words.

    Attributes:
        title, note: above it.
        head: column headings.
        rows: cells; the first column names the variant, the last one says what came out.
        called: of each row, the verdict as the summary has it, for its colour.
        named: how many columns hold names and not numbers, from the first on.
    """

    title: str
    note: str
    head: Row
    rows: list[Row]
    called: list[str]
    named: int


def axis_tables(summary: Summary, words: Words) -> list[AxisTable]:
    """The tables of the section: changes on each axis, their price, letters against words; only those with rows."""
    tables = (_changes(summary, words), _prices(summary, words), _ways(summary, words))
    return [table for table in tables if table.rows]


def forgetting_sentences(summary: Summary, words: Words) -> list[str]:
    """Of each variant, whether it forgot or lost the letter habit."""
    return [_sentence(row, words) for row in summary.get("forgetting", ())]


def over_interval(cell: str) -> tuple[str, str]:
    """A cell's number and its interval, `""` where it has none."""
    number, bracket, interval = cell.partition(" [")
    return (number, f"[{interval}") if bracket and interval.endswith("]") else (cell, "")


def perplexity(number: float) -> str:
    """`12.34`, and few digits where it is large."""
    return f"{number:.2f}" if number < 1000 else f"{number:.3g}"


def _changes(summary: Summary, words: Words) -> AxisTable:
    columns = ("variant", "axis", "kind", "n", "before", "now", "delta_axis", "changed", "p", "verdict")
    rows: list[Row] = []
    for row in summary.get("axes", ()):
        named = (row["variant"], row["axis"], words.page[f"kind_{row['kind']}"], words.count(row["n"]))
        numbers = _numbers(row) if row["valid"] else (NOTHING,) * 5
        rows.append((*named, *map(words.number, numbers), words.verdict(row["verdict"])))
    title, note = words.page["axes"], words.page["axes_note"].format(baseline=summary["facts"]["baseline"])
    return AxisTable(title, note, _head(columns, words), rows, [row["verdict"] for row in summary.get("axes", ())], 3)


def _numbers(row: Mapping[str, Any]) -> Row:
    """Before, now, difference with its interval, lost / gained, adjusted p."""
    p = text.p_value(row["p_holm"])
    if row["unit"] == "fraction":
        change = f"{text.points(row['delta'])} {text.span(row['ci'], signed=True)}"
        flips = f"{row['lost']} / {row['gained']}"
        return text.percent(row["base"]), text.percent(row["value"]), change, flips, p
    delta, low, high = (f"{end:+.3f}".replace("-", "−") for end in (row["delta"], *row["ci"]))
    return perplexity(row["base_perplexity"]), perplexity(row["perplexity"]), f"{delta} [{low}, {high}]", NOTHING, p


def _prices(summary: Summary, words: Words) -> AxisTable:
    facts = summary["facts"]
    rows: list[Row] = []
    for row in summary.get("axes_tradeoff", ()):
        averaged = ", ".join(map(text.task_name, row.get("averaged", ())))
        name = words.page["axis_mean"].format(tasks=averaged) if row["axis"] == MEAN and averaged else row["axis"]
        loss = NOTHING
        if row["valid"]:
            loss = words.number(f"{text.points(row['loss'])} {text.span(row['loss_ci'], signed=True)}")
        rows.append((row["variant"], name, loss, _rate(row, words)))
    note = words.page["prices_note"].format(target=text.task_name(facts["target"]))
    head = _head(("variant", "axis", "loss_points", "rate"), words)
    return AxisTable(words.page["prices"], note, head, rows, [""] * len(rows), 2)


def _rate(row: Mapping[str, Any], words: Words) -> str:
    if not row["valid"]:
        return words.verdict(text.not_valid(row))
    if row["exchange_rate"] is None:
        return words.page["no_rate_negative" if row["gain_ci"][1] < 0 else "no_rate"]
    return words.number(text.rate_cell(row))


def _ways(summary: Summary, words: Words) -> AxisTable:
    found = summary.get("forgetting", ())
    shown = [way for way in (LETTERS, SHUFFLED, WORDS) if found and way in found[0]]
    told = bool(found) and WORDS in found[0]
    columns = ["variant", "n", *(f"lost_{way}" for way in shown), *["difference"] * told, "word"]
    rows: list[Row] = []
    for row in found:
        numbers = [_lost(row[way], words) if row["valid"] else NOTHING for way in shown]
        if told:
            numbers.append(_difference(row, words) if row["valid"] else NOTHING)
        rows.append((row["variant"], words.count(row["n"]), *numbers, _word(row, words)))
    called = ["loss" if row["word"] in ("knowledge", "both") else "" for row in found]
    return AxisTable(words.page["forgetting"], words.page["forgetting_note"], _head(columns, words), rows, called, 1)


def _word(row: Mapping[str, Any], words: Words) -> str:
    key = "word_" + row["word"].replace(" ", "_")
    return words.page[key] if key in words.page else words.verdict(row["word"])


def _lost(way: Mapping[str, Any], words: Words) -> str:
    return words.number(f"{text.points(way['loss'])} {text.span(way['ci'], signed=True)}")


def _said(way: Mapping[str, Any], words: Words) -> str:
    """A loss in a sentence, which says that it is one: no sign unless something was gained."""
    low, high = (f"{100 * end:.1f}" for end in way["ci"])
    return words.number(f"{100 * way['loss']:.1f} [{low}, {high}]".replace("-", "−"))


def _difference(row: Mapping[str, Any], words: Words) -> str:
    difference = row["difference"]
    return words.number(f"{text.points(difference['value'])} {text.span(difference['ci'], signed=True)}")


def _sentence(row: Mapping[str, Any], words: Words) -> str:
    if not row["valid"]:
        return words.page["sentence_withheld"].format(variant=row["variant"], reason=_word(row, words))
    said = {"variant": row["variant"], "n": words.count(row["n"]), "letters": _said(row[LETTERS], words)}
    if WORDS not in row:
        return words.page["forgetting_unasked"].format(**said, shuffled=_said(row[SHUFFLED], words))
    said |= {"words": _said(row[WORDS], words), "difference": _difference(row, words)}
    if row["shares"] is None:
        return words.page["forgetting_guessing"].format(**said)
    return words.page["forgetting_" + row["word"].split(" at ")[0].replace(" ", "_")].format(**said)


def _head(columns: tuple[str, ...] | list[str], words: Words) -> Row:
    return tuple("n" if column == "n" else words.page[f"col_{column}"] for column in columns)
