"""Work over the cores whose results come back in the order of the work."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import TypeVar

from descant.cores import usable_cores
from descant.errors import RunError, UserError

A = TypeVar("A")
B = TypeVar("B")
Progress = Callable[[int, int], None]
_AHEAD = 8  # results that may wait for each process: enough to keep it busy, few enough to hold in memory


def in_order(
    function: Callable[[A], B], items: Sequence[A], jobs: int | None, on_progress: Progress | None, batch: int = 1
) -> Generator[B, None, None]:
    """Yield ``function(item)`` in the order of ``items``, computed by ``jobs`` processes.

    None is a process for each core; 1 is this process. ``batch`` items at a time go to a process. At most
    ``8 * jobs`` batches are ahead of the result that is yielded, so that a slow reader does not fill the memory.

    Raises:
        UserError: ``jobs`` is below 1.
        RunError: a process was killed.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs is {jobs}: give 1 or more, or leave it out to use every core")
    processes = min(jobs or usable_cores(), max(len(items), 1))
    results = _here(function, items) if jobs == 1 else _pooled(function, items, processes, batch)
    with closing(results):  # whatever ends this ends the processes first: nothing is written behind its back
        for done, result in enumerate(results, 1):
            yield result
            if on_progress is not None:
                on_progress(done, len(items))


def _here(function: Callable[[A], B], items: Sequence[A]) -> Generator[B, None, None]:
    for item in items:
        yield function(item)


def _pooled(function: Callable[[A], B], items: Sequence[A], jobs: int, batch: int) -> Generator[B, None, None]:
    # Forked children of a process with threads can hang; a server process that is forked instead has none.
    context = multiprocessing.get_context("forkserver")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare)
    waiting: collections.deque[Future[list[B]]] = collections.deque()
    try:
        for start in range(0, len(items), batch):
            if len(waiting) == _AHEAD * jobs:
                yield from waiting.popleft().result()
            waiting.append(pool.submit(_apply, function, items[start : start + batch]))
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process has been killed, as happens when memory runs out: give a smaller --jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _apply(function: Callable[[A], B], items: Sequence[A]) -> list[B]:
    return [function(item) for item in items]


def _prepare() -> None:
    # One process a core, so one thread a process; torch reads this when it is imported, later.
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    _silence_libraries()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once its parent is gone: a pool whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "only the processes of a pool are prepared"
    parent.join()
    os._exit(1)


def _silence_libraries() -> None:
    """Let only Python write to the terminal: decoders in C print what a ValueError says as well."""
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(terminal, "w", buffering=1)
