"""`report.pdf`: the study as a technical report, set by Typst.

A summary and its sources enter, a PDF leaves. What the report says is put together here as blocks (`paper_blocks`) and
goes to `templates/paper.typ` as JSON, so no text of a user or a model is ever read as markup. The same study gives the
same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import typst

from contrapeso.report import text
from contrapeso.report.figures import charts, to_svg
from contrapeso.report.measurement import Sources
from contrapeso.report.page_words import verdict_sentences
from contrapeso.report.paper_axes import axis_blocks
from contrapeso.report.paper_blocks import Block, figure, heading, paragraph, placeable, points, table
from contrapeso.report.paper_examples import example_blocks
from contrapeso.report.paper_method import method_blocks, model_name, size, without_folder
from contrapeso.report.paper_parts import part_tables, reasons_said, reasons_table
from contrapeso.report.paper_tables import accuracies_said, accuracy_table, changes_table, trade_table
from contrapeso.report.paper_way import way_blocks
from contrapeso.report.paper_words import PaperWords, Part, paper_words, plain

Summary = Mapping[str, Any]

FONT = "Libertinus Serif"
TEMPLATES = ("paper.typ", "formulas.typ", "paper.yml")


def render_paper(summary: Summary, sources: Sources) -> bytes:
    """The report as PDF/A-2b (plain PDF when names have characters that the embedded fonts lack).

    Args:
        summary: from `summarize`.
        sources: what it was made from.

    Returns:
        The PDF's bytes.

    Raises:
        StudyError: the report does not speak `sources.language`.
    """
    words = paper_words(sources.language)
    drawn = charts(summary, font=FONT, training=sources.training, words=words.page)
    data = paper_data(summary, sources, figures=list(drawn))
    with tempfile.TemporaryDirectory(prefix="contrapeso-paper-") as name:
        root = Path(name)
        for template in TEMPLATES:
            content = resources.files("contrapeso.report").joinpath(f"templates/{template}").read_bytes()
            (root / template).write_bytes(content)
        (root / "data.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        for figure_name, chart in drawn.items():
            (root / f"{figure_name}.svg").write_text(to_svg(chart), encoding="utf-8")
        return _compile(root)


def _compile(root: Path) -> bytes:
    """The PDF; not an archival one when a name has characters that the embedded fonts lack, which PDF/A forbids."""
    paper = str(root / "paper.typ")
    try:
        return bytes(
            typst.compile(
                paper,
                root=str(root),
                format="pdf",
                ignore_system_fonts=True,
                timestamp=0,
                pdf_standards="a-2b",
            )
        )
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return bytes(typst.compile(paper, root=str(root), format="pdf", timestamp=0))


def paper_data(summary: Summary, sources: Sources, *, figures: list[str]) -> dict[str, Any]:
    """What the template places: words and blocks, nothing to compute.

    Args:
        summary: from `summarize`.
        sources: what it was made from.
        figures: names of the figures that were drawn.

    Returns:
        JSON-ready values; every text in them is ready to be placed.
    """
    words = paper_words(sources.language)
    versions = sources.provenance.get("versions", {})
    body = [
        heading(words["introduction"]),
        paragraph(words.say("asked", **_names(summary))),
        *method_blocks(summary, sources, words),
        *_results(summary, words, figures),
        *_errors(text.ends_of(summary), sources, words),
        *_audit(summary, words),
        heading(words["limits"]),
        points(_limits(summary, sources, words)),
    ]
    labels = ("subtitle", "running", "abstract", "references", "appendix")
    return {
        "language": sources.language,
        "study": placeable(summary["study"]),
        "labels": {label: words[label] for label in labels} | {"title": [words["title_1"], words["title_2"]]},
        "made_by": placeable(words["made_by"].format(version=versions.get("contrapeso", "")).replace("  ", " ")),
        "abstract": placeable(_abstract(summary, words)),
        "body": placeable(body),
        "appendix": placeable(_appendix(sources, words)),
    }


def _names(summary: Summary) -> dict[str, str]:
    facts = summary["facts"]
    tasks = {key: text.task_name(facts[key]) for key in ("target", "general")}
    return tasks | {"baseline": str(facts["baseline"])}


def _abstract(summary: Summary, words: PaperWords) -> str:
    """What was done, what was found, whether it can be trusted."""
    facts, model = summary["facts"], model_name(summary, words)
    (target, _), (general, _) = size(summary, facts["target"]), size(summary, facts["general"])
    sizes = {"target_size": words.counted("question", target), "general_size": words.counted("question", general)}
    others = {v for v in summary["variants"] if v != facts["baseline"] and not _note(summary, v)}
    runs = words.counted("run", sum(not text.on_the_way(summary, variant) for variant in others))
    kind = "abstract_what" if target and general else "abstract_one_task"
    sentences = [] if summary["complete"] else [words["incomplete"]]
    sentences.append(plain(words.say(kind, model=model, runs=runs, **sizes, **_names(summary))))
    sentences += verdict_sentences(summary, words.page)
    by_status = {
        status: [words.check(row["check"]) for row in summary["audit"] if row["status"] == status]
        for status in ("warn", "fail")
    }
    if by_status["fail"]:
        withheld = any(not entry["valid"] for by_task in summary["variants"].values() for entry in by_task.values())
        kind = "abstract_failed" if withheld else "abstract_tolerated"
        sentences.append(plain(words.say(kind, names=", ".join(by_status["fail"]))))
    if by_status["warn"]:
        sentences.append(plain(words.say("abstract_warned", names=", ".join(by_status["warn"]))))
    if summary["audit"] and not any(by_status.values()):
        sentences.append(plain(words.say("abstract_ok", checks=str(len(summary["audit"])))))
    return " ".join(sentences)


def _note(summary: Summary, variant: str) -> str:
    """How a variant's prompts differ on purpose."""
    return next((entry["prompt_note"] for entry in summary["variants"][variant].values() if entry["prompt_note"]), "")


def _results(summary: Summary, words: PaperWords, figures: list[str]) -> list[Block]:
    names, ends = _names(summary), text.ends_of(summary)
    blocks = [
        heading(words["results"]),
        heading(words["results_accuracy"], 2),
        paragraph(words.say("accuracy_lead"), *accuracies_said(ends, words)),
        accuracy_table(ends, words),
    ]
    if "accuracy" in figures:
        blocks.append(figure("accuracy", caption=words.say("accuracy_figure"), width=72))
    if summary["comparisons"]:
        lead = paragraph(words.say("changes_lead", **names))
        blocks += [heading(words["results_changes"], 2), lead, changes_table(ends, words)]
    if summary["tradeoff"]:
        told = words.say("trade_lead_figure" if "tradeoff" in figures else "trade_lead", **names)
        front = [row["variant"] for row in ends["tradeoff"] if row["pareto"] == "on the front"]
        said = [words.say("trade_front", names=", ".join(front))] if front else []
        blocks += [heading(words["results_trade"], 2), paragraph(told, *said), trade_table(ends, words)]
    if "tradeoff" in figures:
        blocks.append(figure("tradeoff", caption=words.say("tradeoff_figure", **names), width=78))
    if "training" in figures:
        lead = paragraph(words.say("training_lead"))
        drawn = figure("training", caption=words.say("training_figure"), width=88)
        blocks += [heading(words["results_training"], 2), lead, drawn]
    blocks += way_blocks(summary, words, drawn="frontier" in figures)
    blocks += axis_blocks(summary, words)
    parts = part_tables(ends, words)
    if parts:
        blocks += [heading(words["results_parts"], 2), paragraph(words.say("parts_lead")), *parts]
    return blocks


def _errors(summary: Summary, sources: Sources, words: PaperWords) -> list[Block]:
    reasons = reasons_table(summary, words)
    if reasons:
        said = reasons_said(summary, words)
        reasons = [heading(words["errors_reasons"], 2), paragraph(words.say("reasons_lead"), *said), *reasons]
    found = [*reasons, *example_blocks(summary, sources, words)]
    return [heading(words["errors"]), *found] if found else []


def _audit(summary: Summary, words: PaperWords) -> list[Block]:
    if not summary["audit"]:
        return []
    rows = [
        [
            words.check(row["check"]),
            words.checks.get(row["check"], ""),
            words.statuses.get(row["status"], row["status"]),
        ]
        for row in summary["audit"]
    ]
    found: list[list[Part]] = [
        [{"em": words.check(row["check"])}, f": {row['detail']}"] for row in summary["audit"] if row["status"] != "ok"
    ]
    head = [words[f"col_{name}"] for name in ("check", "asks", "status")]
    lead = paragraph(words.say("audit_lead", checks=words.counted("check", len(rows))))
    blocks = [heading(words["audit"]), lead, table("audit", head, rows, caption=words.say("audit_caption"))]
    return [*blocks, paragraph([words["audit_found"]]), points(found)] if found else blocks


def _limits(summary: Summary, sources: Sources, words: PaperWords) -> list[list[Part]]:
    """What this study does not show; only what holds for it."""
    settings, names = sources.settings, _names(summary)
    said = []
    if settings.get("runs"):
        said.append("limit_seed")
        said += ["limit_one_run"] if len(settings["runs"]) == 1 else []
    limits = [settings.get("target", {}).get("limit"), settings.get("general", {}).get("limit_per_subject")]
    sentences = [words.say(name) for name in said]
    if any(limits):
        shown = " / ".join(words.page.count(limit) for limit in limits if limit)
        sentences.append(words.say("limit_limited", limit=shown))
    if "pocket" in [
        settings.get(part, {}).get(key) for part, key in (("model", "id"), ("target", "data"), ("general", "data"))
    ]:
        sentences.append(words.say("limit_pocket"))
    sentences += [words.say(name, **names) for name in ("limit_general", "limit_execution", "limit_contamination")]
    power = {f"{key}_power": _power(summary, summary["facts"][key], words) for key in ("target", "general")}
    if all(power.values()):
        sentences.append(words.say("limit_power", **power, **names))
    return sentences


def _power(summary: Summary, task: str, words: PaperWords) -> str:
    """The largest of a task's smallest detectable differences, in points; "" when there is none."""
    found = [row["detectable"] for row in summary["comparisons"] if row["task"] == task and row["valid"]]
    known = [difference for difference in found if difference is not None]
    return words.page.number(f"{100 * max(known):.1f}") if known else ""


def _appendix(sources: Sources, words: PaperWords) -> list[Block]:
    head = [words["col_fact"], words["col_value"]]
    told = {
        part: {key: value for key, value in sources.settings[part].items() if key != "leave_out"}  # told in the text
        for part in ("model", "target", "general", "evaluate")
        if part in sources.settings
    }
    blocks: list[Block] = []
    for name, facts in (("settings", told), ("provenance", sources.provenance)):
        known = [(key, without_folder(value)) for key, value in flatten(facts) if value not in ("", "None")]
        rows = [[{"code": key}, {"code": value}] for key, value in known]
        if rows:
            title = heading(words["settings_title" if name == "settings" else "provenance"], 2)
            lead = paragraph([words[f"{name}_lead"]])
            blocks += [title, lead, {"kind": "facts", "head": head, "rows": rows}]
    return blocks


def flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested facts as (dotted name, value) in the order given."""
    pairs: list[tuple[str, str]] = []
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            pairs += flatten(inner, f"{prefix}{key}.")
        else:
            shown = ", ".join(map(str, inner)) if isinstance(inner, list | tuple) else str(inner)
            pairs.append((f"{prefix}{key}", shown))
    return pairs
