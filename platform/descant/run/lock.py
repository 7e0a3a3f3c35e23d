"""One process at a time trains in a run folder."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

from descant.errors import UserError

FILE = ".lock"


class RunLock:
    """A run folder, taken until ``release`` or the end of this process, however it ends.

    Args:
        folder: the run folder; it exists.

    Raises:
        UserError: another process trains in it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / FILE).open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise UserError(
                f"the run {str(folder)!r} is being trained by {holder}: wait for it or stop it, or give a new run.name"
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}")
        self._file.flush()

    def release(self) -> None:
        """Let the next one in."""
        self._file.close()
