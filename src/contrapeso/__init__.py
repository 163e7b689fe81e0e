"""Contrapeso weighs what fine-tuning gives a language model against what it takes away.

The public names; nothing here imports torch.

    from contrapeso import load_study, run
    summary = run(load_study("pocket"), "results/pocket")
"""

from contrapeso.errors import ContrapesoError, DataError, ModelError, ResourceError, StoreError, StudyError
from contrapeso.experiment import run
from contrapeso.study import Study, load_study
from contrapeso.version import __version__

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
    "run",
]
