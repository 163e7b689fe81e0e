"""Who may talk to the page: this machine's user, from the page itself.

A page on loopback is reached by every other page in the same browser, by names that resolve to it (DNS rebinding) and
by other users of the machine. So each request must name the address we serve as its host, come from our own origin if
it names one, and carry the token that only the printed address holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-contrapeso-token"  # no secret, the name of its place
OPEN_PATHS = frozenset(("/style.css", "/script.js"))
"""The same for everybody, so they need no token."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that turns strangers away and puts the protective headers on every response.

    Args:
        app: what is guarded.
        hosts: the addresses we serve, as `Host` names them: `127.0.0.1:8731`.
        token: what the address that was printed holds.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str) -> None:
        self._app, self._hosts, self._token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no websocket is served
            return
        refusal = self._refusal(scope)

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer: ASGIApp = PlainTextResponse(refusal, status_code=403) if refusal else self._app
        await answer(scope, receive, send_protected)

    def _refusal(self, scope: Scope) -> str:
        """Why a request is refused; "" when it is not."""
        headers = Headers(scope=scope)
        if headers.getlist("host") != [host := headers.get("host", "")] or host not in self._hosts:
            return "This page is served to this machine only, under the address that was printed."
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return "Requests from other pages are refused."
        if scope["path"] in OPEN_PATHS and scope["method"] in ("GET", "HEAD"):
            return ""
        given = headers.get(TOKEN_HEADER)
        if given is None and scope["path"] == "/":  # the printed address; nothing but the page itself opens so
            given = QueryParams(scope["query_string"]).get("token", "")
        if not secrets.compare_digest((given or "").encode(), self._token.encode()):
            return "The token is missing or old; open the address that was printed when the page was started."
        return ""
