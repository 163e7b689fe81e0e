"""Judge many predictions on every core: the items are dealt to child processes, each with a sandbox of its own.

Comparing and diagnosing is Python, which one process does on one core. Items enter; their verdicts leave, in order.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

from contrapeso.errors import ContrapesoError, ResourceError
from contrapeso.sql.judging import Verdict, judge_sql
from contrapeso.sql.sandbox import Sandbox

Item = tuple[Path, str, str]
FEWEST_EACH = 200
"""Items that are worth a process: it takes a tenth of a second to get going."""


def judge_on_every_core(
    items: Sequence[Item], *, rule: str = "unordered", meanwhile: Callable[[], None] = lambda: None
) -> list[Verdict]:
    """`judge_sql`, on as many cores as there are.

    Children are forked, which is quick but only sound on Linux and while this process has one thread: call it early,
    and not from a library. Elsewhere, on one core, and for few items it is `judge_sql` with a sandbox of its own.

    Args:
        items: triples of a SQLite file, the gold query and the predicted query.
        rule: which rule the reasons speak for.
        meanwhile: what this process may do while its children judge.

    Returns:
        One verdict per item, in their order.

    Raises:
        DataError, ResourceError, StudyError: as `judge_sql`; also when a child is killed from outside.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    count = max(1, min(cores, len(items) // FEWEST_EACH))
    if count == 1:
        with Sandbox() as sandbox:
            return judge_sql(sandbox, items, rule=rule)
    context = multiprocessing.get_context("fork")
    cuts = [len(items) * part // count for part in range(count + 1)]
    children = []
    try:
        for start, end in pairwise(cuts):
            receiving, sending = context.Pipe(duplex=False)
            child = context.Process(target=_judge_part, args=(sending, items[start:end], rule), daemon=True)
            child.start()
            sending.close()
            children.append((child, receiving))
        meanwhile()
        return [verdict for _, receiving in children for verdict in _received(receiving)]
    finally:
        for child, receiving in children:
            child.terminate()  # its sandbox ends with it
            child.join()
            receiving.close()


def _judge_part(sending: Connection, items: Sequence[Item], rule: str) -> None:
    gc.set_threshold(100_000)  # syntax trees are many and short-lived: saves a twentieth
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its children
    try:
        with Sandbox(workers=1) as sandbox:
            sending.send(judge_sql(sandbox, items, rule=rule))
    except ContrapesoError as error:
        sending.send(error)


def _received(receiving: Connection) -> list[Verdict]:
    try:
        part: list[Verdict] | ContrapesoError = receiving.recv()
    except EOFError:
        raise ResourceError("a process that judged predictions was killed; free some memory, then run again") from None
    if isinstance(part, ContrapesoError):
        raise part
    return part
