"""Walks the headers of a tar file to its end mark and says in plain words what is damaged or refused.

Names never reach the file system, payloads are looked at only for headers that a wrong size would swallow, a file that
shrinks meanwhile cannot kill the process. After damage the walk goes on at the next sound header, so that nothing
behind it is lost. Format: see ``tar_header``.

What no walk can see: a size that lies by bytes that are zero, since zeros are what fills up a member's last block.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from descant.data.tar_header import BLOCK, MAGIC, MAGIC_AT, is_sound, pax_records, stated_name, stated_size
from descant.data.tar_window import CHUNK, Window

MAX_EXTENDED_BYTES = 1 << 20  # long names and PAX records are small; a larger one is damage or an attack
_ZERO = bytes(BLOCK)
_REGULAR = b"\x000" + b"7"
_EXTENDED = b"LKxXg"
_REFUSED = {
    b"1": "is a hard link", b"2": "is a symbolic link", b"3": "is a device", b"4": "is a device", b"6": "is a pipe",
    b"S": "is a sparse file",
}  # fmt: skip


class Entry(NamedTuple):
    """One step of the walk: a member (empty ``fault``), a member that is refused, or damage.

    ``offset`` is the byte where the member's data starts, or where the damage starts; ``size`` is in bytes.
    """

    name: bytes
    offset: int
    size: int
    fault: str = ""
    damage: bool = False
    doubts_previous: bool = False  # the damage may come from a wrong size of the member before it


class Walker:
    """Iterates over the members of the open tar ``descriptor`` of ``size_bytes``; directories are skipped."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        self._size = size_bytes
        self._window = Window(descriptor, size_bytes)
        self._position = 0
        self._defaults: dict[str, bytes] = {}  # from PAX global headers
        self._extended: dict[str, bytes] = {}  # from the headers right before the next member

    def __iter__(self) -> Iterator[Entry]:
        while True:
            block = self._window.block(self._position)
            if len(block) < BLOCK:
                yield self._cut(len(block))
                return
            if block == _ZERO:
                fault = self._end()
                if fault is not None:
                    yield fault
                if self._position >= self._size:
                    return
                continue
            size = stated_size(block) if is_sound(block) else -1
            entry = self._damaged(block) if size < 0 else self._member(block, size)
            if entry is not None:
                yield entry

    def digest(self) -> str:
        """Return a digest of all bytes of the file."""
        return self._window.digest()

    def _cut(self, rest: int) -> Entry:
        start = min(self._position, self._size)
        self._position = self._size
        if self._size == 0:
            return Entry(b"", 0, 0, "the shard is empty (0 bytes)", True)
        where = "in the middle of a header" if rest else "without an end mark"
        return Entry(b"", start, rest, f"the shard ends {where} at byte {self._size}: it was cut off", True)

    def _end(self) -> Entry | None:
        start = self._position
        data = _next_block_with_data(self._descriptor, start, self._size)
        self._position = data
        if data < self._size:
            fault = f"data follow at byte {data} after an end mark at byte {start}"
            # An end mark has two blocks: one alone lies within data of which the stated size is too small.
            return Entry(b"", start, data - start, fault, True, doubts_previous=data - start < 2 * BLOCK)
        if start + 2 * BLOCK > self._size:
            return Entry(b"", start, 0, f"the end mark at byte {start} is cut off", True)
        return None

    def _member(self, block: bytes, size: int) -> Entry | None:
        kind = block[156:157]
        data = self._position + BLOCK
        if kind in _EXTENDED:
            return self._extend(block, kind, size)
        extended = self._defaults | self._extended if self._extended or self._defaults else self._extended
        self._extended = {}
        name = extended["path"] if "path" in extended else stated_name(block)
        if "size" in extended:
            digits = extended["size"]
            size = int(digits) if digits.isdigit() and len(digits) < 20 else -1
            if size < 0:
                return self._damaged(block)
        if kind == b"5" or (kind in _REGULAR and name.endswith(b"/")):
            self._position = data
            return None
        if kind in b"12346":  # these have no data, whatever their size field says
            self._position = data
            return Entry(name, data, 0, _REFUSED[kind])
        fault = self._take(name, data, size)
        if fault:
            return Entry(name, data, size, fault, True)
        if kind not in _REGULAR or b"GNU.sparse" in extended.get("keywords", b""):
            return Entry(name, data, size, _REFUSED.get(kind, f"is of the unknown type {kind.decode('latin-1')!a}"))
        return Entry(name, data, size)

    def _take(self, name: bytes, data: int, size: int) -> str:
        """Move behind a member's data; return why its stated size cannot be right, if so."""
        if data + size > self._size:
            self._position = self._resume(data)
            return f"declares {size} bytes from byte {data}, but the shard ends at byte {self._size}"
        end = data + size
        self._position = data + (size + BLOCK - 1) // BLOCK * BLOCK
        header = self._window.header(data, self._position)
        if header >= 0 and not name.lower().endswith(b".tar"):  # a tar within the tar has headers of its own
            self._position = header
            return f"declares {size} bytes from byte {data}, but the next header stands at byte {header}"
        if end < self._position and self._window.read(end, self._position).strip(b"\0"):
            return f"declares {size} bytes from byte {data}, but more data follow at byte {end}"
        return ""

    def _extend(self, block: bytes, kind: bytes, size: int) -> Entry | None:
        start = self._position + BLOCK
        padded = start + (size + BLOCK - 1) // BLOCK * BLOCK
        if size > MAX_EXTENDED_BYTES or start + size > self._size:
            return self._damaged(block)
        swallows = self._window.header(start, padded) >= 0
        payload = self._window.read(start, padded)
        if swallows or payload[size:].strip(b"\0"):
            return self._damaged(block)
        payload = payload[:size]
        if kind == b"L":
            self._extended["path"] = payload.rstrip(b"\0")
        elif kind in b"xXg":
            records = pax_records(payload)
            if records is None:
                return self._damaged(block)
            (self._defaults if kind == b"g" else self._extended).update(records)
        self._position = padded
        return None

    def _damaged(self, block: bytes) -> Entry:
        start = self._position
        self._extended = {}
        self._position = self._resume(start + BLOCK)
        header = block[MAGIC_AT : MAGIC_AT + len(MAGIC)] == MAGIC
        if header and block[156:157] in b"LxX":  # the next member's real name is lost with this header
            self._position = self._resume(self._position + BLOCK)
        if start == 0 and not header:
            what = "the shard does not start with a tar header: it is damaged, compressed or no tar"
        else:
            what = f"the header at byte {start} is damaged"
        skipped = f"{self._position - start} bytes are skipped"
        return Entry(b"", start, self._position - start, f"{what}; {skipped}", True, doubts_previous=not header)

    def _resume(self, start: int) -> int:
        """Return where the next sound header stands at or after ``start``, else where the file ends."""
        header = self._window.header(start, self._size)
        return self._size if header < 0 else header


def _next_block_with_data(descriptor: int, start: int, size_bytes: int) -> int:
    """Return where the first block that is not all zero stands at or after ``start``, else ``size_bytes``."""
    for chunk_start in range(start, size_bytes, CHUNK):
        chunk = os.pread(descriptor, CHUNK, chunk_start)
        rest = len(chunk.lstrip(b"\0"))
        if rest:
            return chunk_start + (len(chunk) - rest) // BLOCK * BLOCK
    return size_bytes
