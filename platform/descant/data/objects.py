"""The files below one URL, through fsspec: listed, read and downloaded, with patience and with plain errors."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from descant.errors import RunError, UserError
from descant.files import is_full

_PACKAGES = {"s3": "s3fs: pip install 'descant[s3]'", "gs": "gcsfs, of one month with fsspec: pip install gcsfs"}
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "Last-Modified", "mtime", "created")
_CLIENTS = {"aiohttp", "aiobotocore", "botocore", "gcsfs", "google"}
_STALL_S = 60.0  # a server that sends nothing for so long is taken for gone
_MAX_READ_BYTES = 1 << 30
Result = TypeVar("Result")

logger = logging.getLogger("descant")


@dataclass(frozen=True)
class Retries:
    """How often a request is tried, and how long to wait after the first failure; each wait doubles the one before."""

    tries: int = 5
    first_wait_s: float = 2.0

    def waits_s(self) -> Iterator[float]:
        """Yield the waits between the tries."""
        for number in range(self.tries - 1):
            yield self.first_wait_s * 2**number


@dataclass(frozen=True)
class Stat:
    """A file as the server states it: its size, and a text that changes with its content (an ETag or a time)."""

    size_bytes: int
    version: str


class Objects:
    """The files right below ``url``.

    Connection errors, answers of 5xx and 429 and downloads that end early are tried again; other answers are errors
    at once. It may be used by several threads and processes.

    Raises:
        UserError: the server refuses, or the package for such URLs is not installed.
        RunError: the server does not answer, or the disk is full.
    """

    def __init__(self, url: str, retries: Retries | None = None) -> None:
        self.url = url
        self.retries = retries or Retries()
        self._opened: tuple[int, Any] | None = None
        self._filesystem()  # a missing package is said at once

    def list(self) -> dict[str, Stat | None]:
        """Return all files by name, none where the server lists nothing; web servers list names alone."""
        try:
            entries = self._ask(self.url, lambda system: system.ls(self._path(), detail=True))
        except UserError:  # a server may give files to who knows their names
            return {}
        files = [entry for entry in entries or () if entry.get("type") == "file"]
        return {
            str(entry["name"]).rpartition("/")[2]: None if entry.get("size") is None else _stat(entry)
            for entry in files
        }

    def stat(self, name: str) -> Stat | None:
        """Return what the server states of a file, None when there is none."""
        info = self._ask(f"{self.url}/{name}", lambda system: system.info(self._path(name)))
        return None if info is None else _stat(info)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, None when there is none."""
        stat = self.stat(name)
        if stat is None:
            return None
        if stat.size_bytes > _MAX_READ_BYTES:
            raise UserError(f"{self.url}/{name} has {stat.size_bytes:,} bytes: {_MAX_READ_BYTES:,} are allowed")
        return self._ask(f"{self.url}/{name}", lambda system: bytes(system.cat_file(self._path(name))))

    def download(self, name: str, stat: Stat, target: Path) -> None:
        """Write a file to ``target``.

        Raises:
            RunError: it is not there any more, or another one than ``stat`` says; or ``target`` cannot be written.
        """
        url = f"{self.url}/{name}"

        def get(system: Any) -> bool:
            if _stat(system.info(self._path(name))) == stat:
                try:
                    system.get_file(self._path(name), str(target))
                except OSError as error:
                    _raise_local(error, target)
                    raise
                size = os.stat(target).st_size
                if size != stat.size_bytes:
                    raise ConnectionError(f"it sent {size:,} of {stat.size_bytes:,} bytes")
                if _stat(system.info(self._path(name))) == stat:
                    return True
            raise RunError(
                f"{url} has changed on the server since it was first looked at: "
                f"put it back and run the same command again, or begin a new run"
            )

        if self._ask(url, get) is None:
            raise RunError(f"{url} has gone from the server: put it back and run the same command again")

    def _ask(self, url: str, request: Callable[[Any], Result]) -> Result | None:
        """Return the answer of a request, None when there is no such file."""
        waits_s = self.retries.waits_s()
        while True:
            try:
                return request(self._filesystem())
            except Exception as error:
                if is_full(error):
                    raise
                status = _status(error)
                if status == 404:
                    return None
                if not _is_servers(error):
                    raise
                if status is not None and status < 500 and status not in (408, 429):
                    raise UserError(f"the server refuses {url} ({_words(error, status)}): {_remedy(url)}") from error
                wait_s = next(waits_s, None)
                if wait_s is None:
                    raise RunError(
                        f"{url} could not be read in {self.retries.tries} tries ({_words(error, status)}): "
                        f"see that the server can be reached, and run the same command again"
                    ) from error
                logger.info("%s is tried again in %g s: %s", url, wait_s, _words(error, status))
                time.sleep(wait_s)

    def _path(self, name: str = "") -> str:
        return f"{self.url}/{name}" if name else f"{self.url}/"

    def _filesystem(self) -> Any:
        """Return fsspec's file system; one a process, since connections do not survive a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), _open(self.url.partition(":")[0])
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave connections behind."""
        return {**self.__dict__, "_opened": None}


def _open(scheme: str) -> Any:
    import fsspec

    # one of its own: a shared one would go on with the endpoint and credentials of its first user
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme in ("http", "https"):
        import aiohttp

        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=_STALL_S),
            "trust_env": True,
        }
    if scheme == "s3":
        timeouts = {"connect_timeout": 10, "read_timeout": _STALL_S}
        options["config_kwargs"] = {**timeouts, "retries": {"max_attempts": 1}}
    try:
        return fsspec.filesystem(scheme, **options)
    except ImportError as error:
        raise UserError(f"{scheme}:// needs the package {_PACKAGES.get(scheme, error)}") from error


def _stat(info: Mapping[str, Any]) -> Stat:
    if info.get("size") is None:
        raise UserError(f"the server does not state the size of {info.get('name')}: use one that does")
    version = next((info[key] for key in _VERSIONS if info.get(key)), "")
    # a file alone and a file in a listing may state one time in two ways
    return Stat(int(info["size"]), str(version.timestamp() if isinstance(version, datetime) else version))


def _status(error: Exception) -> int | None:
    """Return the HTTP status behind an error, None when there was no answer."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    for cause in causes:
        package = type(cause).__module__.partition(".")[0]
        status = getattr(cause, {"aiohttp": "status", "gcsfs": "code"}.get(package, ""), None)
        if package == "botocore":
            status = getattr(cause, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
        if isinstance(status, int) and status >= 400:
            return status
    if isinstance(error, FileNotFoundError):
        # fsspec says "not found" of a web server that cannot be reached
        return None if any(isinstance(cause, Exception) and _is_servers(cause) for cause in causes[1:]) else 404
    return 403 if isinstance(error, PermissionError) or "Credentials" in type(error).__name__ else None


def _is_servers(error: Exception) -> bool:
    """Return whether an error may come from the server or the way to it, rather than from a mistake of ours."""
    return isinstance(error, OSError | asyncio.TimeoutError) or type(error).__module__.partition(".")[0] in _CLIENTS


def _raise_local(error: OSError, target: Path) -> None:
    """Raise a RunError where not the server but the file to be written is at fault."""
    named = error.filename
    if isinstance(named, str) and Path(named).is_relative_to(target.parent):
        raise RunError(
            f"{named!r} cannot be written ({error.strerror}): see that the cache folder is there and may be written "
            f"to, or set DESCANT_CACHE to another, and run the same command again"
        ) from error


def _words(error: Exception, status: int | None) -> str:
    known = {401: "401, no valid credentials", 403: "403, forbidden"}
    return known.get(status or 0) or f"{status or ''} {str(error) or type(error).__name__}".strip()


def _remedy(url: str) -> str:
    keys = "AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if url.startswith("s3:") else "your credentials"
    return f"check the URL, and set {keys} to those of an account that may read it"
