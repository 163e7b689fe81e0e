"""Every error the library raises on purpose.

`ContrapesoError` is the root: catch it to catch them all. A message says what happened, with which value, and what
to do next, and names the file, item or setting. `cli.py` alone turns one into a line on stderr and its `exit_code`;
anything else is a bug and keeps its traceback. A model's bad SQL is an outcome with a reason, never an exception.

    ContrapesoError
    ├── StudyError       a study file or a setting in it is wrong
    ├── DataError        a data set, database or results file is missing or malformed
    ├── ModelError       a base model or adapter cannot be loaded or does not fit
    ├── ResourceError    disk, memory or device does not allow the step
    └── StoreError       a study folder cannot be used
"""


class ContrapesoError(Exception):
    """Root of the tree; `exit_code` is what the command line exits with."""

    exit_code = 1


class StudyError(ContrapesoError):
    """A study file, a preset name or a `--set` override is wrong."""

    exit_code = 2


class DataError(ContrapesoError):
    """A data set, database or results file is missing, malformed or inconsistent."""

    exit_code = 3


class ModelError(ContrapesoError):
    """A base model, tokenizer or adapter is missing, does not load or does not fit the study."""

    exit_code = 4


class ResourceError(ContrapesoError):
    """Disk, memory or device does not allow the step."""

    exit_code = 5


class StoreError(ContrapesoError):
    """A study folder cannot be used: not ours, in use by another process, or damaged."""

    exit_code = 6
