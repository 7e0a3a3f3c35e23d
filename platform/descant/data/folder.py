"""The folder that holds a data set: on this machine, or behind a URL (remote.py)."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from descant.data.index import ShardIndex, load_indexes
from descant.errors import RunError, UserError

DESCRIPTION = "dataset.json"
REMOTE_SCHEMES = ("s3", "gs", "http", "https", "memory")
LetGo = Callable[[], bool]
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


class OpenShard:
    """A shard that is open for ``os.pread``; ``release`` lets go of what keeps it where it is."""

    __slots__ = ("_release", "descriptor")

    def __init__(self, path: Path, release: Callable[[], None] = lambda: None) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)
        self._release = release

    def close(self) -> None:
        """Close the file and let go of it."""
        os.close(self.descriptor)
        self._release()


class Folder(ABC):
    """A folder of shards, their indexes and ``dataset.json``.

    Attributes:
        place: what the user calls it: a path or a URL.
        name: its last part.
        is_remote: whether shards have to be fetched before they are read.
        max_open: how many shards of such folders a process keeps open.
    """

    place: str
    name: str
    is_remote: bool
    max_open: int

    @abstractmethod
    def exists(self) -> bool:
        """Return whether there is such a folder, or a ``dataset.json`` where folders are no things of their own."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Return the content of a small file, None when there is none."""

    @abstractmethod
    def shards(self) -> list[str]:
        """Return the names of all shards, sorted."""

    @abstractmethod
    def indexes(self, shards: Sequence[str]) -> list[ShardIndex]:
        """Return the indexes of shards by name, in their order.

        Raises:
            UserError: a shard is missing, or its name leads out of the folder.
        """

    @abstractmethod
    def open_shard(self, index: ShardIndex, let_go: LetGo = lambda: False) -> OpenShard:
        """Open a shard, fetching it first where it is remote.

        Args:
            index: of the shard.
            let_go: called where it finds no room: closes another shard and returns whether there was one.

        Raises:
            RunError: it cannot be had, or is not the one that was indexed.
        """

    @abstractmethod
    def fetch(self, index: ShardIndex) -> None:
        """Bring a shard to this machine for ``open_shard``; the errors are those of ``open_shard``."""

    @abstractmethod
    def check_unchanged(self, index: ShardIndex, opened: OpenShard | None) -> None:
        """See that a shard, open or not, is the one that was indexed; the errors are those of ``open_shard``."""


class LocalFolder(Folder):
    """A folder on this machine: shards are read where they are."""

    is_remote = False
    max_open = 128

    def __init__(self, path: Path) -> None:
        self.path, self.place, self.name = path, str(path), path.name
        self._stamps: dict[str, tuple[int, ...]] = {}

    def exists(self) -> bool:
        return self.path.exists()

    def read(self, name: str) -> bytes | None:
        path = self.path / checked_name(name)
        return path.read_bytes() if path.exists() else None

    def shards(self) -> list[str]:
        return sorted(path.name for path in self.path.glob("*.tar"))

    def indexes(self, shards: Sequence[str]) -> list[ShardIndex]:
        paths = [self.path / checked_name(name) for name in shards]
        for path in paths:
            if not path.exists():
                raise UserError(
                    f"the shard {str(path)!r} that dataset.json names is missing: put it back or pack again"
                )
            self._stamps[path.name] = _stamp(os.stat(path))
        return load_indexes(paths)

    def open_shard(self, index: ShardIndex, let_go: LetGo = lambda: False) -> OpenShard:
        try:
            shard = OpenShard(index.path)
        except FileNotFoundError as error:
            raise _gone(index) from error
        try:
            self.check_unchanged(index, shard)
        except RunError:
            shard.close()
            raise
        return shard

    def check_unchanged(self, index: ShardIndex, opened: OpenShard | None) -> None:
        try:
            stamp = _stamp(os.stat(index.path) if opened is None else os.fstat(opened.descriptor))
        except FileNotFoundError as error:
            raise _gone(index) from error
        if self._stamps.get(index.path.name, stamp) != stamp:
            raise RunError(
                f"the shard {str(index.path)!r} changed during the run: put it back and run the same command again, "
                f"or begin a new run"
            )

    def fetch(self, index: ShardIndex) -> None:
        """Do nothing: it is here."""


def _gone(index: ShardIndex) -> RunError:
    return RunError(
        f"the shard {str(index.path)!r} has gone during the run: put it back and run the same command again"
    )


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns


def open_folder(place: str | Path | Folder) -> Folder:
    """Return the folder at a path or URL.

    Raises:
        UserError: the URL is of a kind that is not read, or not one of a folder.
    """
    if isinstance(place, Folder):
        return place
    scheme = _SCHEME.match(place) if isinstance(place, str) else None
    if not scheme or (not str(place).startswith(f"{scheme[0]}//") and Path(place).exists()):
        return LocalFolder(Path(place))
    kind, url = scheme[1].lower(), str(place)
    if kind == "file" and url[5:].startswith("///"):
        return LocalFolder(Path(unquote(url[7:])))
    if kind not in REMOTE_SCHEMES:
        allowed = ", ".join(f"{one}://" for one in ("file", *REMOTE_SCHEMES))
        raise UserError(f"the data {url!r} cannot be read: give a folder, or a URL that starts with one of {allowed}")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise UserError("the URL of the data holds a user name or password: leave it out, and give it by ~/.netrc")
    if not url[len(kind) + 1 :].startswith("//") or not parts.netloc or parts.query or parts.fragment:
        # what follows the question mark may be a secret
        raise UserError(f"{re.split('[?#]', url)[0]!r} is no URL of a folder: give one such as {kind}://bucket/folder")
    from descant.data.remote import RemoteFolder

    return RemoteFolder(f"{kind}{url[len(kind) :].rstrip('/')}")


def checked_name(name: str, place: str = DESCRIPTION) -> str:
    """Return the name of a file; UserError when it leads out of the folder. ``place`` is where the name stands."""
    if name in ("", ".", "..") or not set("/\\\0").isdisjoint(name):
        raise UserError(f"{place!r} names the shard {name!r}: shards lie beside it, without a folder")
    return name
