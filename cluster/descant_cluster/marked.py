"""The processes that ``descant cluster up`` started, found by a mark in their environment, which children inherit.

A process that was started by anybody else never has the mark: neither a number that the system has given to another
process since, nor another Ray cluster on the machine, can be taken for one. Ray's workers and agents write their titles
over their environment; they are known by their logs, which lie in the cluster's own folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import psutil

MARK = "DESCANT_CLUSTER"


def marked(mark: str, folder: str) -> list[psutil.Process]:
    """Return the living processes of the cluster with a mark and a folder, but for this one and those above it."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    others = [process for process in psutil.process_iter() if process.pid not in spared]
    return [process for process in others if _mark(process) == mark or _logs_into(process, folder)]


def is_alive(pid: int, mark: str) -> bool:
    """Return whether a process lives and has a mark."""
    try:
        return _mark(psutil.Process(pid)) == mark
    except psutil.NoSuchProcess:
        return False


def end(processes: Sequence[psutil.Process], patience_s: float) -> None:
    """Ask processes to end, wait, and kill those that have not."""
    for process in processes:
        _signal(process, kill=False)
    _, left = psutil.wait_procs(processes, patience_s)
    for process in left:
        _signal(process, kill=True)
    psutil.wait_procs(left, patience_s)


def _mark(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return str(process.environ().get(MARK))
    except (psutil.Error, OSError):
        return None  # it has ended meanwhile, or is another user's


def _logs_into(process: psutil.Process, folder: str) -> bool:
    """Return whether a process has a title of Ray's and writes files of the cluster."""
    try:
        title = " ".join(process.cmdline()[:1])
        logs = process.open_files() if title.startswith(("ray::", "ray-")) else []
        return any(file.path.startswith(f"{folder}/") for file in logs)
    except (psutil.Error, OSError):
        return False


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):  # psutil compares the start too, so a number used again is none of ours
        process.kill() if kill else process.terminate()
