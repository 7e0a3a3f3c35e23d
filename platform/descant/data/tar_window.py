"""Reads a file once from its start to its end, and remembers where tar headers may stand.

A header within a member's data shows that the member's size lies: what follows it would be swallowed without a word.
By ``pread`` and not by a mapping: a file that shrinks meanwhile must not kill the process.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import deque

import numpy as np

from descant.data.tar_header import BLOCK, MAGIC, MAGIC_AT, is_sound, stated_size

CHUNK = 1 << 20  # bytes, whole blocks


class Window:
    """The part of the open file ``descriptor`` of ``size_bytes`` that was read last."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor, self._size = descriptor, size_bytes
        self._start = 0
        self._chunk = b""
        self._magic: deque[int] = deque()  # blocks, not yet passed, that bear the magic of a header
        self._digest = hashlib.blake2b(digest_size=16)

    def block(self, position: int) -> bytes:
        """Return the block at ``position``; less than a block at the end of the file."""
        place = position - self._start
        if place == len(self._chunk) and self._advance():
            place = 0
        if place in range(len(self._chunk) - BLOCK + 1):
            return self._chunk[place : place + BLOCK]
        return os.pread(self._descriptor, BLOCK, position)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``."""
        place = start - self._start
        if place >= 0 and end - self._start <= len(self._chunk):
            return self._chunk[place : end - self._start]
        return os.pread(self._descriptor, end - start, start)

    def header(self, start: int, end: int) -> int:
        """Return where the first sound header with the magic stands in the blocks from ``start`` to ``end``, or -1."""
        magic = self._magic
        while True:
            while magic and magic[0] < end:
                position = magic[0]
                if position >= start and self._is_header(self.block(position)):
                    return position
                magic.popleft()
            if magic or self._start + len(self._chunk) >= end or not self._advance():
                return -1

    def digest(self) -> str:
        """Return a digest of the whole file, which is read to its end for it."""
        while self._advance():
            pass
        return self._digest.hexdigest()

    @staticmethod
    def _is_header(block: bytes) -> bool:
        return len(block) == BLOCK and is_sound(block) and stated_size(block) >= 0

    def _advance(self) -> bool:
        start = self._start + len(self._chunk)
        chunk = os.pread(self._descriptor, min(CHUNK, self._size - start), start) if start < self._size else b""
        if not chunk:
            return False
        self._start, self._chunk = start, chunk
        # A check sum of each chunk and a hash of these: a fifth of the time of a hash of all bytes.
        self._digest.update(zlib.crc32(chunk).to_bytes(4, "little"))
        blocks = np.frombuffer(chunk, np.uint8, len(chunk) // BLOCK * BLOCK).reshape(-1, BLOCK)
        for number in np.flatnonzero(blocks[:, MAGIC_AT] == ord(b"u")).tolist():
            if chunk.startswith(MAGIC, number * BLOCK + MAGIC_AT):
                self._magic.append(start + number * BLOCK)
        return True
