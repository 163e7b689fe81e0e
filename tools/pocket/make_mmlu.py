"""Write the pocket benchmark: the facts of `facts/*.toml` as MMLU questions.

Enters: the relations read by `fact_text.load_facts`.
Leaves: `src/contrapeso/data/pocket/mmlu/{dev,test}/<subject>_{dev,test}.csv`, columns and values as the `cais/mmlu`
export has them. Every fact becomes one question: five per subject are the dev shots, the rest is the test split.
Run from the repository root: `python -m tools.pocket.make_mmlu`. The same facts give the same bytes.
"""

from __future__ import annotations

import csv
import random
from itertools import groupby, zip_longest
from pathlib import Path

from tools.pocket.fact_text import Fact, Relation, load_facts

OUTPUT = Path(__file__).resolve().parents[2] / "src" / "contrapeso" / "data" / "pocket" / "mmlu"
HEADER = ("question", "choice0", "choice1", "choice2", "choice3", "answer")
SHOTS = 5


def split_facts(subject: str, relations: list[Relation]) -> tuple[list[Fact], list[Fact]]:
    """The dev and the test facts of a subject: dev takes one fact per relation in turn until it has `SHOTS`."""
    rng = random.Random(f"dev and test/{subject}")
    shuffled = [rng.sample(relation.facts, len(relation.facts)) for relation in relations]
    in_turn = [fact for round_ in zip_longest(*shuffled) for fact in round_ if fact is not None]
    test = in_turn[SHOTS:]
    rng.shuffle(test)
    return in_turn[:SHOTS], test


def question_rows(name: str, facts: list[Fact]) -> list[tuple[str, ...]]:
    """One CSV row per fact; the right option's places are as equal in number as can be.

    Args:
        name: seeds wordings and places; differs between subjects and splits.
        facts: the facts to ask for.
    """
    rng = random.Random(f"places/{name}")
    letters = rng.sample(range(4), 4)  # a random order: the fifth of five gives no letter an edge
    places = [letters[index % 4] for index in range(len(facts))]
    rng.shuffle(places)
    rows = []
    for fact, place in zip(facts, places, strict=True):
        options = rng.sample(fact.reserved, 3)
        options.insert(place, fact.y)
        rows.append((rng.choice(fact.asks), *options, str(place)))
    return rows


def write_benchmark(folder: Path) -> dict[str, int]:
    """Write the CSV files of both splits.

    Args:
        folder: receives `dev/` and `test/`.

    Returns:
        Test questions per subject.
    """
    counts = {}
    for subject, relations in groupby(load_facts(), key=lambda relation: relation.subject):
        dev, test = split_facts(subject, list(relations))
        counts[subject] = len(test)
        for split, facts in (("dev", dev), ("test", test)):
            path = folder / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(HEADER)
                writer.writerows(question_rows(f"{subject}/{split}", facts))
    return counts


if __name__ == "__main__":
    test_counts = write_benchmark(OUTPUT)
    for subject_name, count in test_counts.items():
        print(f"{count:5d} {subject_name}")
    print(f"{sum(test_counts.values()):5d} test questions in {len(test_counts)} subjects -> {OUTPUT.name}/")
