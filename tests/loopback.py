"""A real HTTP server on this machine that serves files, and misbehaves where it is told to.

with serving({"/set.zip": content}) as server:
    server.mishaps = [breaks_off(after=1000)]     # one for each coming request; after them it behaves
    ... f"{server.url}/set.zip" ...
    server.requests[1].headers["Range"]
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Message


Mishap = Callable[["Handler", bytes], None]


@dataclass
class Loopback:
    """What the server holds and how it behaves.

    Attributes:
        files: path -> content.
        mishaps: what happens to the coming requests, one each.
        requests: what was asked so far.
        validators: whether it sends an ETag.
        ranges: whether it serves pieces.
        posts: path's ending -> content, for clients that ask by POST.
        headers: path -> more headers.
    """

    files: dict[str, bytes]
    url: str = ""
    mishaps: list[Mishap] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)
    validators: bool = True
    ranges: bool = True
    posts: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Answers from the `Loopback` of its server."""

    protocol_version = "HTTP/1.1"

    @property
    def loopback(self) -> Loopback:
        return self.server.loopback  # type: ignore[attr-defined, no-any-return]

    def do_GET(self) -> None:
        self._answer(self.loopback.files.get(self.path.partition("?")[0]))

    def do_HEAD(self) -> None:
        self._answer(self.loopback.files.get(self.path.partition("?")[0]))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(next((body for end, body in self.loopback.posts.items() if self.path.endswith(end)), None))

    def _answer(self, body: bytes | None) -> None:
        here = self.loopback
        here.requests.append(Asked(self.command, self.path, self.headers))
        self.close_connection = True
        if here.mishaps:
            here.mishaps.pop(0)(self, body or b"")
        elif body is None:
            self.send(404, b"nothing here")
        else:
            self.serve(body)

    def serve(self, body: bytes, *, stop_after: int | None = None) -> None:
        """Answer as a good server does; with `stop_after`, only so much of the body."""
        start, status, more = 0, 200, dict(self.loopback.headers.get(self.path.partition("?")[0], {}))
        etag = etag_of(body)
        wanted = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range") in (None, etag)
        if self.loopback.ranges and wanted.startswith("bytes=") and fresh:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(body):
                return self.send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            more["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if self.loopback.validators:
            more.setdefault("ETag", etag)
        self.send(status, body[start:], more, stop_after=stop_after)

    def send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, *, stop_after: int | None = None
    ) -> None:
        """Send a status, headers and a body, or the beginning of it."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:stop_after])

    def log_message(self, *arguments: Any) -> None:
        pass


def etag_of(body: bytes) -> str:
    """A strong ETag that changes with the content."""
    return f'"{hashlib.sha256(body).hexdigest()}"'


def breaks_off(after: int) -> Mishap:
    """Promises all and closes the connection after some bytes."""
    return lambda handler, body: handler.serve(body, stop_after=after)


def stalls(after: int = 0) -> Mishap:
    """Sends some bytes and then nothing, keeping the connection open."""

    def mishap(handler: Handler, body: bytes) -> None:
        handler.serve(body, stop_after=after)
        handler.wfile.flush()
        handler.loopback.closing.wait(30)

    return mishap


def corrupts(at: int = 0) -> Mishap:
    """Sends as many bytes as there are, one of them wrong."""
    return lambda handler, body: handler.serve(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])


def answers(status: int, headers: Mapping[str, str] | None = None) -> Mishap:
    """Answers with a status and no file."""
    return lambda handler, body: handler.send(status, b"no", headers)


def answers_with(status: int, body: bytes, headers: Mapping[str, str]) -> Mishap:
    """Answers with this."""
    return lambda handler, _: handler.send(status, body, headers)


def sends_chunked(pieces: int, *, whole: bool) -> Mishap:
    """Sends the body in chunks without saying how long it is; unless `whole`, without the end."""

    def mishap(handler: Handler, body: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        size = -(-len(body) // pieces)
        for start in range(0, len(body) if whole else len(body) - size, size):
            piece = body[start : start + size]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if whole:
            handler.wfile.write(b"0\r\n\r\n")

    return mishap


@contextmanager
def serving(files: Mapping[str, bytes] | None = None) -> Iterator[Loopback]:
    """Run a server on a free port of the loopback interface."""
    loopback = Loopback(dict(files or {}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.loopback = loopback  # type: ignore[attr-defined]
    server.daemon_threads = True
    loopback.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield loopback
    finally:
        loopback.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
