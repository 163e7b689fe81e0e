"""From what lies in a study folder to its report: audit, summary, and every file that leaves. No model, no data set.

`run` ends here, and `contrapeso report` does nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contrapeso.audit import audit, require_known_checks
from contrapeso.errors import StoreError
from contrapeso.evidence import Evidence
from contrapeso.manifest import seal
from contrapeso.recommend import recommend_among
from contrapeso.report.products import write_products
from contrapeso.report.record import Record, read_record, read_sources
from contrapeso.report.summary import summarize
from contrapeso.report.write import write_report
from contrapeso.stats.selection import Rule
from contrapeso.store import StudyFolder, open_folder, read_json, write_json
from contrapeso.study import load_study


def rebuild_report(
    folder: str | Path, *, allow_failing_audit: Sequence[str] | None = None, language: str | None = None
) -> dict[str, Any]:
    """Write the report of a study folder again, from the outcomes in it.

    Args:
        folder: the study folder; its measurements need not be complete.
        allow_failing_audit: names of audit checks whose failure does not withhold numbers, in this report; as in the
            run by default.
        language: of page and paper in this report, `en` or `pt-BR`; as the study says by default.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        StoreError: not a study folder, in use, damaged, or nothing is measured yet.
        StudyError: there is no such audit check.
    """
    root = Path(folder)
    if not (root / "record.json").is_file():
        raise StoreError(
            f"{root} is not a study folder with measurements; `contrapeso run STUDY --out {root}` makes one"
        )
    with open_folder(root) as opened:
        record = read_record(opened)
        if allow_failing_audit is not None:
            record = replace(record, tolerated=require_known_checks(allow_failing_audit))
        if language is not None:
            record = replace(record, language=language)
        summary = rebuild(opened, record)
        manifest = (read_json(opened.manifest) or {}) | {"complete": summary["complete"]}
        manifest.get("inputs", {})["tolerated audit checks"] = ", ".join(record.tolerated)
        write_json(opened.manifest, seal(manifest, opened.root))
        return summary


def rebuild(folder: StudyFolder, record: Record) -> dict[str, Any]:
    """Audit, summarize and write everything that leaves, model cards and archives of adapters included.

    Raises:
        StoreError: nothing is measured yet, or a file is damaged.
        ResourceError: a file cannot be written.
    """
    study = load_study(folder.root / "study.toml")
    sources = replace(read_sources(folder, record), settings=study.model_dump(mode="json"))
    measured = [*sources.measurements, *sources.axes]
    if not sources.measurements:
        raise StoreError(f"nothing in {folder.root} is measured to the end yet; run the study again to go on")
    evidence = Evidence(
        facts=record.facts,
        measurements=measured,
        gold_verdicts=record.gold_verdicts,
        schema_shown=record.schema_shown,
        evaluated=record.evaluated,
        leaked=record.leaked,
        trained_on=record.trained_on,
    )
    complete = len(measured) == len(record.plan)
    summary = summarize(
        record.facts,
        sources.measurements,
        axes=sources.axes,
        checks=audit(evidence),
        tolerated=record.tolerated,
        complete=complete,
    )
    budget = study.report.max_loss_points
    if budget is not None and any(row["valid"] for row in summary["tradeoff"]):
        rule = Rule("max_loss", budget / 100)
        summary["recommendation"] = recommend_among(summary, sources.measurements, record.facts, rule)
    write_report(folder.root, summary, sources)
    write_products(folder, summary, sources=sources, record=record)
    return summary
