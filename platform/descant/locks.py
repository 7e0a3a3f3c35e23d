"""Locks between the processes of a host, by ``flock`` on a file: they end with their process, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any


class FileLock:
    """A lock on the file at ``path``; not taken at first.

    A forked child has a copy of the open file, which is the same lock: it never unlocks what its parent holds.

    Args:
        path: the file, which is made when missing.
        make: False for a file that is there and is not to be written to.

    Raises:
        OSError: the file cannot be opened; later, that the file system has no locks.
    """

    def __init__(self, path: Path, *, make: bool = True) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT if make else os.O_RDONLY, 0o666)
        self._pid = os.getpid()

    def share(self) -> None:
        """Wait until nobody else owns it, and share it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def own(self) -> None:
        """Wait until nobody else has it, and own it; a shared lock is given up first."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_own(self) -> bool:
        """Own it if nobody else has it; return whether it is owned."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def touch(self) -> None:
        """Set the file's time of change to now."""
        os.utime(self._descriptor)

    def release(self) -> None:
        """Give it up."""
        if os.getpid() == self._pid:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()
