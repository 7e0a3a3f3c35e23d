"""Work for the processes that pack: they import it by name, which they cannot from a test file, and at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


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


def raise_the_unpicklable(_: int) -> None:
    """Raise what holds a thing that no other process can have."""

    class Complicated(Exception):
        pass

    raise Complicated("too complicated")


def die_at_three(number: int) -> int:
    """Return the number, or be killed at 3."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads_of(_: int) -> str:
    """Return how many threads this process may use."""
    return os.environ.get("OMP_NUM_THREADS", "")


def print_as_c_does(text: str) -> None:
    """Write to the terminal past Python, as libraries in C do."""
    os.write(2, f"{text} from C\n".encode())


def note_process(folder: Path) -> None:
    """Make a file that is called as this process is numbered, in a while."""
    (folder / str(os.getpid())).touch()
    time.sleep(0.02)
