"""Addresses and the client that asks them: http and https, and nothing else.

The standard library's `urllib` is the client: one GET with a Range header needs no more, and it stays the same while
other clients come and go with the libraries that bring them.
"""

from __future__ import annotations

import re
import string
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from contrapeso.errors import DataError


def require_web_address(address: str) -> None:
    """Refuse what is no plain http or https address.

    Raises:
        DataError: another scheme, no host, or a password in it, which would end up in records and messages.
    """
    try:
        parts = urlsplit(address)
        host, secret = parts.hostname, parts.username or parts.password
        (host or "").encode("idna")
    except ValueError as error:
        raise DataError(f"{address!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f\x7f]", address):
        raise DataError(f"{address!r} is no http or https address")
    if secret is not None:
        raise DataError(f"the address of {host} holds a user name or password; leave it out")


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web and to nothing else, and never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        require_web_address(newurl)
        if req.type == "https" and not newurl.startswith("https:"):
            raise DataError(f"{req.full_url} leads from https to {newurl}, which is not protected; it is not followed")
        if fp is not None:
            fp.close()  # urllib would read to the end of it, and it may have none
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def in_ascii(address: str) -> str:
    """An address as it is sent: letters beyond ASCII in its path percent-encoded."""
    parts = urlsplit(address)
    path, query = (quote(part, safe="%" + string.punctuation) for part in (parts.path, parts.query))
    return parts._replace(path=path, query=query).geturl()


def web_client() -> urllib.request.OpenerDirector:
    """A client that speaks http and https, through the environment's proxies, and no other scheme."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _WebOnly(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def host_of(address: str) -> str:
    """Host and port of an address."""
    return urlsplit(address).netloc


def file_name_of(address: str) -> str:
    """The last part of an address's path, as a label."""
    return unquote(urlsplit(address).path).rpartition("/")[2][:60] or host_of(address)
