"""The index of a shard: where each member of each sample lies in the tar, and what is wrong with the shard.

Built once by walking every header, kept beside the shard as ``<tar>.index.npz`` (numpy arrays, never pickle) and
rebuilt when it no longer fits. A key is a member's path up to the first dot of its base name, the extension is the
rest in lower case: WebDataset's rule.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from descant.data.samples import Sample, collect_samples
from descant.errors import UserError

FORMAT = 1
SUFFIX = ".index.npz"
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShardProblem:
    """What is wrong with a shard: at which key and from which byte, where that is known, in plain words."""

    shard: str
    key: str | None
    offset: int | None
    problem: str


class Keys(Sequence[str]):
    """The keys of a shard in one buffer: 8 bytes a key and its text."""

    def __init__(self, text: npt.NDArray[np.uint8], ends: Int64Array) -> None:
        self.text = text
        self.ends = ends

    @staticmethod
    def of(keys: Sequence[bytes]) -> Keys:
        text = np.frombuffer(b"".join(keys), dtype=np.uint8)
        return Keys(text, np.cumsum([len(key) for key in keys], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        start = int(self.ends[index - 1]) if index else 0
        return plain(self.text[start : int(self.ends[index])].tobytes())


@dataclass(frozen=True)
class ShardIndex:
    """The sample table of one shard of ``size_bytes``.

    ``offsets[extension]`` and ``sizes[extension]`` have one entry per sample: the byte where that member's data start
    and how many they are; -1 where the sample has no such member. ``fingerprint`` depends on the table and the size
    of the shard alone, not on its folder or time.
    """

    path: Path
    size_bytes: int
    fingerprint: str
    keys: Keys
    offsets: Mapping[str, Int64Array]
    sizes: Mapping[str, Int64Array]
    problems: list[ShardProblem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.keys)


def build_index(path: str | Path) -> ShardIndex:
    """Walk every header of the tar at ``path`` and return its index; what is damaged is listed in ``problems``."""
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"the shard {str(path)!r} cannot be read: {error.strerror}; check the path") from error
    try:
        size_bytes = os.fstat(descriptor).st_size
        samples, faults = collect_samples(descriptor, size_bytes)
    finally:
        os.close(descriptor)
    problems = [ShardProblem(path.name, plain(key) or None, offset, fault) for key, offset, fault in faults]
    keys = Keys.of(list(samples))
    extensions, offsets, sizes = _table(samples.values())
    return _assemble(path, size_bytes, keys, extensions, offsets, sizes, problems)


def index_path(path: str | Path) -> Path:
    """Return where the index of the tar at ``path`` is kept."""
    return Path(f"{path}{SUFFIX}")


def write_index(index: ShardIndex, mtime_ns: int | None = None) -> Path:
    """Write ``index`` beside its tar, atomically; ``mtime_ns`` is the tar's time of change when it was walked."""
    target = index_path(index.path)
    if mtime_ns is None:
        mtime_ns = index.path.stat().st_mtime_ns
    meta = {
        "format": FORMAT, "size_bytes": index.size_bytes, "mtime_ns": mtime_ns, "fingerprint": index.fingerprint,
        "extensions": list(index.offsets), "problems": [asdict(problem) for problem in index.problems],
    }  # fmt: skip
    arrays: dict[str, npt.NDArray[np.uint8] | Int64Array] = {
        "meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8),
        "key_text": index.keys.text,
        "key_ends": index.keys.ends,
        "offsets": _stack(index.offsets, len(index)),
        "sizes": _stack(index.sizes, len(index)),
    }
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def read_index(path: str | Path) -> ShardIndex:
    """Read the index kept beside the tar at ``path``; ValueError when it is not the index of that tar as it is now."""
    path = Path(path)
    tar = path.stat()
    try:
        # np.load would leave a file open that is no archive
        with open(index_path(path), "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            meta = json.loads(arrays["meta"].tobytes())
            if meta["format"] != FORMAT or (meta["size_bytes"], meta["mtime_ns"]) != (tar.st_size, tar.st_mtime_ns):
                raise ValueError("the shard has changed since its index was written")
            keys = Keys(arrays["key_text"], arrays["key_ends"])
            problems = [ShardProblem(**problem) for problem in meta["problems"]]
            table = (meta["extensions"], arrays["offsets"], arrays["sizes"])
        index = _assemble(path, tar.st_size, keys, *table, problems)
    except (KeyError, TypeError, IndexError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the index of {path.name} is damaged: {error}") from error
    if index.fingerprint != meta["fingerprint"]:
        raise ValueError(f"the index of {path.name} is damaged: its fingerprint does not fit")
    return index


def load_index(path: str | Path) -> ShardIndex:
    """Return the index of the tar at ``path``: the one beside it, or a new one, which is then kept if it can be."""
    return _read_if_current(Path(path)) or _rebuild(Path(path))


def load_indexes(
    paths: Iterable[str | Path], jobs: int = 1, on_progress: Callable[[int, int], None] | None = None
) -> list[ShardIndex]:
    """Return the indexes of ``paths`` in their order; missing and stale ones are built by up to ``jobs`` processes."""
    shards = [Path(path) for path in paths]
    indexes = [_read_if_current(path) for path in shards]
    missing = [path for path, index in zip(shards, indexes, strict=True) if index is None]
    done = itertools.count(len(shards) - len(missing) + 1)
    built: list[ShardIndex] = []

    def take(results: Iterable[ShardIndex]) -> None:
        for index in results:
            built.append(index)
            if on_progress is not None:
                on_progress(next(done), len(shards))

    if jobs > 1 and len(missing) > 1:
        # spawn: a forked child of a process with running threads (torch, Ray) can hang
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(jobs, len(missing)), mp_context=context) as pool:
            take(pool.map(_rebuild, missing))
    else:
        take(map(_rebuild, missing))
    fresh = iter(built)
    return [index if index is not None else next(fresh) for index in indexes]


def plain(name: bytes) -> str:
    """Return a member's name as text that can be printed, whatever its bytes."""
    return name.decode("utf-8", errors="backslashreplace")


def _read_if_current(path: Path) -> ShardIndex | None:
    try:
        return read_index(path)
    except (OSError, ValueError):  # missing, stale or damaged: it is rebuilt
        return None


def _rebuild(path: Path) -> ShardIndex:
    before = path.stat().st_mtime_ns if path.exists() else None
    index = build_index(path)
    with contextlib.suppress(OSError):  # a folder that cannot be written to: the index stays in memory
        write_index(index, before)
    return index


def _table(samples: Iterable[Sample]) -> tuple[list[str], Int64Array, Int64Array]:
    """Return the extensions and, of shape (extensions, samples), the offsets and sizes."""
    rows = list(samples)
    extensions = sorted({extension for row in rows for extension in row})
    absent = (-1, -1)
    cells = [[row.get(extension, absent) for row in rows] for extension in extensions]
    table = np.array(cells, dtype=np.int64).reshape(len(extensions), len(rows), 2)
    return [plain(extension) for extension in extensions], table[..., 0].copy(), table[..., 1].copy()


def _stack(columns: Mapping[str, Int64Array], samples: int) -> Int64Array:
    return np.array(list(columns.values()), dtype=np.int64).reshape(len(columns), samples)


def _assemble(
    path: Path,
    size_bytes: int,
    keys: Keys,
    extensions: list[str],
    offsets: Int64Array,
    sizes: Int64Array,
    problems: list[ShardProblem],
) -> ShardIndex:
    shape = (len(extensions), len(keys))
    if offsets.shape != shape or sizes.shape != shape or (offsets + sizes > size_bytes).any():
        raise ValueError(f"the index of {path.name} is damaged: its table does not fit the shard")
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([size_bytes, extensions]).encode())
    for part in (keys.ends, keys.text, offsets, sizes):
        digest.update(part.tobytes())
    columns = dict(zip(extensions, offsets, strict=True)), dict(zip(extensions, sizes, strict=True))
    return ShardIndex(path, size_bytes, digest.hexdigest(), keys, *columns, problems)
