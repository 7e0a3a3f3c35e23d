"""One process at a time trains in a run folder."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from descant.errors import UserError
from descant.locks import FileLock

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
        path = folder / FILE
        self._lock: FileLock | None = FileLock(path)
        try:
            is_ours = self._lock.try_own()
        except OSError as error:
            logger.warning("%s cannot be locked (%s): see that no other process trains in it", folder, error.strerror)
            is_ours = True
        if not is_ours:
            holder = path.read_text(errors="replace") or "another process"
            self.release()
            raise UserError(
                f"the run {str(folder)!r} is being trained by {holder}: wait for it or stop it, or give a new run.name"
            )
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}")

    def release(self) -> None:
        """Let the next one in."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __del__(self) -> None:
        """Let the next one in when the holder is gone."""
        if hasattr(self, "_lock"):
            self.release()
