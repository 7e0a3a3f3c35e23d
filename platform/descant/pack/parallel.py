"""Work over the cores whose results come back in the order of the work."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from descant.errors import RunError, UserError

A = TypeVar("A")
B = TypeVar("B")
Progress = Callable[[int, int], None]
_AHEAD = 8  # results that may wait for each process: enough to keep it busy, few enough to hold in memory


def in_order(
    function: Callable[[A], B], items: Sequence[A], jobs: int | None, on_progress: Progress | None
) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed by ``jobs`` processes (all cores if None).

    At most ``8 * jobs`` results are ahead of the one that is yielded, so that a slow reader does not fill the memory.

    Raises:
        UserError: ``jobs`` is below 1.
        RunError: a process was killed.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs is {jobs}: give 1 or more, or leave it out to use every core")
    jobs = min(jobs or cores(), max(len(items), 1))
    results = map(function, items) if jobs == 1 else _pooled(function, items, jobs)
    for done, result in enumerate(results, 1):
        yield result
        if on_progress is not None:
            on_progress(done, len(items))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pooled(function: Callable[[A], B], items: Sequence[A], jobs: int) -> Iterator[B]:
    # Forked children of a process with threads can hang; a server process that is forked instead has none.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare)
    waiting: collections.deque[Future[B]] = collections.deque()
    try:
        for item in items:
            if len(waiting) == _AHEAD * jobs:
                yield waiting.popleft().result()
            waiting.append(pool.submit(function, item))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RunError(
            "a process that was packing has been killed, as happens when memory runs out: give a smaller --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    # One process a core, so one thread a process; torch reads this when it is imported, later.
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
