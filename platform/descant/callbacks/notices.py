"""Tells the callbacks of a run what happens to it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from descant.callbacks.base import Callback, Event, Kind

logger = logging.getLogger("descant")
PATIENCE_S = 30.0
"""How long the end of a run waits for callbacks that are not done."""


class Notices:
    """Hands events to callbacks in a thread, so that a slow one holds up no training.

    Args:
        callbacks: by name.
        folder: the run's.
        stopped: tasks that had stopped before, of which nothing is told again.
    """

    def __init__(self, callbacks: Mapping[str, Callback], folder: Path, stopped: list[str] | None = None) -> None:
        self._callbacks, self._folder = callbacks, folder
        self._stopped = set(stopped or [])
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)

    def __enter__(self) -> Notices:
        if self._callbacks:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._callbacks:
            return
        self._events.put(None)
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            logger.warning("callbacks were not done %g s after the end of the run, and are left", PATIENCE_S)

    def tell(self, kind: Kind, **details: Any) -> None:
        """Tell all callbacks of an event, soon."""
        if self._callbacks:
            self._events.put(Event(kind, self._folder.name, str(self._folder), details))

    def row(self, row: Mapping[str, Any]) -> None:
        """Look at a row of the run's log: it may say that a task has stopped, or trains again."""
        if row["metric"] != "active":
            return
        task = row["task"]
        if row["value"]:
            self._stopped.discard(task)
        elif task not in self._stopped:
            self._stopped.add(task)
            self.tell("task_stopped", task=task, epoch=row["epoch"])

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            for name, callback in self._callbacks.items():
                try:
                    callback.tell(event)
                except Exception as error:
                    said = f"{type(error).__name__}: {error}"
                    logger.warning("the callback %r could not be told of %r (%s)", name, event.kind, said)
