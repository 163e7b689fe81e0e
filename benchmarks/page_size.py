"""The largest page a usual study makes: how many bytes `report.html` has, and how long a browser takes to open it.

    python -m benchmarks.page_size DATA [--runs 5] [--keep report.html]

DATA holds the whole of `spider/` and `mmlu/` and, in `spider_predictions/`, published predictions for Spider dev, one
query a line. The study is made up of them: five variants, every question of both sets (1,034 and 14,042). Queries are
real answers of three systems, judged here; the fourth and fifth variant take each query from one of two systems.
Letters and probabilities are drawn, with as many answers changed between variants as between checkpoints of a real
fine-tuned model (5 % lost, 5 % gained). The browser is Chromium without a window; its time runs from the start of
navigation to the moment when the item explorer can be used.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from contrapeso.data.mmlu import CATEGORY_OF_SUBJECT, load_mmlu
from contrapeso.data.spider import load_spider
from contrapeso.report.measurement import Measurement, Sources, StudyFacts
from contrapeso.report.page import render_page
from contrapeso.report.summary import summarize
from contrapeso.sql import Sandbox, judge_sql, read_schema, render_schema
from contrapeso.tasks.base import Item, Outcome

VARIANTS = ("Baseline Model", "Fine-Tuned Run 1", "Fine-Tuned Run 2", "Fine-Tuned Run 3", "Fine-Tuned Run 4")
SYSTEMS = ("chatgpt_zero_shot", "dts_sql_mistral7b", "din_sql_gpt4")
MMLU_ACCURACY = (0.60, 0.59, 0.595, 0.57, 0.55)


def full_size_study(data: Path) -> tuple[StudyFacts, Sources]:
    """Facts and sources of the made-up study.

    Args:
        data: folder with `spider`, `mmlu` and `spider_predictions`.
    """
    spider, mmlu = load_spider(data / "spider"), load_mmlu(data / "mmlu").test
    measurements = [
        measurement
        for variant, queries, accuracy in zip(VARIANTS, _queries(data), MMLU_ACCURACY, strict=True)
        for measurement in (
            Measurement(variant, "spider", "generation", judged(spider, queries)),
            Measurement(variant, "mmlu", "options", drawn(mmlu, accuracy, seed=VARIANTS.index(variant))),
        )
    ]
    facts = StudyFacts(
        "full-size", categories=dict(CATEGORY_OF_SUBJECT), base_model="mistralai/Mistral-7B-Instruct-v0.2"
    )
    first_of_database = {item.group: item for item in reversed(spider)}
    schemas = {name: render_schema(read_schema(item.database), "ddl") for name, item in first_of_database.items()}
    items = {"spider": {item.id: item for item in spider}, "mmlu": {item.id: item for item in mmlu}}
    history = [{"step": step, "loss": 0.3 + 1.2 / (1 + step / 25)} for step in range(1, 438)]
    noise = np.random.default_rng(0).normal(0, 0.05, (4, 437))
    training = {
        variant: [row | {"loss": row["loss"] + wobble} for row, wobble in zip(history, wobbles.tolist(), strict=True)]
        for variant, wobbles in zip(VARIANTS[1:], noise, strict=True)
    }
    return facts, Sources(measurements, items, schemas, training, {"study": "made up for a benchmark"})


def _queries(data: Path) -> list[list[str]]:
    """One list of queries a variant."""
    folder = data / "spider_predictions"
    base, first, second = ((folder / f"{name}.sql").read_text(encoding="utf-8").splitlines() for name in SYSTEMS)
    mixed = [
        [pair[index % 2] for index, pair in enumerate(zip(*two, strict=True))]
        for two in ((base, first), (first, second))
    ]
    return [base, first, second, *mixed]


def judged(items: Sequence[Item], queries: Sequence[str]) -> list[Outcome]:
    """Outcomes of real queries on the real databases."""
    triples = [(item.database, item.gold, query) for item, query in zip(items, queries, strict=True) if item.database]
    with Sandbox() as sandbox:
        verdicts = judge_sql(sandbox, triples)
    return [
        replace(
            _outcome(item, query, verdict.rules["unordered"], verdict.reason),
            detail=verdict.detail,
            flags=verdict.flags,
            rules=verdict.rules,
            results={
                side: {"rows": preview.rows, "row_count": preview.row_count, "column_count": preview.column_count}
                for side, preview in (("gold", verdict.gold), ("predicted", verdict.predicted))
                if preview
            },
        )
        for item, query, verdict in zip(items, queries, verdicts, strict=True)
    ]


def drawn(items: Sequence[Item], accuracy: float, *, seed: int) -> list[Outcome]:
    """Outcomes of a made-up model: what it knows is mostly what the other made-up models know."""
    shared, own = np.random.default_rng(0), np.random.default_rng(seed + 1)
    ease = shared.normal(0, 1, len(items)) + own.normal(0, 0.2, len(items))
    lead = np.abs(ease - np.quantile(ease, 1 - accuracy)) * 2
    outcomes = []
    for item, sure, right in zip(items, lead, ease >= np.quantile(ease, 1 - accuracy), strict=True):
        letters = "ABCDEFGH"[: len(item.choices)]
        answer = item.gold if right else own.choice([letter for letter in letters if letter != item.gold])
        scores = np.where([letter == answer for letter in letters], sure, own.normal(-1, 1, len(letters)).clip(max=0))
        logarithms = scores - np.log(np.exp(scores).sum())
        outcome = _outcome(item, str(answer), bool(right), "ok" if right else "wrong_option")
        outcomes.append(replace(outcome, log_probabilities=tuple(logarithms.round(6).tolist())))
    return outcomes


def _outcome(item: Item, answer: str, correct: bool, reason: str) -> Outcome:
    return Outcome(
        item=item.id,
        group=item.group,
        gold=item.gold,
        answer=answer,
        correct=correct,
        reason=reason,
        prompt_sha=item.id,
        prompt_tokens=500,
        truncated=False,
        stopped=True,
    )


def load_seconds(file: Path, runs: int) -> list[float]:
    """Seconds until the explorer can be used, each time in a fresh browser."""
    from playwright.sync_api import sync_playwright

    browser_file = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    seconds = []
    for _ in range(runs):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_file, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(file.as_uri())
            page.wait_for_selector("#explorer", state="visible")
            seconds.append(page.evaluate("performance.getEntriesByName('items-ready')[0].startTime") / 1000)
            browser.close()
    return seconds


def main() -> None:
    """Make the page, open it, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with spider, mmlu and spider_predictions")
    parser.add_argument("--runs", type=int, default=5, help="fresh browsers")
    parser.add_argument("--keep", type=Path, help="where to leave the page")
    arguments = parser.parse_args()
    facts, sources = full_size_study(arguments.data)
    summary = summarize(facts, sources.measurements)
    started = time.perf_counter()
    html = render_page(summary, sources)
    rendered = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        file = arguments.keep or Path(folder, "report.html")
        file.write_text(html, encoding="utf-8")
        seconds = load_seconds(file.resolve(), arguments.runs)
        size = file.stat().st_size
    print("| what | median | range |\n| --- | --- | --- |")
    print(f"| bytes of report.html, 5 variants x (1,034 + 14,042) items | {size:,} | |")
    print(f"| made in, s | {rendered:.1f} | |")
    print(f"| opened in, s | {statistics.median(seconds):.2f} | {min(seconds):.2f} - {max(seconds):.2f} |")


if __name__ == "__main__":
    main()
