"""Several processes at one study: who is who, and how the others do what the main one asks.

`torchrun --nproc-per-node N -m contrapeso run ...` starts N processes, one a GPU. The main one (rank 0) does all that a
single process does: it holds the folder, decides, judges and writes. Where there is work to share it tells the others,
who wait for nothing else (`contrapeso.follower`). Calls and replies are Python values; they go over gloo, on the CPU.

An error in one process ends all of them: it says its line and leaves, `torchrun` ends the others, and whatever breaks
in those because a companion has gone is not said. Without `torchrun` there is one process, and nothing here imports
torch.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from contrapeso.errors import ResourceError

PATIENCE = timedelta(days=7)
"""How long a process waits for another: as long as the others may have nothing to do while the main one judges."""
FAILED = "contrapeso: the first error"

_store: Any = None
"""Where processes meet; there while they are together."""


def size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process is the one that decides and writes."""
    return rank() == 0


@contextmanager
def together() -> Iterator[None]:
    """Within the block the processes that `torchrun` started can talk, and each computes on a GPU of its own.

    A single process, and a block within another, changes nothing.

    Raises:
        ResourceError: there are not as many GPUs on this machine as processes, they cannot reach each other, or one of
            them was killed.
        SystemExit: another process has failed and says why.
    """
    if size() == 1 or _store is not None:
        yield
        return
    _meet()
    try:
        yield
    except BaseException as error:
        if not _to_be_said(error):
            raise SystemExit(1) from error
        if _companion_lost(error):
            raise ResourceError(
                "another process of this run has ended without a word, killed perhaps because the machine's memory ran "
                "out; what was finished is kept, and the same command resumes"
            ) from error
        raise
    _part()


def tell(call: str, **arguments: Any) -> None:
    """Have the other processes do something; in the main process. With one process nothing happens.

    Args:
        call: the name of what `contrapeso.follower` does.
        arguments: picklable values.
    """
    if _store is not None:
        _broadcast([(call, arguments)])


def hear() -> tuple[str, dict[str, Any]]:
    """What the main process asks for next; waits until it does."""
    heard: list[Any] = [None]
    _broadcast(heard)
    call: tuple[str, dict[str, Any]] = heard[0]
    return call


class Post:
    """Values on their way to the main process, which takes them when it has time."""

    def __init__(self) -> None:
        self._sent: list[tuple[Any, Any]] = []

    def send(self, value: Any) -> None:
        """Send a picklable value without waiting for anybody."""
        import torch
        import torch.distributed as dist

        data = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        for tensor in (torch.tensor([len(data)]), data):
            self._sent.append((dist.isend(tensor, dst=0), tensor))  # the tensor must live until it has gone

    def flush(self) -> None:
        """Wait until the main process has taken everything."""
        for work, _ in self._sent:
            work.wait()
        self._sent.clear()


def receive(source: int) -> Any:
    """The next value that a process has sent with `Post`.

    Args:
        source: the number of the process.
    """
    import torch
    import torch.distributed as dist

    length = torch.zeros(1, dtype=torch.long)
    dist.recv(length, src=source)
    data = torch.zeros(int(length), dtype=torch.uint8)
    dist.recv(data, src=source)
    return pickle.loads(data.numpy().tobytes())


def greatest(value: int) -> int:
    """The greatest value among those that all processes give; waits for all of them."""
    if _store is None:
        return value
    import torch
    import torch.distributed as dist

    shared = torch.tensor([value])
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return int(shared)


def _broadcast(values: list[Any]) -> None:
    import torch
    import torch.distributed as dist

    dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))


def _meet() -> None:
    global _store
    import torch
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    gpus, place = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", rank()))
    if gpus and place >= gpus:
        raise ResourceError(
            f"process {rank()} would need GPU {place}, and this machine has {gpus}: start as many processes as there "
            "are GPUs (torchrun --nproc-per-node)"
        )
    if gpus:
        torch.cuda.set_device(place)
    try:
        store, _, _ = next(rendezvous("env://", timeout=PATIENCE))
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        dist.init_process_group(backend, store=store, rank=rank(), world_size=size(), timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        raise ResourceError(
            f"WORLD_SIZE says {size()} processes, and process {rank()} cannot reach the others "
            f"({str(error).splitlines()[0]}): start them with torchrun, or unset WORLD_SIZE"
        ) from error
    _store = store


def _part() -> None:
    global _store
    import torch.distributed as dist

    greatest(0)  # nobody leaves while another still listens
    dist.destroy_process_group()
    _store = None


def _to_be_said(error: BaseException) -> bool:
    """Whether this process is the one to say what went wrong: the first that failed; interrupted, the main one."""
    if isinstance(error, KeyboardInterrupt):
        return is_main()
    try:
        return bool(_store.add(FAILED, 1) == 1)
    except RuntimeError:  # who kept the store has gone, so somebody failed before
        return False


def _companion_lost(error: BaseException) -> bool:
    import torch.distributed as dist

    # gloo has no type of its own for it.
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))
