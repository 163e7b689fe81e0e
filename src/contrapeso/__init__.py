"""Contrapeso weighs what fine-tuning gives a language model against what it takes away.

The public names, each loaded when it is first used; nothing here imports torch.

    from contrapeso import load_study, run
    summary = run(load_study("pocket"), "results/pocket")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from contrapeso.errors import ContrapesoError, DataError, ModelError, ResourceError, StoreError, StudyError
from contrapeso.version import __version__

if TYPE_CHECKING:
    from contrapeso.experiment import run
    from contrapeso.rebuild import rebuild_report
    from contrapeso.score import score_predictions
    from contrapeso.study import Study, load_study

_HOME = {
    "Study": "contrapeso.study",
    "load_study": "contrapeso.study",
    "rebuild_report": "contrapeso.rebuild",
    "run": "contrapeso.experiment",
    "score_predictions": "contrapeso.score",
}

__all__ = [
    "ContrapesoError",
    "DataError",
    "ModelError",
    "ResourceError",
    "StoreError",
    "Study",
    "StudyError",
    "__version__",
    "load_study",
    "rebuild_report",
    "run",
    "score_predictions",
]


def __getattr__(name: str) -> Any:
    """The module of a public name is loaded at its first use: `contrapeso score` must not wait for the rest."""
    if name not in _HOME:
        raise AttributeError(f"module 'contrapeso' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
