"""One worker process seen from its parent: start it, send a job, read the reply as it comes, kill it.

A job enters, the reply of `worker.py` leaves, as plain JSON values. Replies are data from a process that ran hostile
input, so nothing in them is ever unpickled or evaluated.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.errors import ResourceError

_WORKER = Path(__file__).with_name("worker.py")
_READ_BYTES = 1 << 20
_START_SECONDS = 60.0


@dataclass
class Job:
    """A request on its way: its place, what to run, and how many workers have tried."""

    index: int
    database: Path
    sql: str
    tries: int = 0


class WorkerProcess:
    """One child process and the frame it is sending."""

    def __init__(self, limits: Mapping[str, Any]) -> None:
        # Isolated and without site-packages: starts in 30 ms and cannot import anything of ours or of the user's.
        # A group of its own keeps Ctrl-C from it; the parent ends it.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                process_group=0,
            )
        except OSError as error:
            raise ResourceError(
                f"a worker for SQL does not start: {error.strerror}; "
                "close other processes or files, or use fewer workers"
            ) from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self.input, self.output = self._process.stdin, self._process.stdout
        for pipe in (self.input, self.output):
            os.set_blocking(pipe.fileno(), False)
        self.alive = True
        self.deadline = 0.0
        self.job = Job(0, Path(), "")
        self._seconds, self._cpu_seconds = float(limits["seconds"]), float(limits["cpu_seconds"])
        self._memory = limits["memory_megabytes"]
        self._buffer = bytearray()
        self.deadline = time.monotonic() + _START_SECONDS
        try:
            self._write(dict(limits))
        except BaseException:  # Ctrl-C above all: nobody else knows this process yet
            self.kill()
            raise

    @property
    def pid(self) -> int:
        """Process number of the child."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait for the first frame, so that a worker that cannot start blames no query.

        Raises:
            ResourceError: it cannot.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            while (reply := self.poll()) is None:
                selector.select(max(0.0, self.deadline - time.monotonic()))
        if reply["reason"] != "ready":
            raise ResourceError(
                f"a worker for SQL does not start: {reply['detail']}; free some memory, or raise its limit of "
                f"memory_megabytes={self._memory}"
            )

    def _write(self, value: Any) -> None:
        """Send a frame; that it did not arrive is for `poll` to find out."""
        body = json.dumps(value).encode()
        view = memoryview(struct.pack(">I", len(body)) + body)
        with contextlib.suppress(BrokenPipeError):
            while view:
                try:
                    view = view[os.write(self.input.fileno(), view) :]
                except BlockingIOError:
                    if not self._writable():
                        return

    def _writable(self) -> bool:
        """Wait until the pipe takes more; False when the time is up first."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.input, selectors.EVENT_WRITE)
            return bool(selector.select(max(0.0, self.deadline - time.monotonic())))

    def running(self) -> bool:
        """Whether the process still exists; an idle worker may have been killed by others."""
        return self._process.poll() is None

    def send(self, job: Job) -> None:
        """Start a job."""
        self.job, self._buffer = job, bytearray()
        job.tries += 1
        self.deadline = time.monotonic() + self._seconds
        self._write([str(job.database), job.sql])

    def poll(self) -> dict[str, Any] | None:
        """Read what is there: the reply when it is complete or will never come, None to go on waiting."""
        with contextlib.suppress(BlockingIOError):  # raised when there is nothing more to read yet
            while chunk := os.read(self.output.fileno(), _READ_BYTES):
                self._buffer += chunk
                if len(self._buffer) >= 4 and len(self._buffer) - 4 == struct.unpack_from(">I", self._buffer)[0]:
                    reply: dict[str, Any] = json.loads(self._buffer[4:])
                    return reply
            self.alive = False
            return self._obituary(self._process.wait())
        if time.monotonic() >= self.deadline:
            self.alive = False
            return {
                "reason": "timeout",
                "detail": f"no answer in time; the worker was killed (limit {self._seconds:g} s)",
            }
        return None

    def _obituary(self, status: int) -> dict[str, Any]:
        """What the end of the process says about its query."""
        if status == -signal.SIGPROF:
            return {"reason": "timeout", "detail": f"ended after {self._cpu_seconds:g} s of processor time"}
        return {"reason": "crashed", "detail": f"the worker ended with status {status}"}

    def end(self) -> None:
        """End the process now; what was waiting for its reply sees that none will come."""
        self._process.kill()

    def kill(self) -> None:
        """End the process now and collect it."""
        self.alive = False
        self.end()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        self.output.close()
