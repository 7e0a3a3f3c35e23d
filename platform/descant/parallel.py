"""Work over the cores whose results come back in the order of the work.

The processes are started afresh: a forked child of a process with threads can hang. And not by multiprocessing, whose
processes import the caller's main module again, which would start a user's script a second time, and look for modules
in the current folder, where untrusted shards may lie.
"""

from __future__ import annotations

import collections
import os
import pickle
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from typing import Any, BinaryIO, TypeVar, cast

from descant.cores import usable_cores
from descant.errors import RunError, UserError

A = TypeVar("A")
B = TypeVar("B")
Progress = Callable[[int, int], None]
_AHEAD = 8  # results that may wait for each process: enough to keep it busy, few enough to hold in memory
_LENGTH = 8  # bytes that say how long a message is


def in_order(
    function: Callable[[A], B], items: Sequence[A], jobs: int | None, on_progress: Progress | None, batch: int = 1
) -> Generator[B, None, None]:
    """Yield ``function(item)`` in the order of ``items``, computed by ``jobs`` processes.

    None is a process for each core; 1 is this process. ``batch`` items at a time go to a process. At most
    ``8 * jobs`` batches are ahead of the result that is yielded, so that a slow reader does not fill the memory.
    ``function`` and what it returns are pickled: it must be of a module that can be imported.

    Raises:
        UserError: ``jobs`` is below 1.
        RunError: a process was killed.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs is {jobs}: give 1 or more, or leave it out to use every core")
    processes = min(jobs or usable_cores(), max(-(-len(items) // batch), 1))
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
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()

    def apply(part: Sequence[A]) -> list[B]:
        process = idle.get()
        try:
            return cast("list[B]", process.apply(function, part))
        finally:
            idle.put(process)

    with ExitStack() as stack:
        for _ in range(jobs):
            idle.put(stack.enter_context(closing(_Process())))
        threads = ThreadPoolExecutor(jobs)
        stack.callback(threads.shutdown, cancel_futures=True)  # waits for what has begun
        waiting: collections.deque[Future[list[B]]] = collections.deque()
        for start in range(0, len(items), batch):
            if len(waiting) == _AHEAD * jobs:
                yield from waiting.popleft().result()
            waiting.append(threads.submit(apply, items[start : start + batch]))
        while waiting:
            yield from waiting.popleft().result()


def apart(function: Callable[[A], B], item: A) -> B:
    """Return ``function(item)``, computed by a process of its own, which knows nothing of this one's plugins."""
    with closing(_Process()) as process:
        return cast("list[B]", process.apply(function, [item]))[0]


def python(program: str) -> list[str]:
    """Return the command that runs a program of this environment, which finds no module in the current folder."""
    path = [str(entry) for entry in sys.path if entry]  # the empty one is the current folder
    # Nothing but what is built in is imported before the path is right.
    return [sys.executable, "-c", f"import sys; sys.path[:] = {path!r}; {program}"]


class _Process:
    """A process that applies functions to items: one batch at a time, in one thread."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            python("from descant.parallel import serve; serve()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # one process a core, so one thread a process
            start_new_session=True,  # Ctrl-C is this process's to answer, which ends the others
        )
        self._input, self._output = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def apply(self, function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Return the results of a batch, or raise what the function raised."""
        try:
            _send(self._input, pickle.dumps((function, items)))
            answer = _receive(self._output)
        except (EOFError, BrokenPipeError) as error:
            code = self._process.wait()
            how = "has been killed, as happens when memory runs out" if code < 0 else f"has ended with code {code}"
            raise RunError(f"a worker process {how}: give a smaller --jobs") from error
        results, failure, trace = pickle.loads(answer)
        if failure is not None:
            raise failure from _Elsewhere(trace)
        return cast("list[Any]", results)

    def close(self) -> None:
        """End the process, which has nothing to do."""
        with suppress(BrokenPipeError):  # it was killed, and what it did not take is still in the buffer
            self._input.close()
        self._process.wait()
        self._output.close()


class _Elsewhere(Exception):
    """Where in another process something was raised, shown as the cause."""


def serve() -> None:
    """Be a process of ``in_order``: answer what comes on the input until the other end is closed."""
    given, answers = _own_streams()
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_take, args=(given, tasks), daemon=True).start()
    while True:
        _send(answers, _answer(tasks.get()))


def _take(given: BinaryIO, tasks: queue.SimpleQueue[bytes]) -> None:
    """Take what is to be done; end this process as soon as its parent is gone, whatever it does."""
    with suppress(EOFError):
        while True:
            tasks.put(_receive(given))
    os._exit(1)


def _answer(task: bytes) -> bytes:
    try:
        function, items = pickle.loads(task)
        return pickle.dumps(([function(item) for item in items], None, ""))
    except Exception as error:
        trace = traceback.format_exc()
        try:
            answer = pickle.dumps(([], error, trace))
            pickle.loads(answer)
        except Exception:  # exceptions of libraries often cannot be pickled or made again from that
            answer = pickle.dumps(([], RunError(f"{type(error).__name__}: {error}"), trace))
        return answer


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the input and the output, and keep them and the terminal from all but Python.

    Libraries in C print: what is no answer, and what a ValueError says as well.
    """
    given, answers, terminal = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"), os.dup(2)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    sys.stdout = sys.stderr = os.fdopen(terminal, "w", buffering=1)
    return given, answers


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(len(message).to_bytes(_LENGTH, "little"))
    stream.write(message)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes:
    """Return the next message; EOFError when the other end is gone, before it or within it."""
    length = stream.read(_LENGTH)
    message = stream.read(int.from_bytes(length, "little"))
    if len(length) < _LENGTH or len(message) < int.from_bytes(length, "little"):
        raise EOFError
    return message
