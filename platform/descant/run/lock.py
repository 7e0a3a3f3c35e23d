"""One process at a time trains in a run folder."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from pathlib import Path

from descant.errors import UserError

logger = logging.getLogger("descant")
FILE = ".lock"


class RunLock:
    """A run folder, taken until ``release`` or the end of this process, however it ends.

    Args:
        folder: the run folder; it exists.

    Raises:
        UserError: another process trains in it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 1000, 0).decode(errors="replace") or "another process"
            self.release()
            raise UserError(
                f"the run {str(folder)!r} is being trained by {holder}: wait for it or stop it, or give a new run.name"
            ) from error
        except OSError as error:
            logger.warning("%s cannot be locked (%s): see that no other process trains in it", folder, error.strerror)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Let the next one in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __del__(self) -> None:
        """Let the next one in when the holder is gone."""
        if hasattr(self, "_descriptor"):
            self.release()
