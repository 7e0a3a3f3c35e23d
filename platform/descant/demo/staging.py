"""Make many files with all cores into a folder that appears only when it is complete."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from descant.errors import UserError

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
_CHUNK = 4


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``folder`` that takes its name on success and is removed on any failure.

    Raises UserError when ``folder`` is a file or holds anything already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"'{folder}' exists and is not an empty folder: name another one or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        staging.chmod(0o755)
        yield staging
        os.replace(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def run_all(
    function: Callable[[Item], None], items: Sequence[Item], jobs: int | None, on_progress: Progress | None
) -> None:
    """Call ``function`` on every item in ``jobs`` processes (None: one per available core), in no fixed order.

    ``on_progress(done, total)`` is called in this process. The first failure cancels the rest and is raised.
    """
    workers = min(_cores() if jobs is None else jobs, len(items))
    if workers < 1:
        raise UserError(f"jobs is {jobs}, allowed are 1 or more: leave it out to use every core")
    done = 0
    for finished in _one_by_one(function, items) if workers == 1 else _pooled(function, items, workers):
        done += finished
        if on_progress is not None:
            on_progress(done, len(items))


def _one_by_one(function: Callable[[Item], None], items: Sequence[Item]) -> Iterator[int]:
    for item in items:
        function(item)
        yield 1


def _pooled(function: Callable[[Item], None], items: Sequence[Item], workers: int) -> Iterator[int]:
    # spawn: a fork of a process that already runs threads (torch, Ray) can hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_parent)
    try:
        chunks = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        for future in as_completed([pool.submit(_run_chunk, function, chunk) for chunk in chunks]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _run_chunk(function: Callable[[Item], None], chunk: Sequence[Item]) -> int:
    for item in chunk:
        function(item)
    return len(chunk)


def _leave_interrupts_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
