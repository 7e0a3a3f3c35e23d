"""Walks the headers of a tar file to its end mark and says in plain words what is damaged or refused.

Reads headers only, by ``pread``: payloads are never touched, names never reach the file system, a file that shrinks
meanwhile cannot kill the process. After damage the walk goes on at the next sound header, so that nothing behind it is
lost. Format: POSIX.1-2017 "pax Interchange Format" and the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512
CHUNK = 1 << 20
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
        self._position = 0
        self._defaults: dict[str, bytes] = {}  # from PAX global headers
        self._extended: dict[str, bytes] = {}  # from the headers right before the next member

    def __iter__(self) -> Iterator[Entry]:
        while True:
            block = os.pread(self._descriptor, BLOCK, self._position)
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
            size = _size(block) if _sound(block) else -1
            entry = self._damaged(block) if size < 0 else self._member(block, size)
            if entry is not None:
                yield entry

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
            return Entry(
                b"", start, data - start, f"data follow at byte {data} after an end mark at byte {start}", True
            )
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
        name = extended["path"] if "path" in extended else _name(block)
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
        if data + size > self._size:
            self._position = _next_header(self._descriptor, data, self._size)
            fault = f"declares {size} bytes from byte {data}, but the shard ends at byte {self._size}"
            return Entry(name, data, size, fault, True)
        self._position = data + (size + BLOCK - 1) // BLOCK * BLOCK
        if kind not in _REGULAR or b"GNU.sparse" in extended.get("keywords", b""):
            return Entry(name, data, size, _REFUSED.get(kind, f"is of the unknown type {kind.decode('latin-1')!a}"))
        return Entry(name, data, size)

    def _extend(self, block: bytes, kind: bytes, size: int) -> Entry | None:
        start = self._position + BLOCK
        if size > MAX_EXTENDED_BYTES or start + size > self._size:
            return self._damaged(block)
        payload = os.pread(self._descriptor, size, start)
        if kind == b"L":
            self._extended["path"] = payload.rstrip(b"\0")
        elif kind in b"xXg":
            records = _pax_records(payload)
            if records is None:
                return self._damaged(block)
            (self._defaults if kind == b"g" else self._extended).update(records)
        self._position = start + (size + BLOCK - 1) // BLOCK * BLOCK
        return None

    def _damaged(self, block: bytes) -> Entry:
        start = self._position
        self._extended = {}
        self._position = _next_header(self._descriptor, start + BLOCK, self._size)
        header = block[257:262] == b"ustar"
        if header and block[156:157] in b"LxX":  # the next member's real name is lost with this header
            self._position = _next_header(self._descriptor, self._position + BLOCK, self._size)
        if start == 0 and not header:
            what = "the shard does not start with a tar header: it is damaged, compressed or no tar"
        else:
            what = f"the header at byte {start} is damaged"
        skipped = f"{self._position - start} bytes are skipped"
        return Entry(b"", start, self._position - start, f"{what}; {skipped}", True, doubts_previous=not header)


def _sound(block: bytes) -> bool:
    """Is the header's checksum right?"""
    try:
        stated = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        return False
    # The low half of Adler-32 is 1 + the sum of the bytes, exact up to 256 bytes and ten times faster than sum().
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    field = block[148:156]
    if total - sum(field) + 256 == stated:
        return True
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)  # some old tars sum signed bytes
    return signed - sum(byte - 256 if byte > 127 else byte for byte in field) + 256 == stated


def _size(block: bytes) -> int:
    """Return the size in bytes that a header states, -1 when it states none."""
    field = block[124:136]
    if field[0] == 0x80:  # base 256, for members of 8 GiB and more
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    try:
        return int(digits, 8)
    except ValueError:
        return -1


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    if block[345] and block[257:263] == b"ustar\0":  # GNU's own format has other fields where the prefix is
        return block[345:500].split(b"\0", 1)[0] + b"/" + name
    return name


def _pax_records(payload: bytes) -> dict[str, bytes] | None:
    """Return ``path``, ``size`` and the ``keywords`` of PAX records "LENGTH KEYWORD=VALUE\\n"; None when damaged."""
    records: dict[str, bytes] = {}
    position = 0
    while position < len(payload) and payload[position]:
        space = payload.find(b" ", position, position + 20)
        digits = payload[position:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        record = payload[space + 1 : position + length]
        keyword, equals, value = record[:-1].partition(b"=")
        if not equals or record[-1:] != b"\n" or position + length > len(payload):
            return None
        if keyword in (b"path", b"size"):
            records[keyword.decode()] = value
        records["keywords"] = records.get("keywords", b"") + keyword + b" "
        position += length
    return records


def _next_header(descriptor: int, start: int, size_bytes: int) -> int:
    """Return where the next sound header with the ustar magic stands at or after ``start``, else ``size_bytes``."""
    for chunk_start in range(start, size_bytes, CHUNK):
        chunk = os.pread(descriptor, CHUNK, chunk_start)
        found = chunk.find(b"ustar")
        while found >= 0:
            header, off = divmod(found - 257, BLOCK)
            block = chunk[header * BLOCK : (header + 1) * BLOCK] if off == 0 and header >= 0 else b""
            if len(block) == BLOCK and _sound(block) and _size(block) >= 0:
                return chunk_start + header * BLOCK
            found = chunk.find(b"ustar", found + 1)
    return size_bytes


def _next_block_with_data(descriptor: int, start: int, size_bytes: int) -> int:
    """Return where the first block that is not all zero stands at or after ``start``, else ``size_bytes``."""
    for chunk_start in range(start, size_bytes, CHUNK):
        chunk = os.pread(descriptor, CHUNK, chunk_start)
        rest = len(chunk.lstrip(b"\0"))
        if rest:
            return chunk_start + (len(chunk) - rest) // BLOCK * BLOCK
    return size_bytes
