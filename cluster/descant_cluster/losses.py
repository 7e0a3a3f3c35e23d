"""Workers that a run loses, told by Ray Train's controller to the process that follows the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ray.train import UserCallback


class LostWorkers(UserCallback):
    """Writes down, on the driver's node, that workers failed.

    Args:
        path: a file of one JSON object per loss: the ranks and what ended them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:
        """Add a line."""
        causes = sorted({first_line(error) for error in worker_exceptions.values()})
        line = json.dumps({"ranks": sorted(worker_exceptions), "causes": causes})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def first_line(error: BaseException) -> str:
    """Return an exception's name and the first line of what it says; of a failed health check, what it found."""
    error = getattr(error, "controller_failure", getattr(error, "health_check_failure", error))
    first = (str(error).strip() or "no reason given").splitlines()[0]
    return f"{type(error).__name__}: {first.rstrip('.')}"
