"""Let the hosts' own clients fetch: huggingface_hub and kagglehub, their caches and tokens included.

A source of `sources` and an empty folder enter; what the client found or fetched leaves, as a file or a folder. What
goes wrong inside a client becomes one line that says what to do.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from contrapeso.data.download import sha256_of
from contrapeso.data.sources import HubSource, KaggleSource
from contrapeso.errors import DataError, ResourceError

_ELSEWHERE = "try again later, or take it from elsewhere with --from"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = (
    "get a token at https://www.kaggle.com/settings and put it into ~/.kaggle/kaggle.json, or into the environment as "
    "KAGGLE_USERNAME and KAGGLE_KEY, or as KAGGLE_API_TOKEN"
)


def offline_wanted() -> bool:
    """Whether the environment asks for no network, by the variable that Hugging Face libraries read."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def from_hugging_face(source: HubSource, scratch: Path, *, revision: str | None = None, offline: bool = False) -> Path:
    """The files of a hub data set, from the hub's cache or from the hub.

    Args:
        source: repository, revision and files.
        scratch: an empty folder for a set of several files.
        revision: another commit, tag or branch; its files have other checksums, so the known ones do not count.
        offline: only look in the cache.

    Returns:
        The one file, or a folder with all of them.

    Raises:
        DataError: they are not to be had, or not the ones that were pinned.
    """
    if revision and revision != source.revision:
        source = replace(source, revision=revision, files=dict.fromkeys(source.files))
    paths = {name: _hub_file(source, name, offline) for name in source.files}
    for name, path in paths.items():
        # Large files are stored under their SHA-256 in the hub's cache, so the hub's word can be checked too.
        blob = path.resolve().name
        wanted = source.files[name] or (blob if _SHA256.fullmatch(blob) else None)
        if wanted and (arrived := sha256_of(path)) != wanted:
            raise DataError(
                f"{source.repository}/{name}: SHA-256 {arrived}, expected {wanted}; the copy at {path} is damaged: "
                "delete it and fetch again"
            )
    if len(paths) == 1:
        return next(iter(paths.values()))
    for name, path in paths.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, scratch / name)
    return scratch


def _hub_file(source: HubSource, name: str, offline: bool) -> Path:
    from huggingface_hub import errors, hf_hub_download

    what = f"{source.repository} at {source.revision[:12]}"
    repository, revision = source.repository, source.revision
    try:
        with _quiet("huggingface_hub"):
            found = hf_hub_download(repository, name, repo_type="dataset", revision=revision, local_files_only=offline)
            return Path(found)
    except errors.GatedRepoError as error:
        raise DataError(f"{what} wants a login: `hf auth login`, or a token in HF_TOKEN, then fetch again") from error
    except errors.LocalEntryNotFoundError as error:
        if offline:
            raise DataError(f"{name} of {what} is not in the hub's cache; fetch without --offline once") from error
        if isinstance(error.__cause__, errors.HfHubHTTPError):
            raise DataError(
                f"Hugging Face does not give {what}: {_first_line(error.__cause__)}; {_ELSEWHERE}"
            ) from error
        raise DataError(f"cannot reach Hugging Face for {what} (no network?); {_ELSEWHERE}") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise DataError(
            f"Hugging Face has no {name} of {what} ({type(error).__name__}); check --revision, and HF_TOKEN if it is "
            "not open to all"
        ) from error
    except errors.HfHubHTTPError as error:
        raise DataError(f"Hugging Face does not give {what}: {_first_line(error)}; {_ELSEWHERE}") from error
    except Exception as error:
        if _of_the_network(error):
            raise DataError(f"cannot reach Hugging Face for {what} ({type(error).__name__}); {_ELSEWHERE}") from error
        if isinstance(error, OSError):
            raise ResourceError(f"cannot store {name} of {what}: {error}; free disk space, then fetch again") from error
        raise


def _of_the_network(error: Exception) -> bool:
    """Whether an error of the hub's client comes from the network, whichever HTTP library it is built on.

    huggingface_hub 1.16 closes its connection pool when it cannot connect, and its own second try then fails with a
    RuntimeError about the closed client.
    """
    library = type(error).__module__.partition(".")[0]
    closed = isinstance(error, RuntimeError) and "client has been closed" in str(error)
    return closed or library in ("httpx", "httpx2", "httpcore", "requests", "urllib3", "huggingface_hub")


def from_kaggle(source: KaggleSource, *, revision: str | None = None, offline: bool = False) -> Path:
    """The folder of a Kaggle data set, from kagglehub's cache or from Kaggle.

    Args:
        source: handle and version.
        revision: another version, a number.
        offline: only look in the cache.

    Raises:
        DataError: kagglehub is not installed, or the data set is not to be had.
    """
    if revision and not revision.isdecimal():
        raise DataError(f"a revision on Kaggle is the number of a version, not {revision!r}")
    try:
        import kagglehub
        from kagglehub.cache import Cache
        from kagglehub.handle import parse_dataset_handle
    except ImportError as error:
        raise DataError(
            f"fetching from Kaggle needs the package kagglehub ({error}): pip install 'contrapeso[kaggle]', "
            "or take the set from elsewhere with --from"
        ) from error
    handle = f"{source.handle}/versions/{revision or source.version}"
    if offline:
        cached = Cache().load_from_cache(parse_dataset_handle(handle))
        if cached is None:
            raise DataError(f"{handle} is not in kagglehub's cache; fetch without --offline once")
        return Path(cached)
    with _explained(handle), _quiet("kagglehub"):
        return Path(kagglehub.dataset_download(handle))


@contextmanager
def _explained(handle: str) -> Iterator[None]:
    """Turn what kagglehub raises into one line."""
    import requests
    from kagglehub import exceptions

    what = f"the Kaggle data set {handle}"
    try:
        yield
    except exceptions.UnauthenticatedError as error:
        raise DataError(f"{what} wants a login: {_TOKEN}") from error
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        if code in (401, 403):
            raise DataError(f"Kaggle refuses {what} (status {code}): {_TOKEN}") from error
        if code == 404:
            raise DataError(f"there is no {what} (status 404); check --revision") from error
        raise DataError(f"Kaggle does not give {what}: {_first_line(error)}; {_ELSEWHERE}") from error
    except requests.RequestException as error:
        raise DataError(f"cannot reach Kaggle for {handle} ({type(error).__name__}); {_ELSEWHERE}") from error
    except exceptions.DataCorruptionError as error:
        raise DataError(f"{what} arrived damaged ({_first_line(error)}); fetch it again") from error
    except OSError as error:
        raise ResourceError(f"cannot store {what}: {error.strerror or error}; free disk space") from error
    except (ValueError, exceptions.CredentialError, exceptions.BackendError) as error:
        raise DataError(f"{what}: {_first_line(error)}; if it is about credentials: {_TOKEN}") from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a client's own chatter off the output; its bar stays."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    """The first line of a message, without the queries of addresses in it: signed ones are keys."""
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    return re.sub(r"\?\S+", "", line)[:300]
