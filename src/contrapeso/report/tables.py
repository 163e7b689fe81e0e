"""The CSV files, with the names, columns and order of the original study, so that what read those can read these.

A summary and its sources enter; file name -> text leaves. The texts a model wrote are kept letter for letter and
quoted as CSV asks; a cell that starts with `=` is a formula to a spreadsheet, so open these files as data.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contrapeso.errors import DataError
from contrapeso.names import slug
from contrapeso.report.measurement import Measurement, Sources
from contrapeso.report.text import ends_of, not_valid
from contrapeso.report.way import stops
from contrapeso.tasks.base import Item

# Category in the summary -> column, in the original's order.
CATEGORY_COLUMNS = {
    "STEM": "STEM",
    "Humanities": "Humanidades",
    "Social Sciences": "Ciências Sociais",
    "Other": "Outros",
}
AGGREGATE_COLUMN = "Acurácia Agregada"
AXES_FILE = "axes.csv"
FRONTIER_FILE = "frontier.csv"
FRONTIER_COLUMNS = (
    *("variant", "origin", "step", "scale", "n_target", "n_general", "gain", "gain_low", "gain_high"),
    *("loss", "loss_low", "loss_high", "on_front", "standing", "valid", "reason"),
)
AXES_COLUMNS = ("axis", "kind", "variant", "n", "unit", "base", "value", "delta", "ci_low", "ci_high", "lost", "gained")


def csv_files(summary: Mapping[str, Any], sources: Sources) -> dict[str, str]:
    """Every CSV file of a study.

    - `avaliacao_<variant>.csv` for a generation task: question, generated_sql, expected_sql, score (0.0 or 1.0), one
      row an item that counts.
    - `avaliacao_<task>_resultados.csv` for an options task: one row a variant, accuracy by category and over all.
    - `summary_fase3_accuracy.csv`: execution accuracy of each variant on the target.
    - `frontier.csv`: every variant, checkpoints and scaled adapters included, as a point of the plane of gain and
      loss, in points; see `frontier`.
    - `axes.csv`, where the study has further axes: each variant against the baseline on each of them.

    A number that the audit found worthless is replaced by `not valid: reason`.

    Args:
        summary: from `summarize`.
        sources: what it was made from.

    Returns:
        File name -> content, UTF-8 text with `\\n` line ends.

    Raises:
        DataError: two variants would be written to one file.
    """
    files: dict[str, str] = {}
    measurements = sources.measurements
    for measurement in measurements:
        if measurement.kind == "generation":
            name = f"avaliacao_{slug(measurement.variant)}.csv"
            if name in files:
                raise DataError(f"two results would both be {name}; rename variant {measurement.variant!r}")
            files[name] = _predictions(measurement, sources.items.get(measurement.task, {}))
    for task in dict.fromkeys(m.task for m in measurements if m.kind == "options"):
        files[f"avaliacao_{task}_resultados.csv"] = _by_category(summary, task)
    if any(summary["facts"]["target"] in tasks for tasks in summary["variants"].values()):
        files["summary_fase3_accuracy.csv"] = _execution_accuracy(summary)
    files[FRONTIER_FILE] = frontier(summary)
    if summary.get("axes"):
        files[AXES_FILE] = _axes(summary)
    return files


def short_name(variant: str) -> str:
    """Row label of the category table: `Baseline Model` -> `Baseline`, `Fine-Tuned Run 1` -> `Run 1`."""
    return variant.removeprefix("Fine-Tuned ").removesuffix(" Model")


def _predictions(measurement: Measurement, items: Mapping[str, Item]) -> str:
    rows = (
        (
            items[outcome.item].question if outcome.item in items else "",
            outcome.answer,
            outcome.gold,
            float(outcome.correct),
        )
        for outcome in measurement.counted
    )
    return _csv(("question", "generated_sql", "expected_sql", "score"), rows)


def _by_category(summary: Mapping[str, Any], task: str) -> str:
    variants = ends_of(summary)["variants"]
    entries = {variant: tasks[task] for variant, tasks in variants.items() if task in tasks}
    present = [name for name in CATEGORY_COLUMNS if any(name in entry["categories"] for entry in entries.values())]
    rows: list[list[object]] = []
    for variant, entry in entries.items():
        parts = [entry["categories"].get(name, {}).get("accuracy", "") for name in present]
        rows.append([short_name(variant), *(_number(entry, value) for value in (*parts, entry["accuracy"]))])
    return _csv(("", *(CATEGORY_COLUMNS[name] for name in present), AGGREGATE_COLUMN), rows)


def _execution_accuracy(summary: Mapping[str, Any]) -> str:
    target = summary["facts"]["target"]
    variants = ends_of(summary)["variants"]
    entries = {variant: tasks[target] for variant, tasks in variants.items() if target in tasks}
    rows = ((variant, _number(entry, entry["accuracy"])) for variant, entry in entries.items())
    return _csv(("", "Execution Accuracy"), rows)


def _axes(summary: Mapping[str, Any]) -> str:
    rows = []
    for row in summary["axes"]:
        numbers = row | dict(zip(("ci_low", "ci_high"), row["ci"], strict=True))
        shown = [numbers[name] if numbers[name] is not None else "" for name in AXES_COLUMNS]
        first = AXES_COLUMNS.index("base")
        kept = shown if row["valid"] else [*shown[:first], *[not_valid(row)] * (len(shown) - first)]
        tests = (row["p"], row["p_holm"]) if row["valid"] else (not_valid(row),) * 2
        rows.append([*kept, *tests, row["verdict"]])
    return _csv((*AXES_COLUMNS, "p", "p_holm", "verdict"), rows)


def frontier(summary: Mapping[str, Any]) -> str:
    """`frontier.csv`: one row a variant, the baseline and all that lies between it and the ends of runs included.

    Columns: `variant`; `origin` (its run; empty for the baseline); `step` (of a checkpoint; empty at the end of a run);
    `scale` (of the update; 0 for the baseline); `n_target`, `n_general` (items); `gain` and `loss` in points with the
    ends of their 95 % intervals (empty where not measured or withheld); `on_front` (`true` where nothing beats it by
    the estimates); `standing` (with uncertainty: `on the front`, `uncertain`, `dominated by X`); `valid`, and `reason`
    where it is `false`.
    """
    rows = []
    for stop in stops(summary):
        numbers = (stop.gain, *(stop.gain_ci or (None, None)), stop.loss, *(stop.loss_ci or (None, None)))
        shown = ["" if number is None else round(number, 6) for number in numbers]
        front = "" if stop.on_front is None else str(stop.on_front).lower()
        where = (stop.variant, stop.origin, stop.step, f"{stop.scale:g}", stop.n_target, stop.n_general)
        rows.append([*where, *shown, front, stop.standing, str(not stop.reason).lower(), stop.reason])
    return _csv(FRONTIER_COLUMNS, rows)


def _number(entry: Mapping[str, Any], value: object) -> object:
    return value if entry["valid"] else not_valid(entry)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = []
    for row in (head, *rows):
        buffer = io.StringIO(newline="")
        # Told that rows end in "\r\n", the writer also quotes a lone "\r", which readers would take for a row's end.
        csv.writer(buffer, lineterminator="\r\n").writerow(row)
        lines.append(buffer.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)
