"""Says whether a shard is still the one that was indexed, without reading all of it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

WHOLE_BYTES = 1 << 20  # shards up to this are compared whole
_END_BYTES = 1 << 16
_SPOTS, _SPOT_BYTES = 64, 1 << 12
_UNKNOWN = -1
_FRESH_NS = 1_000_000_000  # the clock of a file system may not tell two changes apart that are this near


class Stamp(NamedTuple):
    """The size and times of a shard when it was indexed. A changed time is set by the system alone, at any change."""

    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return a shard's stamp as it is now; what has changed just now could change again unnoticed."""
        status = os.stat(path)
        fresh = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _FRESH_NS
        return cls(status.st_size, status.st_mtime_ns, _UNKNOWN if fresh else status.st_ctime_ns)

    def is_same(self, now: Stamp) -> bool:
        """Whether a shard's size and times show that nothing was done to it."""
        return self.changed_ns != _UNKNOWN and self == now

    def allows(self, now: Stamp) -> bool:
        """Whether the shard may be a copy that kept the size and the time: another file seldom has that very time."""
        return (self.size_bytes, self.modified_ns) == (now.size_bytes, now.modified_ns)


def make_probe(path: Path) -> str:
    """Return a digest of a shard: of all of it if it is small, else of its ends and of 64 spots between them."""
    digest = hashlib.blake2b(digest_size=16)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(descriptor).st_size
        pieces = [(0, size)]
        if size > WHOLE_BYTES:
            spots = [(size * number // (_SPOTS + 1), _SPOT_BYTES) for number in range(1, _SPOTS + 1)]
            pieces = [(0, _END_BYTES), *spots, (size - _END_BYTES, _END_BYTES)]
        for start, length in pieces:
            digest.update(os.pread(descriptor, length, start))
    finally:
        os.close(descriptor)
    return digest.hexdigest()
