"""Judge predicted SQL from anywhere: `contrapeso score`.

A file of predictions and a folder of questions enter; one JSON-ready dictionary leaves, and from it the lines on the
console and a CSV table. No model is loaded, and torch is never imported.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sqlite3
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contrapeso.data import load_questions, read_predictions, spider_folder
from contrapeso.data.spider import Split
from contrapeso.errors import DataError
from contrapeso.names import printable
from contrapeso.report.text import percent, span
from contrapeso.sql import JUDGE_RULE, RULES, Sandbox, Verdict, judge_sql
from contrapeso.sql.hardness import LEVELS, hardness
from contrapeso.sql.parallel import judge_on_every_core
from contrapeso.store import fingerprint
from contrapeso.tasks.base import Item
from contrapeso.version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

Rule = Literal["unordered", "spider", "strict"]
Scores = dict[str, Any]

_ABOUT_SQL = ("question", "expected_sql", "generated_sql")
CSV_COLUMNS = ("index", "item", "db_id", "hardness", *RULES, "reason", "detail", "flags", *_ABOUT_SQL)
FLAGS = {
    "gold_empty": "have an empty gold result",
    "gold_ties": "have a gold result that ties decide",
    "gold_fails": "have a gold query that fails",
}
EXAMPLES = 2
MOST_REASONS = 8
MOST_DATABASES = 3
LONGEST_TEXT = 90


def score_predictions(
    predictions: str | Path,
    data: str | Path,
    *,
    split: Split = "dev",
    rule: Rule = "unordered",
    limit: int | None = None,
    every_core: bool = False,
) -> Scores:
    """Judge a file of predictions by all three rules.

    Args:
        predictions: the file; `data.predictions` tells which forms are read.
        data: the folder of questions and databases, or `pocket`; `data.questions` tells which layouts are read.
        split: which questions were answered.
        rule: the headline rule: reasons and examples are about what is wrong by it.
        limit: only the first so many questions were answered.
        every_core: judge in several processes; see `judge_on_every_core` for when that is sound.

    Returns:
        `n`; `rules`, `hardness`, `databases`: right answers, accuracy and its 95 % interval (fractions); `reasons`:
        how many predictions are wrong for each; `flags`: of the questions so marked, how many there are and how many
        are right; `items`: every question of the split, in order. What a folder's `leave_out.json` names is among the
        items, with its reason under `left_out`, and counts nowhere else.

    Raises:
        DataError: predictions or data are missing, malformed or do not belong together.
        ResourceError: no worker process can be started.
    """
    folder, file = spider_folder(data), Path(predictions)
    items = load_questions(folder, split, limit=limit)
    answers = read_predictions(file, items)
    if every_core:
        meanwhile = partial(_prepare, items)
        rows = judged_rows(items, answers, partial(judge_on_every_core, meanwhile=meanwhile), rule=rule)
    else:
        with Sandbox() as sandbox:
            rows = judged_rows(items, answers, partial(judge_sql, sandbox), rule=rule)
    counted = [row for row in rows if "left_out" not in row]
    if not counted:
        raise DataError(f"{folder} leaves out every {split} question, so there is nothing to score")
    wrong = Counter(row["reason"] for row in counted if not row[rule])
    databases = sorted({row["db_id"] for row in counted})
    flags = {flag: [row for row in counted if flag in row["flags"]] for flag in FLAGS}
    overall = _by_rule(counted, clustered=True)
    return {
        "predictions": {"file": str(predictions), "sha256": _sha256(file)},
        "data": {"folder": str(data), "split": split, "sha256": _data_sha256(items)},
        "versions": {"contrapeso": __version__, "sqlite": sqlite3.sqlite_version, "judge": JUDGE_RULE},
        "rule": rule,
        "n": len(counted),
        "left_out": len(rows) - len(counted),
        "rules": overall["rules"],
        "hardness": {
            level: _by_rule(part, clustered=True)
            for level in LEVELS
            if (part := [row for row in counted if row["hardness"] == level])
        },
        "databases": {
            name: _by_rule([row for row in counted if row["db_id"] == name], clustered=False) for name in databases
        },
        "reasons": dict(wrong.most_common()),
        "flags": {flag: {"n": len(part), "correct": _right(part, rule)} for flag, part in flags.items() if part},
        "items": rows,
    }


def _prepare(items: Sequence[Item]) -> None:
    """What is needed once the verdicts are there; hardness remembers its answers."""
    for item in items:
        hardness(item.gold)
    import_module("contrapeso.stats.intervals")


def judged_rows(
    items: Sequence[Item], answers: Sequence[str], judge: Callable[..., list[Verdict]], *, rule: Rule = "unordered"
) -> list[dict[str, Any]]:
    """One row per item: its verdict by every rule and the reason, in the order of the items.

    Args:
        items: questions, each with its database.
        answers: shape (len(items),), predicted SQL.
        judge: `judge_sql` with its sandbox, or `judge_on_every_core`.
        rule: the rule that the reasons are about; verdicts are given by all three.

    Raises:
        DataError: a database is missing or broken.
    """
    triples = [(item.database, item.gold, answer) for item, answer in zip(items, answers, strict=True) if item.database]
    rows = []
    verdicts = judge(triples, rule=rule)
    for index, (item, answer, verdict) in enumerate(zip(items, answers, verdicts, strict=True)):
        row: dict[str, Any] = {"index": index, "item": item.id, "db_id": item.group, "hardness": hardness(item.gold)}
        row |= {name: verdict.rules[name] for name in RULES}
        row |= {"reason": verdict.reason, "detail": verdict.detail, "flags": list(verdict.flags)}
        row |= {"question": item.question, "gold": item.gold, "predicted": answer}
        rows.append(row | ({"left_out": item.left_out} if item.left_out else {}))
    return rows


def scores_csv(scores: Scores) -> str:
    """The items as a table; `score` reads it again, and `compare` its 0/1 columns."""
    text = io.StringIO()
    writer = csv.writer(text)  # with its own line ends, or else a carriage return in a query would not be quoted
    writer.writerow(CSV_COLUMNS)
    for row in scores["items"]:
        cells = row | {rule: int(row[rule]) for rule in RULES} | {"flags": " ".join(row["flags"])}
        cells |= {"expected_sql": row["gold"], "generated_sql": row["predicted"]}
        writer.writerow([cells[column] for column in CSV_COLUMNS])
    return text.getvalue()


def scores_on_console(scores: Scores) -> list[RenderableType]:
    """What `contrapeso score` prints: a title, a table by hardness and rule, and what is behind the wrong answers."""
    from rich.table import Table
    from rich.text import Text

    file, data, rule = Path(scores["predictions"]["file"]), scores["data"], scores["rule"]
    apart = f" ({scores['left_out']} left out)" if scores["left_out"] else ""
    # What the intervals are about: with one database they can only be about more questions to it.
    about = "databases" if scores["rules"][rule]["ci_method"] == "cluster" else "questions"
    title = (
        f"{file.name}: {scores['n']:,} {data['split']} questions{apart} of {data['folder']}; "
        f"intervals for new {about}; headline rule: {rule}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("accuracy [95 %]")
    for name in RULES:
        table.add_column(name, style="bold" if name == rule else "")
    whole = {"n": scores["n"], "rules": scores["rules"]}
    for name, part in {"all": whole, **scores["hardness"]}.items():
        table.add_row(f"{name}, {part['n']:,}", *(_cell(part["rules"][column]) for column in RULES))
    lines = [_databases_line(scores), _reasons_line(scores), _flags_line(scores), *_example_lines(scores)]
    return [Text(printable(title), style="bold"), table, *(Text(printable(line)) for line in lines if line)]


def _by_rule(rows: Sequence[Mapping[str, Any]], *, clustered: bool) -> dict[str, Any]:
    """Accuracy of some rows by every rule; `clustered`: its interval is for other databases too."""
    # Imported here because numpy starts threads, and judging may fork before.
    from contrapeso.stats.intervals import accuracy_interval

    clusters = [row["db_id"] for row in rows] if clustered else None
    rules = {}
    for rule in RULES:
        correct = [row[rule] for row in rows]
        interval = accuracy_interval(correct, clusters)
        rules[rule] = {
            "correct": sum(correct),
            "accuracy": sum(correct) / len(rows),
            "ci": [interval.low, interval.high],
            "ci_method": interval.method,
        }
    return {"n": len(rows), "rules": rules}


def _right(rows: Sequence[Mapping[str, Any]], rule: str) -> int:
    return sum(row[rule] for row in rows)


def _cell(entry: Mapping[str, Any]) -> str:
    return f"{percent(entry['accuracy'])} {span(entry['ci'])}"


def _databases_line(scores: Scores) -> str:
    """The databases with the lowest and the highest accuracy."""
    rule, databases = scores["rule"], scores["databases"]
    if len(databases) == 1:
        return ""
    entries = {name: part["rules"][rule] for name, part in databases.items()}
    ranked = sorted(entries, key=lambda name: (entries[name]["accuracy"], -databases[name]["n"]))
    few = min(MOST_DATABASES, len(ranked) // 2)

    def listed(names: Sequence[str]) -> str:
        return ", ".join(f"{name} {_cell(entries[name])} of {databases[name]['n']}" for name in names)

    return f"databases: lowest {listed(ranked[:few])}; highest {ranked[-1]} {percent(entries[ranked[-1]]['accuracy'])}"


def _reasons_line(scores: Scores) -> str:
    reasons = list(scores["reasons"].items())
    wrong = sum(scores["reasons"].values())
    if not wrong:
        return "wrong: none"
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons[:MOST_REASONS])
    rest = sum(count for _, count in reasons[MOST_REASONS:])
    return f"wrong, {wrong:,}: {listed}" + (f", other {rest}" if rest else "")


def _flags_line(scores: Scores) -> str:
    parts = [f"{part['n']} {FLAGS[flag]} ({part['correct']} scored right)" for flag, part in scores["flags"].items()]
    return f"questions: {'; '.join(parts)}" if parts else ""


def _example_lines(scores: Scores) -> list[str]:
    """For each of the commonest reasons the easiest question that fails by it: the worst of the wrong answers."""
    wrong = [row for row in scores["items"] if not row[scores["rule"]] and "left_out" not in row]
    lines = []
    for reason in list(scores["reasons"])[:EXAMPLES]:
        failed = [row for row in wrong if row["reason"] == reason]
        row = min(failed, key=lambda row: LEVELS.index(row["hardness"]))
        sql = _shortened(row["predicted"]) or "nothing"
        detail = f" ({_shortened(row['detail'])})" if row["detail"] else ""
        lines.append(f"{row['item']}, {row['hardness']}, {row['db_id']}: {reason}{detail}: {sql}")
    return lines


def _shortened(text: str) -> str:
    return textwrap.shorten(text, LONGEST_TEXT, placeholder=" ...")


def _sha256(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _data_sha256(items: Sequence[Item]) -> str:
    """Hash of all that a score depends on apart from the predictions: questions, gold queries, databases."""
    databases = dict.fromkeys(item.database for item in items if item.database)
    questions = [[item.id, item.group, item.question, item.gold, item.left_out] for item in items]
    return fingerprint([questions, [_sha256(database) for database in databases]])
