"""What every process but the main one does: load the base, answer its share, train along, until the study is done.

Calls of the main process enter (`distributed.tell`); replies and gradients leave. A follower decides nothing and
writes nothing: what is measured, what is valid, what is trained and from where it resumes, the main process says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contrapeso.distributed import hear

if TYPE_CHECKING:
    from contrapeso.models.loading import LoadedModel

END = "end"
"""The last call; its `result` is what `run` returns in every process."""


def follow(base: LoadedModel | None = None) -> Any:
    """Do what the main process asks until it says that all is done.

    Args:
        base: the base model, when it is loaded already.

    Returns:
        What the main process has come to.
    """
    follower = Follower(base)
    while True:
        call, arguments = hear()
        if call == END:
            return arguments["result"]
        getattr(follower, call)(**arguments)


class Follower:
    """A base model and the engine on it, at the disposal of the main process. Its methods are the calls."""

    def __init__(self, base: LoadedModel | None = None) -> None:
        self._base: Any = base
        self._engine: Any = None

    def load(self, **options: Any) -> None:
        """Load the base; see `load_model`."""
        from contrapeso.models.loading import load_model

        self._base = load_model(**options)

    def start(self, **options: Any) -> None:
        """Make an engine of the base; see `LocalEngine`."""
        from contrapeso.models.local import LocalEngine

        self._engine = LocalEngine(self._base.model, self._base.tokenizer, **options)

    def answer(self, **asked: Any) -> None:
        """Send replies to this process's share of the prompts; see `answer_share`."""
        from contrapeso.models.sharded import send_share

        send_share(self._engine, **asked)

    def detach(self) -> None:
        """Take all adapters off the base."""
        self._engine.detach()

    def train(self, **options: Any) -> None:
        """Compute this process's share of every optimizer step; see `train_run`. Trackers are the main process's."""
        from contrapeso.training.lora import train_run

        settings = options["settings"].model_copy(update={"report_to": ()})
        train_run(self._base, **{**options, "settings": settings})
