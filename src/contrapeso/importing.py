"""An adapter trained elsewhere as a variant of a study: unpacked, looked at, added, measured.

A folder or archive in PEFT format and a study enter; the study folder with that adapter in it and its summary leave.
What the folder holds already is not done again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contrapeso.data.unpack import unpack
from contrapeso.errors import ModelError, StudyError
from contrapeso.models.adapter_import import CHECKPOINT, find_adapter, inspect_adapter
from contrapeso.names import slug
from contrapeso.progress import Reporter, Silent
from contrapeso.settings import AdapterSettings
from contrapeso.study import Study, load_study

LONGEST_NAME = 60
ENDING = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$", re.IGNORECASE)


def import_adapter(
    source: Path,
    out: Path,
    *,
    name: str | None = None,
    study: str | None = None,
    overrides: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Measure an adapter trained elsewhere.

    Args:
        source: its folder, or a zip or tar archive of it.
        out: the study folder; made when missing.
        name: display name; by default that of the folder or archive.
        study: a preset's name or a study file, for a new folder; one that is there has its own.
        overrides: `dotted.key=value`, as in `load_study`.
        reporter: where progress goes; nowhere by default.

    Returns:
        The summary, as in `summary.json`.

    Raises:
        ContrapesoError: the archive or adapter is not to be believed, does not fit, or the study cannot run.
    """
    from contrapeso.experiment import run

    reporter = reporter or Silent()
    with TemporaryDirectory(prefix="contrapeso-") as scratch:
        try:
            folder = _unpacked(source, Path(scratch), reporter)
            adapter = find_adapter(folder)
            if adapter != folder:
                reporter.say(f"taking the adapter in {adapter.relative_to(folder)} of {source}")
            inspect_adapter("", adapter, None)  # what is no adapter is refused before anything else is looked at
            # Checked with the study, whose error says what is wrong with a name.
            named = AdapterSettings.model_construct(name=name or _name_of(source, adapter), path=str(adapter.resolve()))
            return run(_study_of(out, study, overrides, named), out, reporter=reporter)
        except ModelError as error:  # a scratch folder says nothing to anybody
            raise ModelError(str(error).replace(scratch, str(source))) from error


def _study_of(out: Path, study: str | None, overrides: Sequence[str], adapter: AdapterSettings) -> Study:
    """The study with the adapter; the very same one again is what an interrupted import goes on with."""
    own = out / "study.toml"
    if own.is_file() and study:
        raise StudyError(f"{out} holds a study already: leave out --study, or name another --out")
    if not own.is_file() and not study:
        raise StudyError(
            f"{out} holds no study yet: say with --study which one measures the adapter, a preset or a file"
        )
    loaded = load_study(own if own.is_file() else str(study), overrides, adding=adapter)
    for known in loaded.adapters:
        if slug(known.name).casefold() == slug(adapter.name).casefold() and known.path != adapter.path:
            theirs, ours = (inspect_adapter(entry.name, Path(entry.path), None).identity for entry in (known, adapter))
            if theirs != ours:
                raise StudyError(f"the study has another adapter called {known.name!r}: choose a --name for this one")
    return loaded


def _unpacked(source: Path, scratch: Path, reporter: Reporter) -> Path:
    if source.is_dir():
        return source
    if not source.is_file():
        raise ModelError(f"there is no {source}")
    unpack(source, scratch, reporter=reporter)
    return scratch


def _name_of(source: Path, adapter: Path) -> str:
    """`mistral-sql.tar.gz` and `mistral-sql/` -> `mistral-sql`; of `run/checkpoint-500` both parts."""
    source = source.resolve()
    name = ENDING.sub("", source.name)[:LONGEST_NAME]
    if CHECKPOINT.fullmatch(name):
        return f"{source.parent.name} {name}"
    return f"{name} {adapter.name}" if CHECKPOINT.fullmatch(adapter.name) and adapter != source else name
