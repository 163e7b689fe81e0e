"""Data sets on disk, Spider's, BIRD's, MMLU's or one's own, read into items; and predictions laid beside them.

A folder path, the name of a set that `contrapeso fetch` brought, or the word `pocket` for the small sets shipped with
contrapeso, enters; items leave.
"""

from __future__ import annotations

from pathlib import Path

from contrapeso.data.cache import fetched_folder, missing
from contrapeso.data.mmlu import CATEGORY_OF_SUBJECT, MMLU, load_mmlu
from contrapeso.data.predictions import read_predictions
from contrapeso.data.questions import has_questions, load_questions
from contrapeso.data.sources import SETS, Kind
from contrapeso.data.spider import load_spider
from contrapeso.errors import DataError

__all__ = [
    "CATEGORY_OF_SUBJECT",
    "MMLU",
    "has_questions",
    "load_mmlu",
    "load_questions",
    "load_spider",
    "mmlu_folder",
    "read_predictions",
    "spider_folder",
]

_POCKET = Path(__file__).parent / "pocket"


def spider_folder(name_or_path: str | Path) -> Path:
    """The folder of a text-to-SQL set.

    Args:
        name_or_path: `pocket`, a set that was fetched (`spider`, `bird`), or a folder that `load_questions` reads.

    Raises:
        DataError: there is no such folder, or the set was not fetched; the message says how to.
    """
    return _folder(name_or_path, "spider")


def mmlu_folder(name_or_path: str | Path) -> Path:
    """The folder of a multiple-choice set.

    Args:
        name_or_path: `pocket`, a set that was fetched (`mmlu`), or a folder in MMLU's layout.

    Raises:
        DataError: there is no such folder, or the set was not fetched; the message says how to.
    """
    return _folder(name_or_path, "mmlu")


def _folder(name_or_path: str | Path, kind: Kind) -> Path:
    name = str(name_or_path)
    if name == "pocket":
        return _POCKET / kind
    folder = Path(name).expanduser()
    if folder.is_dir():  # a folder here wins over a fetched set of its name: it is nearer
        return folder.absolute()
    if name in SETS:
        if SETS[name].kind != kind:
            fitting = " or ".join(other for other, data_set in SETS.items() if data_set.kind == kind)
            raise DataError(f"{name} is a set for the other task; this one reads {fitting}, a folder, or `pocket`")
        if fetched := fetched_folder(name):
            return fetched
        raise missing(name)
    raise DataError(
        f"there is no data folder {folder.absolute()}: give a folder in the layout of {kind}, "
        f"{' or '.join(SETS)} (`contrapeso fetch` brings them), or `pocket` for the set shipped with contrapeso"
    )
