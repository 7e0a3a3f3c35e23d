"""Indexes many shards by processes of their own: ``python -m descant.data.indexing`` with their paths on its input.

Not by a pool of multiprocessing: its processes import the caller's main module again, which would start a user's
script a second time.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

Process = subprocess.Popen[bytes]


def index_by_processes(paths: Sequence[Path], jobs: int) -> Iterator[None]:
    """Have the indexes of ``paths`` built and kept by ``jobs`` processes; yield once for each that is.

    A process that fails ends early: the caller looks for each index and builds what is still missing.
    """
    by_size = sorted(paths, key=lambda path: path.stat().st_size if path.exists() else 0)
    command = [sys.executable, "-m", "descant.data.indexing"]
    processes: list[Process] = []
    try:
        for number in range(min(jobs, len(paths))):
            pipe = subprocess.PIPE
            processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL))
            _hand_out(processes[-1], by_size[number::jobs])
        yield from _lines(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _hand_out(process: Process, paths: Sequence[Path]) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as stream:
            stream.write(json.dumps([os.path.abspath(path) for path in paths]).encode())
    except BrokenPipeError:  # it could not start
        return


def _lines(processes: Sequence[Process]) -> Iterator[None]:
    with selectors.DefaultSelector() as selector:
        for process in processes:
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fd, int)
                said = os.read(key.fd, 1 << 12)
                if not said:
                    selector.unregister(key.fileobj)
                yield from (None for _ in range(said.count(b"\n")))


def _work() -> None:
    from descant.data.index import load_index

    for path in json.load(sys.stdin):
        load_index(path)
        print(flush=True)


if __name__ == "__main__":
    _work()
