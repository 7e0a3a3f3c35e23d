"""The sample table of a shard: where each member of each sample lies in the tar, and what is wrong with the shard.

A key is a member's path up to the first dot of its base name, the extension is the rest in lower case: WebDataset's
rule. Numbers take 4 bytes wherever they fit, so a sample of two members costs some 30 bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from descant.data.samples import Sample, collect_samples
from descant.errors import UserError

IntArray = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class ShardProblem:
    """What is wrong with a shard: at which key and from which byte, where that is known, in plain words.

    Every sample is whole without what is ``of_no_sample``, such as a README: a run goes on without it.
    """

    shard: str
    key: str | None
    offset: int | None
    problem: str
    of_no_sample: bool = False


class Keys(Sequence[str]):
    """The keys of a shard in one buffer: 4 bytes a key and its text."""

    def __init__(self, text: npt.NDArray[np.uint8], ends: IntArray) -> None:
        self.text = text
        self.ends = ends

    @staticmethod
    def of(keys: Sequence[bytes]) -> Keys:
        """Return keys of these bytes."""
        text = np.frombuffer(b"".join(keys), dtype=np.uint8)
        return Keys(text, narrow(np.cumsum([len(key) for key in keys], dtype=np.int64)))

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
    and how many they are; -1 where the sample has no such member. ``content`` is a digest of all bytes of the shard,
    ``fingerprint`` one of ``content``, ``size_bytes``, the keys and the names of the extensions: neither depends on the
    shard's folder or time. ``reopen`` maps the table anew in another process, where it lies in a file: it is then
    shared, not copied.
    """

    path: Path
    size_bytes: int
    content: str
    keys: Keys
    offsets: Mapping[str, IntArray]
    sizes: Mapping[str, IntArray]
    problems: list[ShardProblem] = field(default_factory=list)
    fingerprint: str = ""
    reopen: tuple[Callable[..., ShardIndex], tuple[Any, ...]] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def __reduce__(self) -> tuple[Callable[..., ShardIndex], tuple[Any, ...]]:
        """Pickle the place of the table rather than its content."""
        return self.reopen or (ShardIndex, tuple(getattr(self, one.name) for one in fields(self)))


def build_index(path: str | Path) -> ShardIndex:
    """Walk every header of the tar at ``path`` and return its index; what is damaged is listed in ``problems``."""
    path = Path(path)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"the shard {str(path)!r} cannot be read: {error.strerror}; check the path") from error
    try:
        size_bytes = os.fstat(descriptor).st_size
        samples, faults, content = collect_samples(descriptor, size_bytes)
    except OSError as error:  # a folder, a broken disk
        raise UserError(f"the shard {str(path)!r} cannot be read: {error.strerror}; check the disk") from error
    finally:
        os.close(descriptor)
    problems = [ShardProblem(path.name, plain(key) or None, offset, says, alone) for key, offset, says, alone in faults]
    keys = Keys.of(list(samples))
    offsets, sizes = _table(samples.values())
    mark = fingerprint(size_bytes, content, keys, offsets)
    return ShardIndex(path, size_bytes, content, keys, offsets, sizes, problems, mark)


def fingerprint(size_bytes: int, content: str, keys: Keys, offsets: Mapping[str, IntArray]) -> str:
    """Return what tells a shard from every other, a digest of its size, its content's digest, keys and extensions.

    The offsets themselves are not hashed, only their extensions' names: where members lie follows from the content.
    """
    digest = hashlib.blake2b(json.dumps([size_bytes, content, len(keys), list(offsets)]).encode(), digest_size=16)
    digest.update(keys.text.tobytes())
    return digest.hexdigest()


def plain(name: bytes) -> str:
    """Return a member's name as text that can be printed, whatever its bytes."""
    return name.decode("utf-8", errors="backslashreplace")


def narrow(numbers: npt.NDArray[np.int64]) -> IntArray:
    """Return the numbers in 4 bytes each where they fit, else as they are."""
    fits = numbers.size == 0 or int(numbers.max()) <= np.iinfo(np.int32).max
    return numbers.astype(np.int32) if fits else numbers


def _table(samples: Iterable[Sample]) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """Return the offsets and the sizes of each extension, one number per sample."""
    rows = list(samples)
    offsets: dict[str, IntArray] = {}
    sizes: dict[str, IntArray] = {}
    for extension in sorted({extension for row in rows for extension in row}):
        column = np.array([row.get(extension, (-1, -1)) for row in rows], dtype=np.int64)
        offsets[plain(extension)], sizes[plain(extension)] = narrow(column[:, 0]), narrow(column[:, 1])
    return offsets, sizes
