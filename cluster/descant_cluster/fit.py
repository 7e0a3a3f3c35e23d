"""What runs by Ray Train and runs by Ray Tune have in common: a thread for ``fit``, and a folder for Ray's records."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Fit:
    """Ray's ``fit`` in a thread of its own: it blocks, and in the main one takes Ctrl-C as the order to kill workers.

    Args:
        fit: what is called.

    Attributes:
        error: what it ended with, if not well.
    """

    def __init__(self, fit: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._fit = fit
        self._thread = threading.Thread(target=self._run, name="ray-fit", daemon=True)
        self._thread.start()

    def is_running(self, wait_s: float) -> bool:
        """Wait up to ``wait_s`` for the end and return whether it has not come."""
        self._thread.join(wait_s)
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._fit()
        except BaseException as error:  # handed to the thread that waits
            self.error = error


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder within ``folder`` that Ray writes its own records to; it is empty, and gone in the end."""
    scratch = folder / ".ray"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
