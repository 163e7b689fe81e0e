"""Find a benchmark set among what arrived, bring it into the layout the loaders read, and let them read all of it.

A folder of unpacked files enters; the folder in it that is the set, and the counts the real loader found, leave.
"""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from contrapeso.data.files import DATABASE_SUFFIXES, check_database
from contrapeso.data.mmlu import CATEGORY_OF_SUBJECT, HEADER, load_mmlu
from contrapeso.data.questions import has_questions, load_questions
from contrapeso.data.sources import DataSet
from contrapeso.data.spider import Split, is_spider
from contrapeso.data.unpack import remove_folder, unpack
from contrapeso.errors import DataError
from contrapeso.progress import Reporter

_DEEPEST = 4
_INNER_ARCHIVES = ("database.zip", "databases.zip", "dev_databases.zip")
"""BIRD's archive holds its databases in an archive of their own."""


def settle(arrived: Path, data_set: DataSet) -> Path:
    """The folder that is the set, in the layout its loader reads.

    Args:
        arrived: a folder of unpacked files that may be changed.
        data_set: what it should be.

    Raises:
        DataError: it is not in there, or is there twice.
    """
    for inner in sorted(path for name in _INNER_ARCHIVES for path in arrived.rglob(name)):
        folder = inner.with_suffix("")
        if not folder.exists():  # else somebody has unpacked it already
            unpack(inner, folder)
            _lift(folder)
        inner.unlink()
    if data_set.kind == "mmlu":
        for folder in {path.parent for path in arrived.rglob("test-*.parquet")}:
            _csv_from_parquet(folder)
    fits = {"spider": is_spider, "mmlu": _is_mmlu, "bird": _is_bird}[data_set.name]
    level = [arrived]
    for _ in range(_DEEPEST):
        found = [folder for folder in level if fits(folder)]
        if len(found) > 1:
            listed = ", ".join(str(folder.relative_to(arrived)) for folder in found)
            raise DataError(f"what arrived holds {data_set.name} more than once ({listed}); keep one of them")
        if found:
            if data_set.kind == "mmlu":
                _keep_only(found[0], ("dev", "val", "test"))
            return found[0]
        level = [path for folder in level for path in sorted(folder.iterdir()) if path.is_dir()]
    raise DataError(f"what arrived is not {data_set.name}: {_what_it_needs(data_set)}; it holds {_listing(arrived)}")


def verify(folder: Path, data_set: DataSet, reporter: Reporter) -> dict[str, int]:
    """Read the whole set with its real loader and open every database.

    Args:
        folder: the set.
        data_set: what it should be.
        reporter: told of databases that do not open although no question is about them; the rest must be whole.

    Returns:
        What was counted, under the names of `DataSet.counts` and, for text-to-SQL, `files`: SQLite files that open.

    Raises:
        DataError: something is missing, damaged, or not as many as the set has.
    """
    counts = _mmlu_counts(folder) if data_set.kind == "mmlu" else _question_counts(folder, reporter)
    wrong = [
        f"{counts.get(key, 0):,} {key} (should be {want:,})"
        for key, want in data_set.counts.items()
        if counts.get(key, 0) != want
    ]
    if wrong:
        raise DataError(
            f"this is not the whole of {data_set.name}: {', '.join(wrong)}; "
            "a study can name the folder of another edition under target.data or general.data"
        )
    return counts


def in_words(counts: Mapping[str, int]) -> str:
    """`7,000 train, 1,034 dev, 160 databases`."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _question_counts(folder: Path, reporter: Reporter) -> dict[str, int]:
    splits: tuple[Split, ...] = ("train", "dev")
    read = {split: load_questions(folder, split) for split in splits if has_questions(folder, split)}
    needed = {item.database for items in read.values() for item in items}
    opened = 0
    for file in sorted(path for path in folder.rglob("*") if path.suffix in DATABASE_SUFFIXES and path.is_file()):
        try:
            _open_database(file)
            opened += 1
        except DataError as error:
            if file in needed:
                raise
            reporter.say(f"no question is about it, so it may stay: {error}")
    return {**{split: len(items) for split, items in read.items()}, "databases": len(needed), "files": opened}


def _open_database(file: Path) -> None:
    check_database(file)
    try:
        with closing(sqlite3.connect(file.absolute().as_uri() + "?mode=ro&immutable=1", uri=True)) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()
    except sqlite3.Error as error:
        raise DataError(f"{file} does not open ({error}); fetch it again") from error
    if not tables:
        raise DataError(f"{file} holds no tables; fetch it again")


def _mmlu_counts(folder: Path) -> dict[str, int]:
    mmlu = load_mmlu(folder)
    missing = sorted(CATEGORY_OF_SUBJECT.keys() ^ mmlu.dev.keys())
    few = sorted(subject for subject, shots in mmlu.dev.items() if len(shots) != 5)
    if missing or few:
        what = f"subjects missing or unknown: {', '.join(missing)}" if missing else f"not 5 shots in {', '.join(few)}"
        raise DataError(f"this is not the whole of mmlu: {what}")
    return {"test": len(mmlu.test), "dev": sum(map(len, mmlu.dev.values())), "subjects": len(mmlu.dev)}


def _csv_from_parquet(folder: Path) -> None:
    """`<split>-*.parquet` of the hub (question, subject, choices, answer 0 to 3) as one CSV file a subject."""
    from pyarrow import ArrowException, parquet

    for split in ("dev", "test"):
        rows: dict[str, list[list[Any]]] = {}
        for file in sorted(folder.glob(f"{split}-*.parquet")):
            try:
                records = parquet.read_table(file, columns=["question", "subject", "choices", "answer"]).to_pylist()
            except (ArrowException, OSError, KeyError) as error:
                raise DataError(f"{file.name} is no table of MMLU questions ({error}); fetch it again") from error
            for number, record in enumerate(records):
                row = [record["question"], *(record["choices"] or ()), record["answer"]]
                subject = record["subject"]
                if subject not in CATEGORY_OF_SUBJECT or len(row) != len(HEADER) or None in row:
                    raise DataError(f"{file.name}, row {number}: no MMLU question (subject {subject!r})")
                rows.setdefault(subject, []).append(row)
        for subject, lines in rows.items():
            _write_csv(folder / split / f"{subject}_{split}.csv", [HEADER, *lines])
    for file in folder.glob("*.parquet"):
        file.unlink()


def _write_csv(file: Path, rows: Iterable[list[Any]]) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)


def _lift(folder: Path) -> None:
    """`dev_databases/dev_databases/...` -> `dev_databases/...`, when the archive held a folder of its own name."""
    inner = folder / folder.name
    if inner.is_dir() and len(list(folder.iterdir())) == 1:
        aside = folder.with_name(f".{folder.name}.lifted")
        shutil.move(inner, aside, copy_function=shutil.copyfile)  # which copies where a drive cannot rename folders
        folder.rmdir()
        shutil.move(aside, folder, copy_function=shutil.copyfile)


def _keep_only(folder: Path, names: tuple[str, ...]) -> None:
    """Leave out the other folders: the authors' archive holds 160 MB of other people's questions to train on."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in names:
            remove_folder(path)


def _is_mmlu(folder: Path) -> bool:
    return any(folder.glob("test/*_test.csv")) and (folder / "dev").is_dir()


def _is_bird(folder: Path) -> bool:
    return (folder / "dev.json").is_file() and (folder / "dev_databases").is_dir()


def _what_it_needs(data_set: DataSet) -> str:
    return {
        "spider": "no folder with tables.json and database/ beside each other",
        "mmlu": "no folder with dev/<subject>_dev.csv and test/<subject>_test.csv",
        "bird": "no folder with dev.json and dev_databases/ beside each other",
    }[data_set.name]


def _listing(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
