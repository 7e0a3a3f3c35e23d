"""A cache of whole shards on this host, shared by all its processes, of limited size.

Each version of a shard has a folder named by a hash of its URL and version: the shard under its own name, its index,
a lock file, and during a download a folder for that. Who reads the shard holds the lock shared; who downloads or
removes it holds it exclusively. What was not used for longest goes first; what is in use stays. A lock file's time of
change is that of the last use.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from descant.errors import RunError, UserError
from descant.files import is_full, sync
from descant.locks import FileLock

_INDEX_STAYS_NS = 7 * 24 * 3600 * 10**9  # processes map indexes without a lock
_LOCK = "lock"
_DOWNLOAD = ".download"


@dataclass(frozen=True)
class Entry:
    """The place of one version of a shard in the cache.

    Attributes:
        path: of the shard, under its own name; it may not be there now.
        size_bytes: of the shard.
    """

    path: Path
    size_bytes: int


@dataclass(frozen=True)
class _Stored:
    path: Path
    size_bytes: int
    is_shard: bool
    used_ns: int


class ShardCache:
    """The cache in ``folder``, of at most ``limit_bytes``.

    Args:
        folder: is made when missing.
        limit_bytes: of all shards and indexes.
        patience_s: how long to wait for others to let go of their shards, when there is no room for another.

    Raises:
        UserError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, limit_bytes: int, patience_s: float = 5.0) -> None:
        self.folder, self.limit_bytes, self.patience_s = folder, limit_bytes, patience_s
        try:
            folder.mkdir(parents=True, exist_ok=True)
            FileLock(folder / _LOCK).release()
        except OSError as error:
            raise UserError(
                f"the cache folder {str(folder)!r} cannot be used ({error.strerror}): set DESCANT_CACHE to another"
            ) from error

    @classmethod
    def from_environment(cls) -> ShardCache:
        """Return the cache that DESCANT_CACHE and DESCANT_CACHE_GB name."""
        folder = os.environ.get("DESCANT_CACHE") or "~/.cache/descant"
        given = os.environ.get("DESCANT_CACHE_GB") or "50"
        try:
            limit_bytes = int(float(given) * 1e9)
        except (ValueError, OverflowError):
            limit_bytes = 0
        if limit_bytes <= 0:
            raise UserError(f"DESCANT_CACHE_GB is {given!r}: give the cache's limit as a number of gigabytes above 0")
        return cls(Path(folder).expanduser().absolute() / "shards", limit_bytes)

    def entry(self, url: str, version: str, size_bytes: int) -> Entry:
        """Return where a version of the shard at ``url`` has its place."""
        digest = hashlib.blake2b(f"{url}\n{version}\n{size_bytes}".encode(), digest_size=16).hexdigest()
        return Entry(self.folder / digest / url.rpartition("/")[2], size_bytes)

    def hold(
        self, entry: Entry, download: Callable[[Path], None], let_go: Callable[[], bool] = lambda: False
    ) -> FileLock:
        """Return a lock that keeps a shard in its place until it is released.

        A missing shard is had by ``download``, which writes it to a given path, and beside it what belongs to it: by
        one process, while others that want it wait. ``let_go`` is called where there is no room: it releases another
        lock of this process, and returns whether there was one.

        Raises:
            RunError: there is no room.
        """
        entry.path.parent.mkdir(exist_ok=True)
        lock = FileLock(entry.path.parent / _LOCK)
        try:
            lock.share()
            while not entry.path.exists():
                lock.own()
                if not entry.path.exists():
                    self._fill(entry, download, let_go)
                lock.share()  # another process may remove the shard before it is shared: look again
            lock.touch()
        except BaseException:
            lock.release()
            raise
        return lock

    def _fill(self, entry: Entry, download: Callable[[Path], None], let_go: Callable[[], bool]) -> None:
        for stale in entry.path.parent.glob(f"*{_DOWNLOAD}"):  # of a process that died
            shutil.rmtree(stale)
        partial = entry.path.with_name(f"{entry.size_bytes}.{uuid.uuid4().hex}{_DOWNLOAD}")
        try:
            self._reserve(partial, entry.size_bytes, let_go)
            download(partial / entry.path.name)
            _move(partial, entry)
        except OSError as error:
            if not is_full(error):
                raise
            raise self._full(entry.size_bytes, f"the disk says: {error.strerror}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _reserve(self, partial: Path, size_bytes: int, let_go: Callable[[], bool]) -> None:
        """Make the folder of a download of ``size_bytes``, as soon as there is room for it."""
        if size_bytes > self.limit_bytes:
            raise self._full(size_bytes, f"its limit is {self.limit_bytes:,} bytes")
        give_up_s = time.monotonic() + self.patience_s
        while True:
            with FileLock(self.folder / _LOCK) as lock:
                lock.own()
                pending = self._pending()
                try:
                    self._make_room(size_bytes, pending)
                    partial.mkdir()
                    return
                except RunError:
                    if let_go():
                        continue
                    if not pending and time.monotonic() > give_up_s:
                        raise
            # what is being downloaded can go when it is there, unless it is used; what is in use may be let go of
            give_up_s = time.monotonic() + self.patience_s if pending else give_up_s
            time.sleep(0.05)

    def _make_room(self, size_bytes: int, pending: Sequence[tuple[int, int]]) -> None:
        """Remove shards until ``size_bytes`` more fit; the cache's own lock must be held."""
        stored = sorted(self._stored(), key=lambda file: file.used_ns)
        long_ago_ns = time.time_ns() - _INDEX_STAYS_NS
        total = sum(file.size_bytes for file in stored) + sum(size for size, _ in pending)
        unwritten = sum(size - written for size, written in pending)
        beyond_limit = total + size_bytes - self.limit_bytes
        beyond_disk = unwritten + size_bytes - shutil.disk_usage(self.folder).free
        for file in stored:
            if max(beyond_limit, beyond_disk) <= 0:
                return
            if (file.is_shard or file.used_ns < long_ago_ns) and _removed(file.path):
                beyond_limit -= file.size_bytes
                beyond_disk -= file.size_bytes
        if beyond_disk > 0:
            raise self._full(size_bytes, "the disk has no room, and the other shards are in use")
        if beyond_limit > 0:
            raise self._full(size_bytes, f"its limit is {self.limit_bytes:,} bytes, and the other shards are in use")

    def _full(self, size_bytes: int, why: str) -> RunError:
        return RunError(
            f"a shard of {size_bytes:,} bytes does not fit into the cache {str(self.folder)!r} ({why}): free space, "
            f"set DESCANT_CACHE to a larger disk, or raise DESCANT_CACHE_GB"
        )

    def _paths(self) -> Iterator[Path]:
        for folder in self.folder.iterdir():
            if folder.is_dir():
                yield from (path for path in folder.iterdir() if path.name != _LOCK)

    def _pending(self) -> list[tuple[int, int]]:
        """Return the stated size and the size so far of all downloads under way; those of dead processes go."""
        pending = []
        for path in self._paths():
            if path.suffix != _DOWNLOAD or _removed(path):
                continue
            with suppress(FileNotFoundError):  # it has been moved into place since
                pending.append((int(path.name.split(".")[0]), sum(_size(part) or 0 for part in path.iterdir())))
        return pending

    def _stored(self) -> Iterator[_Stored]:
        for path in self._paths():
            size = _size(path)
            if size is not None and path.suffix != _DOWNLOAD:
                is_shard = path.suffix == ".tar"
                used_ns = (path.parent / _LOCK if is_shard else path).stat().st_mtime_ns
                yield _Stored(path, size, is_shard, used_ns)


def _move(partial: Path, entry: Entry) -> None:
    """Move a download into its place, whole and on the disk: the shard last, so that what came with it is there."""
    shard = partial / entry.path.name
    with open(shard, "r+b") as stream:
        sync(stream)
        assert os.fstat(stream.fileno()).st_size == entry.size_bytes, f"{shard.name} was not downloaded whole"
    for path in sorted(partial.iterdir(), key=lambda path: path == shard):
        os.replace(path, entry.path.with_name(path.name))


def _removed(path: Path) -> bool:
    """Remove a file or a download of which nobody holds the lock; return whether it is gone."""
    with FileLock(path.parent / _LOCK) as lock:
        if not lock.try_own():
            return False
        if path.suffix == _DOWNLOAD:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        return True


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process has moved it into place
        return None
