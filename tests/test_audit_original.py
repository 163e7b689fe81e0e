"""The original study's protocol, replayed through our tasks and our audit: every fault is caught, no number is printed.

What it did is told in the README. Each fault can be planted alone, so that a check is seen to catch its own fault and
nothing else; with all of them in place, and the original's published answers, nothing of the study stands.
"""

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contrapeso import load_study
from contrapeso.audit import audit
from contrapeso.data import load_mmlu, load_spider, mmlu_folder, spider_folder
from contrapeso.evidence import Evidence
from contrapeso.materials import Materials
from contrapeso.report.measurement import Check, Measurement, StudyFacts
from contrapeso.report.summary import summarize
from contrapeso.report.text import accuracy_rows, comparison_rows, tradeoff_rows
from contrapeso.sql import Sandbox, read_schema, render_schema
from contrapeso.tasks.base import Generation, Item, OptionScores, Outcome, Prompt
from contrapeso.tasks.multiple_choice import LETTERS, MultipleChoice
from contrapeso.tasks.text_to_sql import TextToSQL

BASE, RUN_1, RUN_2 = VARIANTS = ("Baseline Model", "Fine-Tuned Run 1", "Fine-Tuned Run 2")
FACTS = StudyFacts(name="the original", base_model="mistralai/Mistral-7B-Instruct-v0.2")

FAULTS: Mapping[str, set[tuple[str, str]]] = {
    "below_chance": {(variant, "mmlu") for variant in VARIANTS},
    "schema_in_prompts": {(variant, "spider") for variant in VARIANTS},
    "different_prompts": {(RUN_1, "spider"), (RUN_2, "spider")},
    "leaked_items": {(variant, "mmlu") for variant in VARIANTS},
    "unstopped_answers": {(variant, "spider") for variant in VARIANTS},
}
"""The check that catches a fault of the original -> the numbers that fall with it."""

# The markup of another model family around the base model's question, and none around the tuned model's.
FOR_THE_BASE = (
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{schema}Write SQL.\n\nQuestion: How many farms?\n"
    "SQL: SELECT count(*) FROM farm\n\nQuestion: {question}\nSQL:<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n"
)
FOR_THE_TUNED = "{schema}Turn this question into SQL.\nQuestion: {question}\nSQL:"


@dataclass(frozen=True)
class AsTheOriginalAsked(TextToSQL):
    """Text-to-SQL with a prompt of its own, with or without the schema."""

    template: str = FOR_THE_BASE
    shows_schema: bool = False

    def prompt(self, item: Item) -> Prompt:
        schema = f"{render_schema(read_schema(item.database), 'ddl')}\n\n" if self.shows_schema else ""
        return Prompt("", self.template.format(schema=schema, question=item.question))


@dataclass(frozen=True)
class Answers:
    """What the models said: SQL for every question, and five tokens after `Answer:` for every option question."""

    items: Sequence[Item]
    queries: Mapping[str, Sequence[str]]
    questions: Sequence[Item]
    five_tokens: Callable[[str, int, Item], Sequence[str]]


def sha(prompt: Prompt) -> str:
    return hashlib.sha256(prompt.text.encode()).hexdigest()[:16]


def text_to_sql(answers: Answers, sandbox: Sandbox, faults: set[str], variant: str = BASE) -> AsTheOriginalAsked:
    other = variant != BASE and "different_prompts" in faults
    return AsTheOriginalAsked(
        tuple(answers.items),
        sandbox,
        template=FOR_THE_TUNED if other else FOR_THE_BASE,
        shows_schema="schema_in_prompts" not in faults,
    )


def measure_sql(answers: Answers, sandbox: Sandbox, faults: set[str], variant: str) -> Measurement:
    """Judge the queries. The original let every answer run to 100 tokens, since nothing it taught ends one."""
    task = text_to_sql(answers, sandbox, faults, variant)
    stopped = "unstopped_answers" not in faults
    replies = [
        Generation(text, stopped, 20 if stopped else 100, prompt_tokens=200, prompt_sha=sha(task.prompt(item)))
        for item, text in zip(task.items, answers.queries[variant], strict=True)
    ]
    return Measurement(variant, "spider", "generation", task.score(task.items, replies))


def multiple_choice(questions: Sequence[Item], faults: set[str]) -> MultipleChoice:
    """Four shots: from the dev split, or as in the original the first four of the evaluated questions themselves."""
    shots: dict[str, list[Item]] = {}
    if "leaked_items" in faults:
        for item in questions:
            shots.setdefault(item.group, []).append(item)
    else:
        shots = {subject: list(items) for subject, items in load_mmlu(mmlu_folder("pocket")).dev.items()}
    return MultipleChoice(tuple(questions), {subject: items[:4] for subject, items in shots.items()}, shots=4)


def last_of_five(tokens: Sequence[str]) -> str:
    """How the original read an answer: the first letter of the last of five generated tokens."""
    return tokens[-1].strip()[:1].upper()


def measure_letters(answers: Answers, faults: set[str], variant: str) -> Measurement:
    """Read the option letters: the likeliest letter, or as in the original from generated text."""
    task = multiple_choice(answers.questions, faults)
    said = [answers.five_tokens(variant, place, item) for place, item in enumerate(task.items)]
    prompts = [sha(task.prompt(item)) for item in task.items]
    if "below_chance" not in faults:
        replies = [
            OptionScores(tuple(-0.1 if letter == tokens[0].strip() else -3.0 for letter in LETTERS), True, 600, prompt)
            for tokens, prompt in zip(said, prompts, strict=True)
        ]
        return Measurement(variant, "mmlu", "options", task.score(task.items, replies))
    outcomes = [
        Outcome(
            item=item.id,
            group=item.group,
            gold=item.gold,
            answer=last_of_five(tokens),
            correct=last_of_five(tokens) == item.gold,
            reason="ok" if last_of_five(tokens) == item.gold else "wrong_option",
            prompt_sha=prompt,
            prompt_tokens=600,
            truncated=False,
            stopped="unstopped_answers" not in faults,
        )
        for item, tokens, prompt in zip(task.items, said, prompts, strict=True)
    ]
    return Measurement(variant, "mmlu", "generation", outcomes)


def replay(answers: Answers, sandbox: Sandbox, faults: set[str]) -> tuple[list[Measurement], list[Check]]:
    """Measure and audit a study with these faults, on the path of `contrapeso run`."""
    measurements = [
        measurement
        for variant in VARIANTS
        for measurement in (measure_sql(answers, sandbox, faults, variant), measure_letters(answers, faults, variant))
    ]
    materials = Materials(
        target=text_to_sql(answers, sandbox, faults),
        few_shot=None,
        general=multiple_choice(answers.questions, faults),
        train=(),
        examples=(),
        base_key={},
    )
    record = materials.record(load_study("pocket"), (), tolerated=())
    evidence = Evidence(
        facts=FACTS,
        measurements=measurements,
        gold_verdicts=record.gold_verdicts,
        schema_shown=record.schema_shown,
        evaluated=record.evaluated,
        leaked=record.leaked,
    )
    return measurements, audit(evidence)


def failing(checks: Sequence[Check]) -> dict[str, set[tuple[str, str]]]:
    return {check.check: set(check.affects) for check in checks if check.status == "fail"}


def assert_nothing_stands(summary: Mapping[str, Any]) -> None:
    """No accuracy, difference, exchange rate or sentence of this summary gives a number."""
    entries = [entry for tasks in summary["variants"].values() for entry in tasks.values()]
    assert len(entries) == 6 and len(summary["comparisons"]) == 4 and len(summary["tradeoff"]) == 2
    assert not any(entry["valid"] for entry in (*entries, *summary["comparisons"], *summary["tradeoff"]))
    assert all(row[-1].startswith("not valid: ") for row in accuracy_rows(summary))
    assert all(row[-1].startswith("not valid: ") and row[3] == "–" for row in comparison_rows(summary))
    assert all(row[3].startswith("not valid: ") and row[1:3] == ("–", "–") for row in tradeoff_rows(summary))
    assert summary["verdict"].count("cannot be weighed") == 2


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(workers=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def pocket() -> Answers:
    """Models that know six in ten facts; the base knows no table name, the tuned ones every third query."""
    items = load_spider(spider_folder("pocket"))[:45]
    spoiled = [f"SELECT answer FROM things WHERE number = {place}" for place in range(len(items))]

    def five_tokens(variant: str, place: int, item: Item) -> Sequence[str]:
        letter = item.gold if place % 5 < 3 else LETTERS[(LETTERS.index(item.gold) + 1) % 4]
        return (f" {letter}", "\n\n", "Question", ":", " Why" if variant == BASE else " Who")

    tuned = [item.gold if place % 3 == 0 else spoiled[place] for place, item in enumerate(items)]
    queries = {BASE: spoiled, RUN_1: tuned, RUN_2: [*tuned[:-1], "SELECT 1"]}
    subjects = load_mmlu(mmlu_folder("pocket"), limit_per_subject=20).test
    return Answers(items, queries, subjects[:100], five_tokens)


def test_the_same_answers_measured_soundly_fail_no_check(pocket, sandbox):
    measurements, checks = replay(pocket, sandbox, set())
    assert failing(checks) == {}
    accuracy = {(m.variant, m.task): sum(o.correct for o in m.outcomes) / len(m.outcomes) for m in measurements}
    assert accuracy[BASE, "mmlu"] == 0.6 and accuracy[BASE, "spider"] == 0.0


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_caught_by_its_own_check(fault, pocket, sandbox):
    _, checks = replay(pocket, sandbox, {fault})
    assert failing(checks) == {fault: FAULTS[fault]}


def test_reading_the_last_of_five_tokens_turns_knowledge_into_nothing(pocket, sandbox):
    """The models know 60 %, as the sound reading of the very same answers shows; the original's reading finds 0 %."""
    measurements, checks = replay(pocket, sandbox, {"below_chance"})
    assert not any(outcome.correct for m in measurements if m.task == "mmlu" for outcome in m.outcomes)
    (check,) = [check for check in checks if check.check == "below_chance"]
    assert all("0.0 % where guessing gives 25 %" in reason for reason in check.reasons)


def test_with_all_faults_no_number_is_printed(pocket, sandbox):
    measurements, checks = replay(pocket, sandbox, set(FAULTS))
    assert set(failing(checks)) == set(FAULTS)
    assert_nothing_stands(summarize(FACTS, measurements, checks=checks, resamples=100))


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def published(shared_data) -> Answers:
    """The original's own answers: its 300 queries, and letters that score what it published."""
    folder = shared_data / "seed_results"
    tables = {variant: rows_of(folder / f"avaliacao_{variant.replace(' ', '_')}.csv") for variant in VARIANTS}
    names = [row["db_id"] for row in rows_of(folder / "recomputed.csv")][:100]
    items = [
        Item(
            id=f"dev/{place:04d}",
            group=name,
            question=row["question"],
            gold=row["expected_sql"],
            database=shared_data / "spider" / "database" / name / f"{name}.sqlite",
        )
        for place, (name, row) in enumerate(zip(names, tables[BASE], strict=True))
    ]
    # The three subjects it drew from, under the categories of its table; which 50 questions of each is not published.
    subjects = {
        "STEM": "high_school_computer_science",
        "Humanidades": "philosophy",
        "Ciências Sociais": "high_school_macroeconomics",
    }
    questions = load_mmlu(shared_data / "mmlu", subjects=tuple(subjects.values()), limit_per_subject=50).test
    shares = {row[""]: row for row in rows_of(folder / "avaliacao_mmlu_resultados.csv")}
    category = {subject: name for name, subject in subjects.items()}
    place_in_subject = {item.id: place % 50 for place, item in enumerate(questions)}

    def five_tokens(variant: str, place: int, item: Item) -> Sequence[str]:
        row = shares["Baseline" if variant == BASE else variant.removeprefix("Fine-Tuned ")]
        hit = place_in_subject[item.id] < round(50 * float(row[category[item.group]]))
        return (" The", " answer", " is", ":", item.gold if hit else "\n")

    queries = {variant: [row["generated_sql"] for row in table] for variant, table in tables.items()}
    return Answers(items, queries, questions, five_tokens)


def test_of_the_published_study_no_number_stands(published, sandbox, shared_data):
    measurements, checks = replay(published, sandbox, set(FAULTS))
    mmlu = {m.variant: sum(o.correct for o in m.outcomes) / len(m.outcomes) for m in measurements if m.task == "mmlu"}
    table = rows_of(shared_data / "seed_results" / "avaliacao_mmlu_resultados.csv")
    assert list(mmlu.values()) == pytest.approx([float(row["Acurácia Agregada"]) for row in table])
    assert set(failing(checks)) == set(FAULTS)
    for fault, affected in FAULTS.items():
        assert affected <= failing(checks)[fault]
    assert_nothing_stands(summarize(FACTS, measurements, checks=checks, resamples=100))


def test_the_published_base_lies_outside_the_published_band_of_its_model(published, sandbox):
    _, checks = replay(published, sandbox, set(FAULTS))
    (band,) = [check for check in checks if check.check == "published_band"]
    assert band.status == "warn" and "58.0-61.0 %" in band.detail
