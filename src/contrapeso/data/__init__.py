"""Data sets on disk, Spider's, BIRD's, MMLU's or one's own, read into items; and predictions laid beside them.

A folder path, or the word `pocket` for the small sets shipped with contrapeso, enters; items leave.
"""

from __future__ import annotations

from pathlib import Path

from contrapeso.data.mmlu import CATEGORY_OF_SUBJECT, MMLU, load_mmlu
from contrapeso.data.predictions import read_predictions
from contrapeso.data.questions import has_questions, load_questions
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
        name_or_path: `pocket`, or a folder that `load_questions` reads.

    Raises:
        DataError: there is no such folder.
    """
    return _folder(name_or_path, "spider")


def mmlu_folder(name_or_path: str | Path) -> Path:
    """The folder of a multiple-choice set.

    Args:
        name_or_path: `pocket`, or a folder in MMLU's layout.

    Raises:
        DataError: there is no such folder.
    """
    return _folder(name_or_path, "mmlu")


def _folder(name_or_path: str | Path, kind: str) -> Path:
    if str(name_or_path) == "pocket":
        return _POCKET / kind
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"there is no data folder {folder.absolute()}: give a folder in the layout of {kind}, "
            "or `pocket` for the set shipped with contrapeso"
        )
    return folder.absolute()
