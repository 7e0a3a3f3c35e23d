"""Reading packed shards as others do, with stock webdataset; and work for the processes that pack.

Processes import their work by name, which they cannot from a test file.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from webdataset.tariterators import group_by_keys, tar_file_expander


def stock_samples(folder: Path, split: str = "*") -> dict[str, dict[str, bytes]]:
    """Return the samples of a split, or of all, by key, as webdataset takes tars apart."""

    def streams() -> Iterator[dict[str, object]]:
        for path in sorted(folder.glob(f"{split}-*.tar")):
            with path.open("rb") as stream:  # webdataset itself leaves files open, which is an error under pytest
                yield {"url": str(path), "stream": stream}

    return {sample["__key__"]: sample for sample in group_by_keys(tar_file_expander(streams()))}


def slow_square(number: int) -> int:
    """Return the square, for some numbers later than for others."""
    time.sleep(0.01 * (number % 3))  # so that results are not ready in the order of the work
    return number * number


def leave_a_trace(path: Path) -> None:
    """Make a file."""
    path.touch()


def refuse_seven(number: int) -> int:
    """Return the number, except 7."""
    if number == 7:
        raise ValueError("seven")
    return number


def die_at_three(number: int) -> int:
    """Return the number, or be killed at 3."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads_of(_: int) -> str:
    """Return how many threads this process may use."""
    return os.environ.get("OMP_NUM_THREADS", "")
