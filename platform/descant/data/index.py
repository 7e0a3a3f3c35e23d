"""The indexes of shards: built once, kept beside the shard as ``<tar>.index.npz``, rebuilt when they no longer fit.

Where a shard's folder cannot be written to, its index is kept under ``$DESCANT_CACHE/indexes``.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from descant.cores import usable_cores
from descant.data.index_file import Kept, read, write
from descant.data.stamp import Stamp, make_probe
from descant.data.table import Keys, ShardIndex, ShardProblem, build_index, plain
from descant.errors import RunError
from descant.locks import FileLock
from descant.parallel import in_order

SUFFIX = ".index.npz"
CACHE = "~/.cache/descant"
_MUCH_BYTES, _MANY_SHARDS = 1 << 29, 32  # from here on processes are worth their start
_SAY_EVERY_S = 3.0

logger = logging.getLogger("descant")


def index_path(path: str | Path) -> Path:
    """Return where the index of the tar at ``path`` is kept."""
    return Path(f"{path}{SUFFIX}")


def cached_index_path(path: str | Path) -> Path:
    """Return where it is kept instead when the tar's folder cannot be written to."""
    place = os.path.abspath(path)
    name = f"{hashlib.blake2b(os.fsencode(place), digest_size=12).hexdigest()}{SUFFIX}"
    return Path(os.environ.get("DESCANT_CACHE") or CACHE).expanduser() / "indexes" / name


def write_index(index: ShardIndex) -> Path:
    """Write ``index`` beside its tar, atomically, and return where."""
    write(Kept(index, Stamp.of(index.path), make_probe(index.path)), index_path(index.path))
    return index_path(index.path)


def load_index(path: str | Path) -> ShardIndex:
    """Return the index of the tar at ``path``: the one that is kept, or a new one, which is then kept if it can be."""
    path = Path(path)
    index = _current(path)
    if index is None:
        with _turn(path):
            index = _current(path) or rebuild_index(path)
    return index


def rebuild_index(path: str | Path) -> ShardIndex:
    """Walk the tar at ``path`` anew and keep its index if it can be."""
    path = Path(path)
    stamp = Stamp.of(path) if path.exists() else None
    index = build_index(path)
    return index if stamp is None else _keep(Kept(index, stamp, make_probe(path)))


def load_indexes(
    paths: Iterable[str | Path], jobs: int | None = None, on_progress: Callable[[int, int], None] | None = None
) -> list[ShardIndex]:
    """Return the indexes of ``paths`` in their order; missing and stale ones are built.

    Args:
        paths: of the tars.
        jobs: how many processes build; None is one a core where there is much to build, else this one alone.
        on_progress: is told how many of how many there are; None writes to the log every few seconds.
    """
    shards = [Path(path) for path in paths]
    indexes = {path: _current(path) for path in shards}
    missing = [path for path, index in indexes.items() if index is None]
    report = on_progress or _Log()
    done = itertools.count(len(indexes) - len(missing) + 1)
    processes = min(jobs or fitting_jobs(missing), len(missing))
    if processes > 1:
        for _ in _walked_by_processes(missing, processes):
            report(next(done), len(indexes))
    for path in missing:  # what the processes have built is only read
        indexes[path] = load_index(path)
        if processes <= 1:
            report(next(done), len(indexes))
    return [index for index in map(indexes.get, shards) if index is not None]


def _walked_by_processes(shards: Sequence[Path], jobs: int) -> Iterator[None]:
    """Have indexes built and kept by ``jobs`` processes, large shards first; yield once for each."""
    large_first = sorted(shards, key=lambda path: path.stat().st_size if path.exists() else 0, reverse=True)
    try:
        yield from in_order(_walk, large_first, jobs, None)
    except RunError as error:  # what has no index then has it built by the caller
        logger.warning("indexing goes on in one process: %s", error)


def _walk(path: Path) -> None:
    load_index(path)


class _Log:
    """Says every few seconds how far the indexing is."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._last_s >= _SAY_EVERY_S:
            self._last_s = time.monotonic()
            logger.info("indexing %d of %d shards", done, total)


def fitting_jobs(shards: Sequence[Path]) -> int:
    """Return how many processes are worth their start for walking these shards: one a core, or this one alone."""
    much = len(shards) >= _MANY_SHARDS or sum(path.stat().st_size for path in shards if path.exists()) >= _MUCH_BYTES
    return usable_cores() if much else 1


def _places(path: Path) -> tuple[Path, Path]:
    return index_path(path), cached_index_path(path)


def _current(path: Path) -> ShardIndex | None:
    """Return the index that is kept if it fits, and note the shard's times if only they are others."""
    if not path.exists():
        return None
    now = Stamp.of(path)
    others = []
    for place in _places(path):
        with suppress(OSError, ValueError):  # missing or damaged: it is rebuilt
            kept = read(place, path)
            if kept.stamp.is_same(now):
                return kept.index
            others.append(kept)
    for kept in others:
        if _fits(kept, now):
            # Noted, a copy is not compared with what it was copied from at every start.
            return kept.index if now == kept.stamp else _keep(replace(kept, stamp=now))
    return None


def _fits(kept: Kept, now: Stamp) -> bool:
    return kept.stamp.allows(now) and make_probe(kept.index.path) == kept.probe


def _keep(kept: Kept) -> ShardIndex:
    """Write an index where that is possible and return it from there, so that processes share it."""
    path = kept.index.path
    for place in _places(path):
        with suppress(OSError):  # a folder that cannot be written to, a full disk
            if place.parent != path.parent:
                place.parent.mkdir(parents=True, exist_ok=True)
            write(kept, place)
            return read(place, path).index
    return kept.index


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait while another process walks the same shard."""
    try:
        lock = FileLock(path, make=False)
    except OSError:  # there is no such file: who walks it says so
        yield
        return
    with lock:
        with suppress(OSError):  # a file system without locks: then it is walked twice
            lock.own()
        yield


__all__ = [
    "Keys", "ShardIndex", "ShardProblem", "build_index", "cached_index_path", "fitting_jobs", "index_path",
    "load_index", "load_indexes", "plain", "rebuild_index", "write_index",
]  # fmt: skip
