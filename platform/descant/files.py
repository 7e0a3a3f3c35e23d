"""Files and folders that are whole or absent: written beside their place under a name of their own, then moved."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from descant.redaction import redacted

_LONGEST_PART = 32  # characters of a name within a temporary one, which must stay below what file systems allow


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a file of UTF-8 text without secrets (``descant.redaction``), whole or not at all; see ``whole_file``."""
    write_bytes(path, redacted(text).encode("utf-8"), durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file, whole or not at all; see ``whole_file``."""
    with whole_file(path, durable=durable) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` at the end, and of which nothing stays behind on an exception.

    ``durable`` makes sure that it outlives a power failure: it waits for the disk. Several processes may write the
    same path: each has a file of its own meanwhile, and the last one stays.
    """
    partial = _beside(path)
    try:
        # Not by mkstemp, whose files only their owner may read.
        with open(partial, "xb") as file:
            yield file
            if durable:
                sync(file)
        os.replace(partial, path)
        if durable:
            sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a folder that takes the place of ``path`` at the end, and of which nothing stays behind on an exception.

    ``path`` must be absent or an empty folder then; the folders above it are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    partial.mkdir()
    try:
        yield partial
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def sync(file: BinaryIO) -> None:
    """Wait until what was written to a file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: BaseException | None) -> bool:
    """Say whether an error means that a disk, a quota or the largest size of a file is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:_LONGEST_PART]}.{os.getpid()}-{secrets.token_hex(4)}.partial")
