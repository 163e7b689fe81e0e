"""The server of the page. It binds to loopback and nothing else, and works without a network.

Starlette and uvicorn, because they are small, stream uploads and answers, and leave every byte of the page to us;
Gradio would bring forty packages, its own look and fonts from elsewhere.
"""

from __future__ import annotations

import json
import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio.to_thread
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from contrapeso.ask import WAITING_LIMITS, Asker
from contrapeso.ask_source import Source
from contrapeso.demo.answers import database_json, entry_json
from contrapeso.demo.desk import MOST_WAITING, Desk
from contrapeso.demo.guard import Guard
from contrapeso.demo.page import Assets, assets
from contrapeso.demo.shelf import Shelf
from contrapeso.errors import ContrapesoError, DataError, ResourceError
from contrapeso.report.packing import visible
from contrapeso.sql import Sandbox

HOST = "127.0.0.1"
PORT = 8731
QUESTION_BYTES = 20_000


@dataclass(frozen=True)
class Room:
    """What the routes work with."""

    shelf: Shelf
    desk: Desk
    assets: Assets


def serve(source: Source, *, port: int = PORT, browser: bool = True, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        source: who answers.
        port: on loopback; 0 takes any that is free.
        browser: whether to open the page.
        say: told the address, and what the model is.

    Raises:
        ResourceError: the port is taken, or the model does not fit in memory.
        DataError: the study's target set cannot be read.
        ModelError: the model cannot be loaded.
    """
    with listening(port) as listener, opened_room(source, say=say) as room:
        token = secrets.token_urlsafe(24)
        bound = listener.getsockname()[1]
        address = f"http://{HOST}:{bound}/?token={token}"
        say(f"the page is at {address} (Ctrl-C ends it)")
        if browser:  # the socket listens already; a browser of the terminal would not return
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        with suppress(KeyboardInterrupt):  # the way to end it
            http_server(application(room, port=bound, token=token)).run(sockets=[listener])


@contextmanager
def opened_room(source: Source, *, say: Callable[[str], None]) -> Iterator[Room]:
    """A sandbox, a folder for uploads and somebody who answers; at the end all of it is gone.

    Args:
        source: who answers.
        say: told what the model is.

    Raises:
        DataError: the study's target set cannot be read.
        ModelError, ResourceError: the model cannot be loaded.
    """
    with (
        tempfile.TemporaryDirectory(prefix="contrapeso-") as uploads,
        Sandbox(workers=1, limits=WAITING_LIMITS) as sandbox,
    ):
        shelf = Shelf(source.target.data, Path(uploads))
        asker = Asker(source, sandbox, say=say)
        asker.load()  # what is wrong with the model is said now, and the first question need not wait
        desk = Desk(asker, sandbox, shelf)
        try:
            yield Room(shelf, desk, assets(source))
        finally:
            desk.close()


def listening(port: int) -> socket.socket:
    """A socket on loopback that listens already.

    Args:
        port: 0 takes any that is free.

    Raises:
        ResourceError: the port is taken or not allowed.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ResourceError(
            f"port {port} cannot be used ({error.strerror}); --port 0 takes any that is free"
        ) from error
    return listener


def http_server(app: Starlette) -> uvicorn.Server:
    """What speaks HTTP for the routes; it says nothing unless something is wrong."""
    settings = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off")
    return uvicorn.Server(settings)


def application(room: Room, *, port: int, token: str) -> Starlette:
    """The routes, guarded.

    Args:
        room: what they work with.
        port: where they are served.
        token: what every request has to carry.
    """

    async def page(request: Request) -> Response:
        return HTMLResponse(room.assets.page(token))

    async def style(request: Request) -> Response:
        return Response(room.assets.style, media_type="text/css")

    async def script(request: Request) -> Response:
        return Response(room.assets.script, media_type="text/javascript")

    async def databases(request: Request) -> Response:
        return JSONResponse([entry_json(entry) for entry in room.shelf.entries()])

    async def upload(request: Request) -> Response:
        name = unquote(request.headers.get("x-file-name", ""), errors="replace")
        entry = await room.shelf.add(name, request.stream())
        try:
            await anyio.to_thread.run_sync(room.shelf.database, entry.id)
        except BaseException:
            room.shelf.remove(entry.id)
            raise
        return JSONResponse(entry_json(entry), status_code=201)

    async def schema(request: Request) -> Response:
        entry = room.shelf.entry(request.path_params["key"])
        database = await anyio.to_thread.run_sync(room.shelf.database, entry.id)
        return JSONResponse(database_json(entry, database))

    async def remove(request: Request) -> Response:
        room.shelf.remove(request.path_params["key"])
        return Response(status_code=204)

    async def ask(request: Request) -> Response:
        question, key = await _question(request)
        entry = room.shelf.entry(key)
        if room.desk.waiting >= MOST_WAITING:
            return _refused("too many questions wait already; try again in a moment", 503)
        return StreamingResponse(_lines(room.desk.answers(entry, question)), media_type="application/x-ndjson")

    routes = [
        Route("/", page),
        Route("/style.css", style),
        Route("/script.js", script),
        Route("/databases", databases),
        Route("/databases", upload, methods=["POST"]),
        Route("/databases/{key}", schema),
        Route("/databases/{key}", remove, methods=["DELETE"]),
        Route("/ask", ask, methods=["POST"]),
    ]
    hosts = [f"{name}:{port}" for name in (HOST, "localhost")]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, hosts=hosts, token=token)],
        exception_handlers={ContrapesoError: _explained, ClientDisconnect: _nobody},
    )


async def _question(request: Request) -> tuple[str, str]:
    """The question and the id of its database."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > QUESTION_BYTES:
            raise DataError(f"the question is longer than {QUESTION_BYTES:,} bytes")
    try:
        asked = json.loads(body)
        question, key = asked["question"], asked["database"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError("a question is JSON with `question` and `database`") from error
    if not isinstance(question, str) or not isinstance(key, str):
        raise DataError("`question` and `database` are text")
    return question, key


async def _lines(events: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    async for event in events:
        yield json.dumps(event, allow_nan=False) + "\n"


async def _explained(request: Request, error: Exception) -> Response:
    return _refused(visible(str(error)), 400)


async def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # whoever sent it is gone


def _refused(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status_code=status)
