"""Multiple-choice sets in the layout of MMLU (Hendrycks et al., ICLR 2021).

    <folder>/dev/<subject>_dev.csv      shots
    <folder>/test/<subject>_test.csv    questions

Both layouts in circulation are read, told apart file by file by the first record: with the header
`question,choice0,choice1,choice2,choice3,answer` and answers 0 to 3, or without a header and answers A to D. Cells are
text and nothing else: ten options of the real test set are the word `None`, which table readers turn into "missing".
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

HEADER = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]
_LETTERS = "ABCD"
_LAYOUT = (
    "expected dev/<subject>_dev.csv and test/<subject>_test.csv; point `general.data` at the folder that holds `dev` "
    "and `test`, or use `pocket`"
)

_SUBJECTS_OF_CATEGORY = {
    "STEM": (
        "abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science "
        "college_mathematics college_physics computer_security conceptual_physics electrical_engineering "
        "elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science "
        "high_school_mathematics high_school_physics high_school_statistics machine_learning"
    ),
    "Humanities": (
        "formal_logic high_school_european_history high_school_us_history high_school_world_history "
        "international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory "
        "professional_law world_religions"
    ),
    "Social Sciences": (
        "econometrics high_school_geography high_school_government_and_politics high_school_macroeconomics "
        "high_school_microeconomics high_school_psychology human_sexuality professional_psychology public_relations "
        "security_studies sociology us_foreign_policy"
    ),
    "Other": (
        "business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing "
        "medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology"
    ),
}

CATEGORY_OF_SUBJECT = {
    subject: category for category, subjects in _SUBJECTS_OF_CATEGORY.items() for subject in subjects.split()
}
"""The 57 subjects and their categories: 19, 13, 12 and 13 subjects; 3,153, 4,705, 3,077 and 3,107 test questions.

Anatomy (135 questions) counts as STEM, as in the paper's table and in lm-evaluation-harness; the script beside the
original data files it under Other. A subject that is not listed belongs to Other: `.get(subject, "Other")`.
"""


@dataclass(frozen=True)
class MMLU:
    """A multiple-choice set.

    Attributes:
        test: the questions, by subject in alphabetical order, each subject in file order.
        dev: the shots of each subject of `test`.
    """

    test: tuple[Item, ...]
    dev: dict[str, tuple[Item, ...]]


def load_mmlu(
    folder: str | Path,
    *,
    subjects: Sequence[str] = (),
    limit_per_subject: int | None = None,
    leave_out: Mapping[str, str] | None = None,
) -> MMLU:
    """Read questions and shots.

    Args:
        folder: a folder in MMLU's layout, with either kind of file.
        subjects: only these; empty means all there are.
        limit_per_subject: only the first so many test questions of each subject.
        leave_out: test questions to be measured apart from the headline, id -> reason.

    Returns:
        Test and dev items. Test ids are `<subject>/0000`, dev ids `dev/<subject>/0000`, places counted from 0.

    Raises:
        DataError: a file is missing or malformed, a subject is unknown, or an item to be left out does not exist.
    """
    folder = Path(folder)
    present = sorted(file.name.removesuffix("_test.csv") for file in folder.glob("test/*_test.csv"))
    if not present:
        raise DataError(f"no file matches {folder / 'test' / '*_test.csv'}: {_LAYOUT}")
    for subject in subjects:
        if subject not in present:
            nearest = difflib.get_close_matches(subject, present, n=1, cutoff=0.0)[0]
            raise DataError(f"{folder / 'test'} has no subject {subject!r}; the nearest name is {nearest!r}")
    chosen = [subject for subject in present if not subjects or subject in subjects]
    whole = {subject: _read_items(folder / "test" / f"{subject}_test.csv", subject, subject) for subject in chosen}
    reasons = dict(leave_out or {})
    there = {item.id for items in whole.values() for item in items}
    for name in reasons:  # one of a subject that is there and not asked about is no mistake
        if name not in there and name.rpartition("/")[0] not in set(present) - set(chosen):
            raise DataError(f"an item to leave out does not exist in {folder}: {name}; ids are like {min(there)}")
    asked = (item for items in whole.values() for item in items[:limit_per_subject])
    test = [replace(item, left_out=reasons[item.id]) if item.id in reasons else item for item in asked]
    dev = {
        subject: tuple(_read_items(folder / "dev" / f"{subject}_dev.csv", subject, f"dev/{subject}"))
        for subject in chosen
    }
    return MMLU(tuple(test), dev)


def _read_items(file: Path, subject: str, prefix: str) -> list[Item]:
    records = _read_records(file)
    with_header = records[0] == HEADER
    answers = {(str(place) if with_header else letter): letter for place, letter in enumerate(_LETTERS)}
    items: list[Item] = []
    for number, record in enumerate(records[with_header:], start=1 + with_header):
        if len(record) != len(HEADER):
            raise DataError(
                f"{file}, record {number}: {len(record)} columns where {len(HEADER)} are expected "
                "(question, four options, answer); a quote may be missing"
            )
        question, *choices, answer = record
        if answer.strip() not in answers:
            raise DataError(
                f"{file}, record {number}: the answer is {answer!r}, expected one of {', '.join(answers)} "
                f"({'with' if with_header else 'without'} the header {','.join(HEADER)})"
            )
        gold = answers[answer.strip()]
        items.append(Item(f"{prefix}/{len(items):04d}", subject, question, gold, choices=tuple(choices)))
    if not items:
        raise DataError(f"{file} holds no questions; fetch it again")
    return items


def _read_records(file: Path) -> list[list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            records = [record for record in csv.reader(handle, strict=True) if record]
    except FileNotFoundError:
        raise DataError(f"there is no {file}: {_LAYOUT}") from None
    except (csv.Error, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {file} as CSV in UTF-8: {error}; fetch it again") from error
    if not records:
        raise DataError(f"{file} is empty; fetch it again")
    return records
