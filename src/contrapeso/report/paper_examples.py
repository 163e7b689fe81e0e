"""Real examples for the paper: which items it shows of those a variant lost and gained, and what of them.

A summary and its sources enter, blocks leave. The choice follows a rule that the paper tells, so nobody picks.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contrapeso.report.highlight import marked_codes
from contrapeso.report.measurement import Sources
from contrapeso.report.packing import visible
from contrapeso.report.paper_blocks import Block, example, excerpt, heading, one_line, paragraph
from contrapeso.report.paper_tables import leading_variant
from contrapeso.report.paper_words import PaperWords, Part
from contrapeso.report.text import task_name
from contrapeso.tasks.base import Item, Outcome

Summary = Mapping[str, Any]

REASONS_SHOWN = 2
"""Examples of each direction: one for each of so many reasons."""
SHORT = 500
"""Characters of a question with its options, and of a query, that fit a few lines."""
MOST = 900
"""Characters shown of a text that is longer, when there is no shorter one."""
_RUN = re.compile(r"([a-zA-Z])(\d+)")


@dataclass(frozen=True)
class Change:
    """An item that one variant answered correctly and the other did not."""

    item: Item
    before: Outcome
    after: Outcome

    @property
    def lost(self) -> bool:
        """Whether the right answer is the earlier one."""
        return self.before.correct

    @property
    def reason(self) -> str:
        """Why the wrong one of the two is wrong."""
        return (self.after if self.lost else self.before).reason

    @property
    def short(self) -> bool:
        """Whether all of it fits a few lines."""
        asked = len(self.item.question) + sum(map(len, self.item.choices))
        queries = (self.item.gold, self.before.answer, self.after.answer)
        return asked <= SHORT and all(len(query) <= SHORT for query in queries)


def example_blocks(summary: Summary, sources: Sources, words: PaperWords) -> list[Block]:
    """Examples of both tasks under their heading; nothing when no valid comparison has any."""
    facts = summary["facts"]
    names = {key: task_name(facts[key]) for key in ("target", "general")} | {"baseline": facts["baseline"]}
    blocks: list[Block] = []
    said: list[list[Part]] = []
    for task, rule in ((facts["target"], "examples_queries"), (facts["general"], "examples_options")):
        variant = leading_variant(summary, task)
        examples = chosen(_changes(summary, sources, task, variant))
        if examples and not said:
            who = "examples_best" if task == facts["target"] else "examples_other"
            said.append(words.say(who, variant=variant, **names))
        if examples:
            said.append(words.say(rule, variant=variant, **names))
        blocks += [_block(change, (facts["baseline"], variant), words) for change in examples]
    if not blocks:
        return []
    return [heading(words["errors_examples"], 2), paragraph(*said, words.say("marks_note")), *blocks]


def _changes(summary: Summary, sources: Sources, task: str, variant: str) -> list[Change]:
    """Items of a task that the variant lost or gained, in the order of the data set."""
    measured = {m.variant: m for m in sources.measurements if m.task == task}
    base, tuned = measured.get(summary["facts"]["baseline"]), measured.get(variant)
    if base is None or tuned is None:
        return []
    after = {outcome.item: outcome for outcome in tuned.counted}
    items = sources.items.get(task, {})
    pairs = [(before, after[before.item]) for before in base.counted if before.item in after]
    return [
        Change(items[before.item], before, now)
        for before, now in pairs
        if before.correct != now.correct and before.item in items
    ]


def chosen(changes: Sequence[Change]) -> list[Change]:
    """The examples: gained ones first, short ones where there are any.

    Queries: the first of each of the most frequent reasons. Multiple choice: the one whose right answer was surest.
    """
    examples: list[Change] = []
    for lost in (False, True):
        side = [change for change in changes if change.lost == lost]
        side = [change for change in side if change.short] or side
        if any(change.item.choices for change in side):
            examples.append(
                max(side, key=lambda change: max(_shares(change.before if lost else change.after), default=0))
            )
            continue
        frequent = [reason for reason, _ in Counter(change.reason for change in side).most_common(REASONS_SHOWN)]
        examples += [next(change for change in side if change.reason == reason) for reason in frequent]
    return examples


def _block(change: Change, variants: tuple[str, str], words: PaperWords) -> Block:
    """An example: question, gold, and both answers; or the options with both variants' probabilities."""
    what = words["lost" if change.lost else "gained"]
    title = f"{change.item.id}, {change.item.group.replace('_', ' ')}"
    asked = {"label": words["question"], "text": one_line(change.item.question, MOST, words)}
    if change.item.choices:
        return example(what, title, [asked, _options(change, variants, words)])
    gold = {
        "label": words["gold"],
        "sql": _query(change.item.gold, "", words),
        "detail": _result(change.before, "gold", words) or _result(change.after, "gold", words),
    }
    outcomes = zip(variants, (change.before, change.after), strict=True)
    answers = [_answer(variant, outcome, change.item.gold, words) for variant, outcome in outcomes]
    return example(what, title, [asked, gold, *answers])


def _answer(variant: str, outcome: Outcome, gold: str, words: PaperWords) -> dict[str, Any]:
    """One variant's query, whether it is right, and why not."""
    said = words["right"] if outcome.correct else words.page.name(outcome.reason)
    detail = "" if outcome.correct else one_line(outcome.detail, MOST // 3, words)
    row: dict[str, Any] = {"label": variant, "verdict": said, "correct": outcome.correct, "said": detail}
    row["detail"] = _result(outcome, "predicted", words)
    if not outcome.answer.strip():
        return row | {"text": words["no_answer"]}
    return row | {"sql": _query(outcome.answer, "" if outcome.correct else gold, words)}


def _query(sql: str, other: str, words: PaperWords) -> list[list[Any]]:
    """A query cut to what a page can show; with what another lacks marked, if one is given."""
    shown, mark = excerpt(sql, MOST, words)
    return [*runs(shown, excerpt(other, MOST, words)[0]), *([["cut", mark, False]] if mark else [])]


def runs(sql: str, other: str) -> list[list[Any]]:
    """A query as [kind, text, marked] of its stretches; marked is what another query lacks, if one is given."""
    shown, compared = visible(sql), visible(other)
    _, code = marked_codes(compared or shown, shown)
    stretches, start = [], 0
    for letter, length in _RUN.findall(code):
        stretches.append([letter.lower(), shown[start : start + int(length)], letter.isupper()])
        start += int(length)
    return stretches


def _result(outcome: Outcome, side: str, words: PaperWords) -> str:
    """Size and first row of the result of the `gold` or the `predicted` query; "" when it gave none."""
    preview = outcome.results.get(side)
    if not preview:
        return ""
    size = {"rows": words.page.count(preview["row_count"]), "columns": words.page.count(preview["column_count"])}
    if not preview["rows"]:
        return words["size"].format(**size)
    row = one_line(" | ".join(map(str, preview["rows"][0])), MOST // 6, words)
    return words["size_first"].format(row=row, **size)


def _options(change: Change, variants: tuple[str, str], words: PaperWords) -> dict[str, Any]:
    """Letter, option and both variants' probabilities, a row each."""
    columns = [_shares(outcome) for outcome in (change.before, change.after)]
    rows = []
    for place, choice in enumerate(change.item.choices):
        shares = [f"{100 * column[place]:.0f}" if place < len(column) else "\u2013" for column in columns]
        letter = "ABCDEFGHIJ"[place : place + 1]
        marks = [outcome.answer == letter for outcome in (change.before, change.after)]
        row = {"letter": letter, "option": one_line(choice, MOST // 3, words), "gold": letter == change.item.gold}
        rows.append(row | {"shares": shares, "chosen": marks})
    head = [words["option"], *variants]
    return {"label": "", "options": rows, "head": head, "note": words["option_note"]}


def _shares(outcome: Outcome) -> list[float]:
    """Probability of each option, among the options; empty where the journal has none."""
    known = outcome.log_probabilities
    if not known or not all(map(math.isfinite, known)):
        return []
    weights = [math.exp(value - max(known)) for value in known]
    return [weight / sum(weights) for weight in weights]
