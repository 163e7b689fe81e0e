"""Fetch one file over HTTP so that it arrives whole or not at all.

An address enters; a file and its SHA-256 leave. What has arrived stays in `<file>.part` with a note of what it is part
of, so that the next attempt, or the next process, asks for the rest only. A server that stalls, breaks off or is busy
is asked again, with growing pauses and for a bounded number of times; one that refuses is believed.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contrapeso.data.part import Part
from contrapeso.data.web import file_name_of, host_of, in_ascii, require_web_address, web_client
from contrapeso.errors import DataError, ResourceError
from contrapeso.progress import Reporter, Silent
from contrapeso.version import __version__

LARGEST_BYTES = 8 * 2**30
"""No benchmark set that is read here comes near it; a server that sends more sends something else."""
_CHUNK_BYTES = 1 << 16
_MEGABYTE = 10**6
_WORTHWHILE_BYTES = 1 << 20
"""An attempt that brought so much counts as progress, and the attempts are counted anew."""
_BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
_SLOWEST_BYTES_A_SECOND = 1000
"""A server that sends less over the longest silence that is borne is taken for silent."""
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


@dataclass(frozen=True)
class Patience:
    """How long to bear with a server.

    Attributes:
        timeout_seconds: the longest silence, when connecting and between two pieces.
        failures: how many attempts in a row may fail before the download is given up.
        wait_seconds: the pause after the first failure; it doubles with each.
        longest_wait_seconds: where doubling ends, also when the server asks for more.
    """

    timeout_seconds: float = 30
    failures: int = 6
    wait_seconds: float = 1
    longest_wait_seconds: float = 30


PATIENCE = Patience()


class _PassingError(Exception):
    """An attempt that may go better next time; `unreachable`: not when it was the first."""

    def __init__(self, what: str, *, wait_seconds: float = 0, unreachable: bool = False) -> None:
        super().__init__(what)
        self.wait_seconds = wait_seconds
        self.unreachable = unreachable


def sha256_of(file: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def download(
    address: str,
    target: Path,
    *,
    sha256: str | None = None,
    largest_bytes: int = LARGEST_BYTES,
    patience: Patience = PATIENCE,
    reporter: Reporter | None = None,
) -> str:
    """Fetch one file, going on where an earlier call broke off.

    Args:
        address: http or https.
        target: where the file goes; its folder must exist.
        sha256: what it must be (hex); None takes whatever arrives whole.
        largest_bytes: refuse a larger file.
        patience: how long to bear with the server.
        reporter: where progress goes.

    Returns:
        SHA-256 (hex) of the file.

    Raises:
        DataError: the server cannot be reached, refuses, or keeps failing; or what arrived is not what was asked for.
        ResourceError: the disk is full or refuses.
    """
    require_web_address(address)
    reporter = reporter or Silent()
    for again in (True, False):
        try:
            part = Part(target, address)
            _receive(part, largest_bytes, patience, reporter, trusted=sha256 is not None)
            arrived = sha256_of(part.file)
            if sha256 in (None, arrived):
                part.file.replace(target)
                part.note.unlink(missing_ok=True)
                return arrived
        except OSError as error:
            raise ResourceError(
                f"cannot write to {target.parent}: {error.strerror or error}; free disk space or choose another --cache"
            ) from error
        part.discard()
        if not (part.pieced and again):
            break
        reporter.say("the pieces do not fit together (the file changed meanwhile); starting over")
    raise DataError(
        f"what {address} sent is damaged or another file: its SHA-256 is {arrived}, expected {sha256}; "
        "fetch again, or from elsewhere with --from"
    )


def _receive(part: Part, largest_bytes: int, patience: Patience, reporter: Reporter, *, trusted: bool) -> None:
    """Ask until the part is whole."""
    failures, at_start = 0, part.size
    while True:
        before = part.size
        try:
            return _attempt(part, largest_bytes, patience.timeout_seconds, reporter, trusted=trusted)
        except _PassingError as error:
            failures = 1 if part.size - before >= _WORTHWHILE_BYTES else failures + 1
            if failures > patience.failures or (error.unreachable and part.size <= at_start):
                kept = f"{part.size:,} bytes are kept, the same command goes on from there; " if part.size else ""
                raise DataError(
                    f"cannot fetch {part.address}: {error}; {kept}try again later, or take the set from elsewhere "
                    "with --from"
                ) from error
            wait = max(error.wait_seconds, patience.wait_seconds * 2 ** (failures - 1))
            wait = min(wait, patience.longest_wait_seconds)
            reporter.say(f"{host_of(part.address)}: {error}; asking again in {wait:.0f} s")
            time.sleep(wait)


def _attempt(part: Part, largest_bytes: int, timeout_seconds: float, reporter: Reporter, *, trusted: bool) -> None:
    """One request; returns when the part is whole."""
    if not (part.validator or trusted):
        part.discard()  # nothing would tell whether the rest belongs to it
    headers = {"User-Agent": f"contrapeso/{__version__}", "Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.validator:
            headers["If-Range"] = part.validator
    request = urllib.request.Request(in_ascii(part.address), headers=headers)
    try:
        response = web_client().open(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        with closing(error):
            return _refused(error, part)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: it leads to what is no address
        raise _unreached(error, part.address) from error
    with response:
        _take(response, part, largest_bytes, reporter, timeout_seconds=timeout_seconds)


def _unreached(error: Exception, address: str) -> Exception:
    """What it means that no answer came."""
    reason = getattr(error, "reason", None)
    reason = reason if isinstance(reason, Exception) else error
    if isinstance(reason, socket.gaierror):
        return _PassingError("its name cannot be looked up (no network, or a wrong address)", unreachable=True)
    if isinstance(reason, TimeoutError):
        return _PassingError("the server does not answer")
    if isinstance(reason, ConnectionError | http.client.HTTPException):
        return _PassingError(f"the connection failed ({reason})")
    if isinstance(reason, ssl.SSLError) or not isinstance(reason, OSError):
        return DataError(
            f"cannot reach {host_of(address)}: {reason}; check the address and this machine's certificates"
        )
    return _PassingError(f"there is no network ({reason.strerror or reason})", unreachable=True)


def _take(response: Any, part: Part, largest_bytes: int, reporter: Reporter, *, timeout_seconds: float) -> None:
    """Write the body of a response to the part."""
    address, size, validator = part.address, part.size, _validator(response.headers)
    total, open_end = response.length, False
    if response.status == 206:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        other = part.validator and validator not in (None, part.validator)
        if not size or not found or int(found[1]) != size or other:
            part.discard()
            raise _PassingError("the server sent another piece than the one asked for")
        part.pieced = True
        open_end = found[3] == "*"  # whether more follows is told by the answer to the next request
        total = None if open_end else int(found[3])
    elif response.status == 200:  # no resuming here, or the file has changed: from the beginning
        part.begin(validator)
        size = 0
    else:
        raise DataError(f"{address} answers with status {response.status}, which is no file; check the address")
    if (total or 0) > largest_bytes:
        part.discard()
        raise DataError(f"{address} is {total:,} bytes; more than {largest_bytes:,} are not fetched")
    label = f"{file_name_of(address)} (MB)"
    bar = reporter.track(label, (total or 0) // _MEGABYTE, size // _MEGABYTE)
    with part.file.open("ab") as file, bar as advance:
        for chunk in _chunks(response, timeout_seconds):
            file.write(chunk)
            advance((size + len(chunk)) // _MEGABYTE - size // _MEGABYTE)
            size += len(chunk)
            if size > largest_bytes:
                break
    if size > largest_bytes:
        part.discard()
        raise DataError(f"{address} sends more than {largest_bytes:,} bytes, which is no data set")
    if total is not None and size < total:
        raise _PassingError(f"broke off after {size:,} of {total:,} bytes")
    if open_end:
        raise _PassingError(f"sent a piece up to byte {size:,} and not how many there are")


def _chunks(response: Any, timeout_seconds: float) -> Iterator[bytes]:
    """The body piece by piece, each as soon as it is there; only the network's errors are passing ones."""
    since, arrived = time.monotonic(), 0
    while True:
        try:
            chunk = response.read1(_CHUNK_BYTES)
        except TimeoutError as error:
            raise _PassingError("the server fell silent") from error
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(f"the connection broke ({error})") from error
        if not chunk:
            return
        yield chunk
        arrived += len(chunk)
        seconds = time.monotonic() - since
        if seconds > timeout_seconds:
            if arrived < _SLOWEST_BYTES_A_SECOND * seconds:
                raise _PassingError("the server sends next to nothing")
            since, arrived = time.monotonic(), 0


def _refused(error: urllib.error.HTTPError, part: Part) -> None:
    """What an answer other than a file means."""
    code, address = error.code, part.address
    if code == 416:  # nothing beyond what is here: whole, or another file now
        total = error.headers.get("Content-Range", "").rpartition("/")[2]
        if total == str(part.size):
            return
        part.discard()
        raise _PassingError("the file changed meanwhile") from error
    if code in _BUSY:
        wait = error.headers.get("Retry-After", "")
        raise _PassingError(
            f"status {code} ({error.reason})", wait_seconds=float(wait) if wait.isdecimal() else 0
        ) from error
    if code in (401, 403):
        raise DataError(
            f"{address} refuses (status {code}): it wants a login that contrapeso does not have; "
            "fetch it in a browser and give the file with --from"
        ) from error
    if code in (404, 410):
        raise DataError(f"there is nothing at {address} (status {code}); check the address") from error
    raise DataError(f"{address} answers with status {code} ({error.reason}); check the address") from error


def _validator(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified")
