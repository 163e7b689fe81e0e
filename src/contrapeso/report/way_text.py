"""What the way to each run says: its sentences, its table, and the recommendation, in every language.

A summary and words enter; sentences, rows of cells and Markdown leave. Page, paper and `report.md` say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contrapeso.report import text
from contrapeso.report.page_tables import Cell, Table
from contrapeso.report.page_words import Words, words_in
from contrapeso.report.way import Stop, stops, way_of
from contrapeso.stats.selection import SPLITS

LEAST_SHARE = 0.005
"""Share of the splits up to which a choice is not named: it would be shown as 0 %."""
Summary = Mapping[str, Any]
Changes = Mapping[tuple[str, str], Mapping[str, Any]]
"""(variant, task) -> row of the key `way`."""


@dataclass(frozen=True)
class WaySection:
    """What a report says of the way there.

    Attributes:
        title: heading.
        sentences: one a run.
        advice: what is recommended, and what such a choice is worth; empty without a budget.
        table: every point; None when nothing was measured between base and runs.
    """

    title: str
    sentences: tuple[str, ...]
    advice: tuple[str, ...]
    table: Table | None


def way_section(summary: Summary, words: Words) -> WaySection | None:
    """What there is to say of the way there; None where nothing lies on it and no budget is named."""
    advice = tuple(advice_sentences(summary, words))
    if any(text.on_the_way(summary, variant) for variant in summary["variants"]):
        sentences = tuple(way_sentences(summary, words))
        return WaySection(words.page["way"], sentences, advice, way_table(summary, words))
    return WaySection(words.page["advice"], (), advice, None) if advice else None


def way_sentences(summary: Summary, words: Words) -> list[str]:
    """One sentence a run: what on its way certainly keeps more of the general task than its end, and for how much.

    Of several that do, the one that gives up least of the target is named; the intervals are those of its two
    differences, not of having chosen it, which is what `recommend` is for.
    """
    changes = _changes(summary)
    origins = dict.fromkeys(point["origin"] for point in summary.get("points", {}).values())
    return [_sentence(summary, changes, run, words) for run in origins if way_of(summary, run)]


def _sentence(summary: Summary, changes: Changes, run: str, words: Words) -> str:
    target, general = summary["facts"]["target"], summary["facts"]["general"]
    both = [name for name in way_of(summary, run) if (name, target) in changes and (name, general) in changes]
    valid = [name for name in both if changes[name, target]["valid"] and changes[name, general]["valid"]]
    said = {"run": run, "target": text.task_name(target), "general": text.task_name(general), "count": len(valid)}
    if not valid:
        rows = (changes[name, task] for name in both for task in (general, target))
        reason = next((text.not_valid(row) for row in rows if not row["valid"]), words.page["not_measured"])
        return words.page["way_withheld"].format(**said, reason=words.verdict(reason))
    certain = [name for name in valid if changes[name, general]["verdict"] == "gain"]
    if certain:
        variant = max(certain, key=lambda name: float(changes[name, target]["delta"]))
    else:
        variant = max(valid, key=lambda name: float(changes[name, general]["delta"]))
    for side, task in (("target", target), ("general", general)):
        row = changes[variant, task]
        said |= {
            f"{side}_change": words.number(text.points(row["delta"])),
            f"{side}_ci": words.number(text.span(row["ci"], signed=True)),
            f"{side}_verdict": words.verdict(row["verdict"]),
        }
    kind = "way_saves" if certain else "way_saves_nothing"
    return words.page[kind].format(**said, variant=variant, certain=len(certain))


def probe_sentence(summary: Summary, words: Words) -> str:
    """On how many items the variants between base and run are measured; "" when on all."""
    facts = summary["facts"]
    probed = next((name for name, point in summary.get("points", {}).items() if point["probe"]), None)
    entries = summary["variants"].get(probed, {})
    if not all(facts[side] in entries for side in ("target", "general")):
        return ""
    said = {side: text.task_name(facts[side]) for side in ("target", "general")}
    sizes = {f"{side}_n": words.count(entries[facts[side]]["n"]) for side in ("target", "general")}
    return words.page["way_probe"].format(**said, **sizes)


def advice_sentences(summary: Summary, words: Words) -> list[str]:
    """What is recommended within the budget, and what such a choice is worth; none when the study names no budget."""
    found = summary.get("recommendation")
    if not found:
        return []
    page, held, rule = words.page, found["held_out"], found["rule"]
    said = {side: text.task_name(found[side]) for side in ("target", "general")} | {
        "budget": words.number(f"{100 * rule['budget']:g}"),
        "level": words.number(f"{100 * rule['confidence']:g} %"),
        "baseline": found["baseline"],
    }
    chosen = next((one for one in found["candidates"] if one["name"] == found["chosen"]), None)
    if chosen:
        numbers = {name: words.number(_points(chosen[name])) for name in ("gain", "loss", "bound")}
        sentences = [page["advice_chosen"].format(**said, **numbers, variant=chosen["name"])]
    else:
        sentences = [page["advice_none"].format(**said)]
    if held["gain"] is None:
        sentences.append(page["advice_unknown"])
    else:
        numbers = {name: words.number(_points(held[name])) for name in ("gain", "loss")}
        spans = {name: words.number(text.span(held[name], signed=True)) for name in ("gain_ci", "loss_ci")}
        promised = words.number(_points(held["gain"] + held["flattery"]))
        sentences.append(page["advice_worth"].format(**said, **numbers, **spans, promised=promised, splits=SPLITS))
    names = ((row["variant"] or page["advice_nobody"], row["share"]) for row in held["chosen"])
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in names if share > LEAST_SHARE)
    return [*sentences, page["advice_shares"].format(shares=shares)]


def way_table(summary: Summary, words: Words) -> Table:
    """One row a variant between base and run, under its run; the runs themselves first of each."""
    page, facts = words.page, summary["facts"]
    changes = _changes(summary)
    standing = [stop for stop in stops(summary) if stop.origin and way_of(summary, stop.origin)]
    origins = list(dict.fromkeys(stop.origin for stop in standing))
    ordered = sorted(standing, key=lambda stop: (origins.index(stop.origin), _order(stop)))
    against = [page["col_against_end"].format(task=text.task_name(facts[side])) for side in ("target", "general")]
    head = [page["col_variant"], "n", page["col_gain"], page["col_loss"], *against, page["col_pareto"]]
    rows = [_row(stop, summary, changes, words) for stop in ordered]
    note = page["way_note"].format(baseline=facts["baseline"])
    return Table(page["way"], " ".join(filter(None, (note, probe_sentence(summary, words)))), head, rows)


def _order(stop: Stop) -> tuple[int, float]:
    """The run, then its checkpoints as they came, then its scales as they grow."""
    if stop.step is not None:
        return 1, stop.step
    return (0, 0.0) if stop.scale == 1 else (2, stop.scale)


def _row(stop: Stop, summary: Summary, changes: Changes, words: Words) -> list[Cell]:
    sizes = [words.count(n) for n in (stop.n_target, stop.n_general) if n is not None]
    row = [Cell(stop.variant), Cell(" / ".join(sizes))]
    for value, ends in ((stop.gain, stop.gain_ci), (stop.loss, stop.loss_ci)):
        if value is None or ends is None:
            row.append(Cell(words.page["not_valid"], tone="fail") if stop.reason else Cell("–", tone="quiet"))
            continue
        interval = text.span([end / 100 for end in ends], signed=True)
        row.append(Cell(words.number(text.points(value / 100)), words.number(interval)))
    for side in ("target", "general"):
        change = changes.get((stop.variant, summary["facts"][side]))
        row.append(_change(change, words))
    return [*row, Cell(words.standing(stop.standing) or "–", tone="" if stop.standing else "quiet")]


def _change(change: Mapping[str, Any] | None, words: Words) -> Cell:
    """A difference from the end of the run, coloured when it can be told from nothing."""
    if change is None or not change["valid"]:
        return Cell("–", tone="quiet") if change is None else Cell(words.page["not_valid"], tone="fail")
    tone = change["verdict"] if change["verdict"] in ("gain", "loss") else ""
    interval = words.number(text.span(change["ci"], signed=True))
    return Cell(words.number(text.points(change["delta"])), interval, tone=tone)


def way_lines(summary: Summary) -> list[str]:
    """Lines of `report.md`, in English; none when there is nothing to say."""
    section = way_section(summary, words_in("en"))
    if section is None:
        return []
    said = [f"{text.plain_markdown(sentence)}\n" for sentence in (*section.sentences, *section.advice)]
    lines = [f"## {section.title}", "", *said]
    if section.table:
        rows = [tuple(" ".join(filter(None, (cell.text, cell.small))) for cell in row) for row in section.table.rows]
        lines += [section.table.note, "", *text.markdown_table(tuple(section.table.head), rows), ""]
    return lines


def _changes(summary: Summary) -> Changes:
    return {(row["variant"], row["task"]): row for row in summary.get("way", ())}


def _points(fraction: float) -> str:
    """A difference in points, unsigned but where it is below zero."""
    return text.points(fraction).replace("+", "")
