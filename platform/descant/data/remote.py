"""A folder behind a URL: shards are fetched whole into this host's cache, and read from there.

The shards of a run are those that the server showed when the folder was first looked at: each is named in the cache by
its version, so that a shard that changes later is noticed, and never mixed with the one before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np

from descant.data import index_file
from descant.data.cache import Entry, ShardCache
from descant.data.folder import DESCRIPTION, Folder, LetGo, OpenShard, checked_name
from descant.data.index import ShardIndex, build_index, index_path, load_index, write_index
from descant.data.objects import Objects, Retries, Stat
from descant.errors import RunError, UserError
from descant.files import is_full, write_bytes
from descant.locks import FileLock

_THREADS = 8


class RemoteFolder(Folder):
    """A folder behind ``url``.

    Args:
        url: of the folder, without a slash at its end.
        cache: where shards go; None: the one that the environment names.
        retries: of requests.

    Raises:
        UserError: such URLs cannot be read here, or the cache cannot be made.
    """

    is_remote = True
    max_open = 16

    def __init__(self, url: str, cache: ShardCache | None = None, retries: Retries | None = None) -> None:
        self.place, self.name = url, url.rpartition("/")[2]
        self.cache = cache or ShardCache.from_environment()
        self.objects = Objects(url, retries)
        self._stats: dict[str, Stat] = {}

    def exists(self) -> bool:
        return self._stat(DESCRIPTION) is not None or bool(self.shards())

    def read(self, name: str) -> bytes | None:
        return None if self._stat(_checked(name)) is None else self.objects.read(name)

    def shards(self) -> list[str]:
        return sorted(_checked(name) for name in self._listing if name.endswith(".tar"))

    def indexes(self, shards: Sequence[str]) -> list[ShardIndex]:
        names = [_checked(name) for name in shards]
        pool = ThreadPoolExecutor(_THREADS)
        try:
            return list(pool.map(self._index, names))
        finally:
            pool.shutdown(cancel_futures=True)

    def open_shard(self, index: ShardIndex, let_go: LetGo = lambda: False) -> OpenShard:
        lock = self._held_in_run(index, let_go)
        try:
            return OpenShard(index.path, lock.release)
        except BaseException:
            lock.release()
            raise

    def fetch(self, index: ShardIndex) -> None:
        self._held_in_run(index).release()

    def check_unchanged(self, index: ShardIndex, opened: OpenShard | None) -> None:
        """Do nothing: what is in the cache was verified, and nobody writes to it."""

    @cached_property
    def _listing(self) -> Mapping[str, Stat | None]:
        """All files, as they were at the first look; none where the server lists nothing."""
        return self.objects.list()

    @property
    def _states_files(self) -> bool:
        """Whether the listing is one of all files and their versions, not a web page of links."""
        return not self.place.startswith("http") and bool(self._listing)

    def _stat(self, name: str) -> Stat | None:
        if name not in self._stats:
            found = self._listing.get(name) if self._states_files else self.objects.stat(name)
            if found is None:
                return None
            self._stats[name] = found
        return self._stats[name]

    def _entry(self, name: str) -> Entry:
        stat = self._stat(name)
        if stat is None:
            raise UserError(
                f"the shard {self.place}/{name} that dataset.json names is missing: put it back or pack again"
            )
        return self.cache.entry(f"{self.place}/{name}", stat.version, stat.size_bytes)

    def _index(self, name: str) -> ShardIndex:
        """Return a shard's index: the cache's, else the one beside the shard, else one built from the shard."""
        entry = self._entry(name)
        path = index_path(entry.path)
        index = _kept(path, entry)
        if index is None and self._copy_index(path):
            index = _kept(path, entry)
        if index is None:
            lock = self._held(name, None)
            try:
                index = _kept(path, entry) or load_index(entry.path)
            finally:
                lock.release()
        return index

    def _copy_index(self, path: Path) -> bool:
        """Copy an index from beside its shard into the cache; return whether there is one."""
        try:
            content = self.read(path.name)
        except UserError:  # some servers forbid what is not there: the index is then built
            return False
        if content is not None:
            path.parent.mkdir(exist_ok=True)
            try:
                write_bytes(path, content)
            except OSError as error:
                if not is_full(error):
                    raise
                return False  # the shard is then fetched, for which room is made
        return content is not None

    def _held_in_run(self, index: ShardIndex, let_go: LetGo = lambda: False) -> FileLock:
        try:
            return self._held(index.path.name, index, let_go)
        except UserError as error:  # it could be read before: nothing that the user gave is at fault
            raise RunError(str(error)) from error

    def _held(self, name: str, expected: ShardIndex | None, let_go: LetGo = lambda: False) -> FileLock:
        """Return a lock that keeps a shard in the cache; a download must be as its index says."""
        entry, stat = self._entry(name), self._stats[name]

        def download(target: Path) -> None:
            self.objects.download(name, stat, target)
            index = build_index(target)
            if expected is not None and not _agree(index, expected):
                index_path(entry.path).unlink(missing_ok=True)
                raise RunError(
                    f"the index beside {self.place}/{name} is of another shard: upload the one that "
                    f"'descant data verify' writes, or delete it, and begin a new run"
                )
            write_index(index)

        return self.cache.hold(entry, download, let_go)


def _checked(name: str) -> str:
    """Return the name of a file; UserError when it leads out of the folder, or is no name in a URL."""
    if not set("?#%").isdisjoint(checked_name(name)):
        raise UserError(f"a data set names the shard {name!r}: in a URL '?', '#' and '%' cannot be part of a name")
    return name


def _kept(path: Path, entry: Entry) -> ShardIndex | None:
    """Return the index at ``path`` if it can be the shard's, whether that is here now or not."""
    try:
        index = index_file.read(path, entry.path).index
        os.utime(path)  # it is in use
    except (OSError, ValueError):  # missing or damaged: another is looked for
        return None
    return index if index.size_bytes == entry.size_bytes else None


def _agree(one: ShardIndex, other: ShardIndex) -> bool:
    """Return whether two indexes are of the same bytes and find the same members in them."""
    return one.fingerprint == other.fingerprint and all(
        np.array_equal(one.offsets[extension], other.offsets[extension])
        and np.array_equal(one.sizes[extension], other.sizes[extension])
        for extension in one.offsets
    )
