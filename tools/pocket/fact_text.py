"""The pocket model's world knowledge as training text.

Enters: the hand-written facts in `facts/*.toml`, one file per subject, each a list of relations: pairs `x = y`, and
wordings for statements (`teach`), for training quizzes (`quiz`) and for the benchmark (`ask`).
Leaves: statements, multi-fact paragraphs and quizzes, drawn without end from a `random.Random` that is passed in.

The benchmark of `make_mmlu.py` asks for the same facts, so two things are kept from the training text: the `ask`
wordings, and the three wrong options of each benchmark question (`Fact.reserved`), which no training quiz offers for
that fact. A model that answers the benchmark has learnt the fact, not the question.
"""

from __future__ import annotations

import random
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contrapeso.errors import DataError

FACTS_FOLDER = Path(__file__).resolve().parent / "facts"
LETTERS = "ABCD"
KINDS = ("statements", "quiz")
FEWEST_WRONG_OPTIONS = 7
"""Three are reserved for the benchmark; training quizzes need more than three of their own to vary."""


@dataclass(frozen=True)
class Fact:
    """One fact with every wording filled in.

    Attributes:
        x, y: what is asked about, and the right answer.
        asks: the benchmark's questions. Never in training text.
        statements: sentences that say the fact.
        questions: the training quizzes' questions.
        reserved: the three wrong options of the benchmark question. Never offered for this fact in training.
        offered: the wrong options of training quizzes.
    """

    x: str
    y: str
    asks: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    reserved: tuple[str, ...]
    offered: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """Facts of one kind, such as the capitals of countries; `subject` is the MMLU subject they belong to."""

    subject: str
    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class FactBook:
    """All facts, indexed the ways the generators draw them.

    Attributes:
        facts: every fact.
        subjects: subject -> its facts.
        entities: the facts of each x that has at least two.
        relations: relation -> its facts, for lists.
    """

    facts: tuple[Fact, ...]
    subjects: tuple[tuple[str, tuple[Fact, ...]], ...]
    entities: tuple[tuple[Fact, ...], ...]
    relations: tuple[Relation, ...]


def load_facts(folder: Path = FACTS_FOLDER) -> list[Relation]:
    """Read every relation of every subject, in order of file name and then of writing.

    Args:
        folder: holds one `<subject>.toml` per subject.

    Raises:
        DataError: a file is malformed, repeats an x, or leaves a fact too few wrong options.
    """
    relations = []
    for path in sorted(folder.glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise DataError(f"{path.name} is not valid TOML: {error}") from error
        if table.get("subject") != path.stem:
            raise DataError(f"{path.name} says subject = {table.get('subject')!r}; it must be the file's name")
        relations += [_relation(path.stem, entry) for entry in table["relation"]]
    if not relations:
        raise DataError(f"no facts in {folder}: expected <subject>.toml files")
    return relations


def _relation(subject: str, entry: dict[str, Any]) -> Relation:
    """One `[[relation]]` table with its wordings filled in and its wrong options divided."""
    where = f"{subject}.toml, relation {entry.get('name')!r}"
    missing = {"name", "ask", "teach", "quiz", "facts"} - entry.keys()
    if missing:
        raise DataError(f"{where}: missing {', '.join(sorted(missing))}")
    if set(entry["ask"]) & set(entry["quiz"]):
        raise DataError(f"{where}: an ask wording is also a quiz wording; training text must not hold it")
    rows = [_parse_fact(line, where) for line in entry["facts"].strip().splitlines()]
    if len({x.casefold() for x, _, _ in rows}) < len(rows):
        raise DataError(f"{where}: an x occurs twice; each may have one answer only")
    pool = sorted({y for _, y, _ in rows} | set(entry.get("distractors", [])))
    facts = []
    for x, y, also_right in rows:
        if not also_right <= set(pool):
            raise DataError(f"{where}, {x!r}: {sorted(also_right - set(pool))} are no answers here; check the spelling")
        wrong = [option for option in pool if option != y and option not in also_right]
        if len(wrong) < FEWEST_WRONG_OPTIONS:
            raise DataError(
                f"{where}, {x!r}: {len(wrong)} wrong options, needs {FEWEST_WRONG_OPTIONS}; add distractors"
            )
        random.Random(f"reserved options/{subject}/{entry['name']}/{x}").shuffle(wrong)
        facts.append(
            Fact(
                x=x,
                y=y,
                asks=_fill(entry["ask"], x, y),
                statements=_fill(entry["teach"], x, y),
                questions=_fill(entry["quiz"], x, y),
                reserved=tuple(wrong[:3]),
                offered=tuple(wrong[3:]),
            )
        )
    return Relation(subject, entry["name"], tuple(facts))


def _parse_fact(line: str, where: str) -> tuple[str, str, frozenset[str]]:
    """`x = y ! a, b` as (x, y, {a, b}): a and b are right enough never to be offered as wrong options."""
    x, equals, rest = line.partition(" = ")
    y, _, also_right = rest.partition(" ! ")
    if not (x.strip() and equals and y.strip()):
        raise DataError(f"{where}: {line!r} is not of the form 'x = y' or 'x = y ! never, never'")
    return x.strip(), y.strip(), frozenset(option.strip() for option in also_right.split(",") if option.strip())


def _fill(wordings: list[str], x: str, y: str) -> tuple[str, ...]:
    filled = (wording.replace("{x}", x).replace("{y}", y) for wording in wordings)
    return tuple(text[0].upper() + text[1:] for text in filled)


@cache
def fact_book() -> FactBook:
    """The shipped facts, read once per process."""
    relations = load_facts()
    subjects: defaultdict[str, list[Fact]] = defaultdict(list)
    entities: defaultdict[str, list[Fact]] = defaultdict(list)
    for relation in relations:
        subjects[relation.subject] += relation.facts
        for fact in relation.facts:
            entities[fact.x].append(fact)
    return FactBook(
        facts=tuple(fact for relation in relations for fact in relation.facts),
        subjects=tuple((subject.replace("_", " "), tuple(facts)) for subject, facts in subjects.items()),
        entities=tuple(tuple(facts) for facts in entities.values() if len(facts) > 1),
        relations=tuple(relations),
    )


def statement(rng: random.Random) -> str:
    """One sentence that says one fact."""
    return rng.choice(rng.choice(fact_book().facts).statements)


def statements(rng: random.Random) -> str:
    """One to eight sentences, half the time of one subject."""
    book = fact_book()
    facts = rng.choice(book.subjects)[1] if rng.random() < 0.5 else book.facts
    return " ".join(rng.choice(fact.statements) for fact in rng.choices(facts, k=rng.randint(1, 8))) + "\n"


def paragraph(rng: random.Random) -> str:
    """Everything the book says about one to three things, such as a country."""
    lines = []
    for facts in rng.choices(fact_book().entities, k=rng.randint(1, 3)):
        chosen = rng.sample(facts, len(facts))
        lines.append(f"Facts about {chosen[0].x}: " + " ".join(rng.choice(fact.statements) for fact in chosen))
    return "\n".join(lines) + "\n"


def fact_list(rng: random.Random) -> str:
    """Pairs of one relation under its title: `Capital: France - Paris; Japan - Tokyo.`"""
    relation = rng.choice(fact_book().relations)
    facts = rng.sample(relation.facts, min(len(relation.facts), rng.randint(3, 10)))
    title = relation.name.replace("_", " ").capitalize()
    return f"{title}: " + "; ".join(f"{fact.x} - {fact.y}" for fact in facts) + ".\n"


def quiz(rng: random.Random, shots: int) -> str:
    """Multiple-choice items on one subject in the benchmark's layout, all answered.

    Args:
        rng: draws the subject, the facts, the wordings, the wrong options and the right letter.
        shots: how many items stand before the last one.
    """
    subject, facts = rng.choice(fact_book().subjects)
    header = f"The following are multiple choice questions (with answers) about {subject}.\n\n"
    return header + "\n\n".join(_item(rng, fact) for fact in rng.sample(facts, shots + 1)) + "\n"


def _options(rng: random.Random, fact: Fact) -> tuple[list[str], int]:
    """Four options in random order, and where the right one is."""
    options = rng.sample(fact.offered, 3)
    place = rng.randrange(4)
    options.insert(place, fact.y)
    return options, place


def _item(rng: random.Random, fact: Fact) -> str:
    (a, b, c, d), place = _options(rng, fact)
    return f"{rng.choice(fact.questions)}\nA. {a}\nB. {b}\nC. {c}\nD. {d}\nAnswer: {LETTERS[place]}"


def other_quiz(rng: random.Random) -> str:
    """One to five items in a layout that is not the benchmark's, so that knowledge is not tied to one layout."""
    layout = rng.choice(_OTHER_LAYOUTS)
    facts = rng.sample(rng.choice(fact_book().subjects)[1], rng.randint(1, 5))
    return "\n".join(layout(rng, fact) for fact in facts) + "\n"


def _open_question(rng: random.Random, fact: Fact) -> str:
    return f"Q: {rng.choice(fact.questions)} A: {fact.y}"


def _spelled_out(rng: random.Random, fact: Fact) -> str:
    options, _ = _options(rng, fact)
    return f"Question: {rng.choice(fact.questions)}\nOptions: {', '.join(options)}\nThe answer is {fact.y}."


def _inline(rng: random.Random, fact: Fact) -> str:
    options, place = _options(rng, fact)
    listed = " ".join(f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=True))
    return f"{rng.choice(fact.questions)} {listed} Answer: ({LETTERS[place]}) {fact.y}"


def _numbered(rng: random.Random, fact: Fact) -> str:
    options, place = _options(rng, fact)
    listed = "\n".join(f"{number}) {option}" for number, option in enumerate(options, start=1))
    return f"{rng.choice(fact.questions)}\n{listed}\nCorrect: {place + 1}) {fact.y}"


_OTHER_LAYOUTS: tuple[Callable[[random.Random, Fact], str], ...] = (_open_question, _spelled_out, _inline, _numbered)


def fact_document(rng: random.Random, kind: str) -> str:
    """One training document that ends in a line break.

    Args:
        rng: the only source of randomness.
        kind: `statements` (sentences, sometimes a paragraph about one thing or a list) or `quiz` (two thirds in the
            benchmark's layout with 0 to 5 shots, the rest in others).

    Raises:
        ValueError: `kind` is neither.
    """
    if kind not in KINDS:
        raise ValueError(f"no document kind {kind!r}; one of {', '.join(KINDS)}")
    draw = rng.random()
    if kind == "quiz":
        return quiz(rng, rng.randint(0, 5)) if draw < 2 / 3 else other_quiz(rng)
    if draw < 0.7:
        return statements(rng)
    return paragraph(rng) if draw < 0.9 else fact_list(rng)


def fact_documents(rng: random.Random) -> Iterator[str]:
    """Training documents without end, as many of statements as of quizzes."""
    while True:
        yield fact_document(rng, rng.choice(KINDS))
