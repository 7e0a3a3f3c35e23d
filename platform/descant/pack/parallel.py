"""Work over the cores whose results come back in the order of the work."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
Progress = Callable[[int, int], None]


def in_order(
    function: Callable[[A], B], items: Sequence[A], jobs: int | None, on_progress: Progress | None
) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed by ``jobs`` processes (all cores if None)."""
    jobs = min(jobs or os.cpu_count() or 1, max(len(items), 1))
    if jobs == 1:
        yield from _counted(map(function, items), len(items), on_progress)
        return
    # Forked children of a process with threads can hang; a server process that is forked instead has none.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        yield from _counted(pool.map(function, items, chunksize=4), len(items), on_progress)


def _counted(results: Iterator[B], total: int, on_progress: Progress | None) -> Iterator[B]:
    for done, result in enumerate(results, 1):
        yield result
        if on_progress is not None:
            on_progress(done, total)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
