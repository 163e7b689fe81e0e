"""Where the things are that a study file names: paths beside it become absolute, lists of ids are read.

A study as its file says it enters, with the file's folder; the same study leaves, in terms that hold anywhere on this
machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from contrapeso.errors import StudyError
from contrapeso.settings import GeneralSettings, LeaveOut, RunSettings, TargetSettings

if TYPE_CHECKING:
    from contrapeso.study import Study

Data = TypeVar("Data", TargetSettings, GeneralSettings)


def located(study: Study, folder: Path) -> Study:
    """The study with its paths made absolute.

    Args:
        study: as its file says it.
        folder: of that file.

    Raises:
        StudyError: a list of items to leave out cannot be read.
    """
    return study.model_copy(
        update={
            "model": study.model.model_copy(update={"id": _located(study.model.id, folder)}),
            "target": _with_data_located(study.target, folder),
            "general": _with_data_located(study.general, folder),
            "runs": tuple(_with_replay_located(run, folder) for run in study.runs),
            "adapters": tuple(
                adapter.model_copy(update={"path": str((folder / Path(adapter.path).expanduser()).resolve())})
                for adapter in study.adapters
            ),
            "axes": tuple(
                axis if axis.data is None else axis.model_copy(update={"data": _located(axis.data, folder)})
                for axis in study.axes
            ),
        }
    )


def _with_data_located(settings: Data, folder: Path) -> Data:
    """The settings of a task with its data found, and what a file leaves out written out."""
    leave_out = tuple(_spelt_out(entry, folder) for entry in settings.leave_out)
    return settings.model_copy(update={"data": _located(settings.data, folder), "leave_out": leave_out})


def _spelt_out(entry: LeaveOut, folder: Path) -> LeaveOut:
    if entry.file is None:
        return entry
    file = (folder / Path(entry.file).expanduser()).resolve()
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"leave_out: cannot read {file} as text: {error}") from error
    named = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not named:
        raise StudyError(f"leave_out: {file} names no item; write one id a line")
    return entry.model_copy(update={"items": tuple(dict.fromkeys((*entry.items, *named))), "file": None})


def _with_replay_located(run: RunSettings, folder: Path) -> RunSettings:
    if run.replay is None:
        return run
    data, prompts = (
        value if value in ("general", "self") else str((folder / Path(value).expanduser()).resolve())
        for value in (run.replay.data, run.replay.prompts)
    )
    return run.model_copy(update={"replay": run.replay.model_copy(update={"data": data, "prompts": prompts})})


def _located(value: str, folder: Path) -> str:
    """A path relative to the study file becomes absolute when it exists there; names and hub ids stay."""
    candidate = (folder / Path(value).expanduser()).resolve()
    looks_like_path = value.startswith((".", "/", "~")) or candidate.exists()
    return str(candidate) if looks_like_path and value != "pocket" else value
