"""Asking the workers of a run to stop: a file in the run folder, which every worker sees on any machine."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopFile:
    """The wish to stop a run: its driver makes it, its workers look for it.

    Args:
        folder: the run folder.
        interval_s: how long an answer holds, so that asking at each step costs nothing.
    """

    def __init__(self, folder: Path, interval_s: float = 0.3) -> None:
        self._path = folder / ".stop"
        self._interval_s = interval_s
        self._looked_s = -interval_s
        self._found = False
        self.was_requested = False
        """Whether this process has asked."""

    def request(self) -> None:
        """Ask the workers to write a checkpoint and return."""
        self.was_requested = True
        self._path.touch()

    def clear(self) -> None:
        """Take the wish back, for a new start."""
        self._path.unlink(missing_ok=True)

    def requested(self) -> bool:
        """Return whether the workers are to stop."""
        now_s = time.monotonic()
        if not self._found and now_s - self._looked_s >= self._interval_s:
            self._looked_s = now_s
            self._found = self._path.exists()
        return self._found


@contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first Ctrl-C (or SIGTERM) within the block; a second one ends at once.

    Off the main thread, where Python hands out no signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def first(number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.default_int_handler)
        stop()

    for number in SIGNALS:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
