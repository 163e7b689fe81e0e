"""Text-to-SQL questions in whatever layout they lie: Spider's, BIRD's, or a folder of one's own.

A folder enters; items leave, each with its gold SQL and its database. The layout is recognised by what is there, and
where two readings are possible the error lists them: nothing is picked by guess.

**Spider**: `tables.json` beside `database/`; see `spider`.

**BIRD and one's own**: a file of questions for each split that is used, and SQLite files.

- The questions: `dev` or `train`, each `.json` (a list of objects), `.jsonl` (an object a line) or `.csv` (with a
  header), in the folder itself or in a folder of it named after the split (`train/train.json`,
  `dev_20240627/dev.json`). Where there is no `dev` file, `questions` may stand for it, or else the only file of these
  three kinds in the folder.
- Every question has a text under each of three names, in any case of letters: `question`; the gold SQL under `query`,
  `sql`, `gold_sql` or `expected_sql`; the database under `db_id`, `database` or `db`. `evidence` (BIRD's hints) may be
  there too: it becomes part of the question, `<question>\\nHint: <evidence>`, in prompts and reports alike.
- The databases: `<name>/<name>.sqlite` or `<name>.sqlite` (`.sqlite3` and `.db` too), in `dev_databases` or
  `train_databases` (by split), `database`, `databases`, or bare; beside the questions or in the folder itself.

`leave_out.json` works as in Spider's layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from contrapeso.data.files import (
    DATABASE_SUFFIXES,
    RECORD_SUFFIXES,
    Record,
    check_database,
    named,
    read_records,
    require_database_name,
)
from contrapeso.data.leave_out import SPLITS, mark_left_out
from contrapeso.data.spider import Split, is_spider, load_spider
from contrapeso.errors import DataError
from contrapeso.tasks.base import Item

HINT = "\nHint: "
QUESTION_NAMES = ("question",)
GOLD_NAMES = ("query", "sql", "gold_sql", "expected_sql")
DATABASE_NAMES = ("db_id", "database", "db")

_NOT_QUESTIONS = ("tables.json", "leave_out.json")
_LAYOUTS = (
    "expected Spider's layout (tables.json, dev.json, database/), BIRD's (dev.json, dev_databases/), or a file "
    "questions.json, .jsonl or .csv with question, query and db_id beside the SQLite files"
)


def load_questions(
    folder: str | Path,
    split: Split = "dev",
    *,
    limit: int | None = None,
    leave_out: Mapping[str, str] | None = None,
) -> tuple[Item, ...]:
    """Read one split of a folder in any layout that the module describes.

    Args:
        folder: the folder.
        split: `dev` (what is evaluated) or `train`.
        limit: only the first so many questions.
        leave_out: items to be measured apart from the headline, id -> reason; see `load_spider`.

    Returns:
        Items in file order, with ids `<split>/<place in the file, from 0, four digits or more>`.

    Raises:
        DataError: a file is missing, malformed or there twice, or `leave_out` names an item that does not exist.
    """
    folder = Path(folder)
    items = load_spider if is_spider(folder) else _load_own
    return _in_unicode(items(folder, split, limit=limit, leave_out=leave_out), folder)


def _in_unicode(items: tuple[Item, ...], folder: Path) -> tuple[Item, ...]:
    """The items, when every text can be written down: JSON may hold half a surrogate pair (`\\ud800`)."""
    for item in items:
        try:
            (item.question + item.gold + item.group).encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{folder}: {item.id} holds half a surrogate pair, which is no text; repair it") from error
    return items


def _load_own(
    folder: Path, split: Split, *, limit: int | None, leave_out: Mapping[str, str] | None
) -> tuple[Item, ...]:
    """The split of a folder in BIRD's layout or of one's own."""
    source = _questions_file(folder, split)
    texts = [_texts(source, record) for record in read_records(source)]
    if not texts:
        raise DataError(f"{source} holds no questions")
    names = dict.fromkeys(database for _, _, database in texts[:limit])
    databases = {name: _database_file(name, folder, source, split) for name in names}
    items = [
        Item(f"{split}/{place:04d}", database, question, gold, database=databases.get(database))
        for place, (question, gold, database) in enumerate(texts)
    ]
    return tuple(mark_left_out(items, folder, source=source, leave_out=leave_out)[:limit])


def has_questions(folder: str | Path, split: Split) -> bool:
    """Whether a folder has a file of questions for the split: a set that is only evaluated needs no `train`."""
    folder = Path(folder)
    return is_spider(folder) or bool(_questions_files(folder, split))


def _questions_file(folder: Path, split: str) -> Path:
    """The one file with the questions of a split."""
    found = _questions_files(folder, split)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(str(file.relative_to(folder)) for file in found)
        raise DataError(f"{folder} has several files that may hold the {split} questions: {listed}; keep one of them")
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
    raise DataError(f"{folder} has no {split} questions (it holds {there}); {_LAYOUTS}")


def _questions_files(folder: Path, split: str) -> list[Path]:
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.split("_")[0] == split)
    homes = [folder, *(path for path in inner if path.name != f"{split}_databases")]
    found = [file for home in homes for suffix in RECORD_SUFFIXES if (file := home / f"{split}{suffix}").is_file()]
    if found or split != "dev":
        return found
    reserved = {f"{name}{suffix}" for name in SPLITS for suffix in RECORD_SUFFIXES} | set(_NOT_QUESTIONS)
    others = sorted(file for file in folder.iterdir() if file.suffix in RECORD_SUFFIXES and file.name not in reserved)
    return [file for file in others if file.stem == "questions"] or others


def _texts(source: Path, record: Record) -> tuple[str, str, str]:
    """Question, gold SQL and name of the database of one record."""
    texts = []
    for names in (QUESTION_NAMES, GOLD_NAMES, DATABASE_NAMES):
        text = named(record, names, source)
        if not text or not text.strip():
            there = ", ".join(map(str, record.value))
            raise DataError(f"{source}, {record.place}: no text under {' or '.join(names)} (it has {there})")
        texts.append(text)
    question, gold, database = texts
    if Path(database).suffix in DATABASE_SUFFIXES:
        database = database.removesuffix(Path(database).suffix)
    require_database_name(database, f"{source}, {record.place}")
    evidence = (named(record, ("evidence",), source) or "").strip()
    return (f"{question}{HINT}{evidence}" if evidence else question), gold, database


def _database_file(name: str, folder: Path, source: Path, split: str) -> Path:
    """The one SQLite file of a name."""
    found = {path.resolve(): path for path in _places(name, folder, source, split) if path.is_file()}
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(folder)) for path in found.values())
        raise DataError(f"{folder} has several databases called {name!r}: {listed}; keep one of them")
    if not found:
        raise DataError(
            f"{source} asks about the database {name!r}, but there is no {name}.sqlite (or .sqlite3, .db) in {folder}, "
            f"nor in database, databases or {split}_databases there, alone or in a folder {name}"
        )
    (path,) = found.values()
    check_database(path)
    return path


def _places(name: str, folder: Path, source: Path, split: str) -> Iterator[Path]:
    for home in dict.fromkeys((source.parent, folder)):
        for shelf in (f"{split}_databases", "database", "databases", "."):
            for stem in (f"{name}/{name}", name):
                for suffix in DATABASE_SUFFIXES:
                    yield home / shelf / f"{stem}{suffix}"
