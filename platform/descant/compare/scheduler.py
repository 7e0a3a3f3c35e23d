"""Run training commands side by side, as many as the cores carry; a failed one does not stop the others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from descant.compare.arms import PlannedRun, quoted
from descant.compare.study import finished
from descant.cores import usable_cores
from descant.errors import UserError
from descant.parallel import python

TRAIN = (*python("from descant.cli.main import run; run()"), "train")
POLL_S = 0.1
MOST_LOADER_WORKERS = 4
WRONG_USAGE = 2  # the exit status of a command that no second try makes right


@dataclass(frozen=True)
class Outcome:
    """How one run's process ended; ``message`` is the last error line of a failed one, ``code`` its exit status."""

    run: PlannedRun
    status: Literal["finished", "failed"]
    wall_s: float
    code: int = 0
    message: str = ""


@dataclass(frozen=True)
class Progress:
    """What just happened to a run, and how many of the ``total`` runs have ended."""

    run: PlannedRun
    event: Literal["started", "finished", "failed"]
    ended: int
    total: int
    wall_s: float = 0.0
    message: str = ""


@dataclass
class _Child:
    run: PlannedRun
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    started: float


@dataclass(frozen=True)
class Share:
    """``jobs`` runs at a time, and what each gets of the cores: computing threads and processes that read for it."""

    jobs: int
    threads: int
    loader_workers: int


@dataclass(frozen=True)
class Scheduler:
    """Runs ``descant train`` once per planned run, side by side as ``share`` says.

    Each run writes into ``folder``/<run name> and its output goes to ``folder``/logs/<run name>.log. Where
    ``sets_loaders`` is false, the recipe itself says how many processes read.
    """

    folder: Path
    share: Share
    command: Sequence[str] = TRAIN
    sets_loaders: bool = True

    def run(self, runs: Sequence[PlannedRun], report: Callable[[Progress], None]) -> list[Outcome]:
        """Run all and return their outcomes in the order in which they ended.

        Raises:
            UserError: a run was refused as wrong usage before any finished; the others are stopped, so that a mistyped
                key shows in seconds and not after hours.
            KeyboardInterrupt: on SIGINT, SIGTERM or SIGHUP, after each running child was asked to stop (SIGINT) and has
                ended; a second signal kills the children.
        """
        waiting, running, outcomes = deque(runs), list[_Child](), list[Outcome]()
        with _signals_interrupt():
            try:
                while waiting or running:
                    while waiting and len(running) < self.share.jobs:
                        running.append(self._start(waiting.popleft()))
                        report(Progress(running[-1].run, "started", len(outcomes), len(runs)))
                    for child in [child for child in running if child.process.poll() is not None]:
                        running.remove(child)
                        outcome = _outcome(child, self.folder)
                        outcomes.append(outcome)
                        _refuse_wrong_usage(outcomes)
                        done = len(outcomes)
                        report(Progress(child.run, outcome.status, done, len(runs), outcome.wall_s, outcome.message))
                    time.sleep(POLL_S)
            finally:
                _stop(running)
        return outcomes

    def arguments(self, run: PlannedRun) -> list[str]:
        """Return the command line that makes a run; the user can type it to make that run alone."""
        loaders = [f"trainer.loader_workers={self.share.loader_workers}"] if self.sets_loaders else []
        places = (f"run.name={run.name}", f"run.dir={quoted(str(self.folder))}")
        return [*self.command, run.recipe, *loaders, *run.overrides, *places]

    def _start(self, run: PlannedRun) -> _Child:
        log = self.folder / "logs" / f"{run.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            start = output.tell()
            process = subprocess.Popen(
                self.arguments(run),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": str(self.share.threads)},
                start_new_session=True,  # a terminal's Ctrl-C must reach a child once, by us
            )
        return _Child(run, process, log, start, time.monotonic())


def share_cores(runs: int, jobs: int | None = None) -> Share:
    """Share out the cores that this process may use: one run per core unless ``jobs`` is given.

    Of the cores of a run half read, as far as they are of use there; the others compute.
    """
    cores = usable_cores()
    chosen = max(1, min(jobs or cores, runs))
    own = max(1, cores // chosen)
    loader_workers = min(own // 2, MOST_LOADER_WORKERS)
    return Share(chosen, own - loader_workers, loader_workers)


def last_error(text: str) -> str:
    """Return the line of a log that tells why its process ended: the last that names an error, else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines[-50:] if "error" in line.lower()]
    return (named or lines or ["it printed nothing"])[-1].removeprefix("descant: ")


def _outcome(child: _Child, folder: Path) -> Outcome:
    wall_s = time.monotonic() - child.started
    code = child.process.returncode
    if code == 0 and finished(folder / child.run.name):
        return Outcome(child.run, "finished", wall_s)
    with child.log.open("rb") as file:
        file.seek(child.log_start)
        line = last_error(file.read().decode("utf-8", errors="replace"))
    cause = f"exit {code}" if code > 0 else f"signal {-code}" if code < 0 else "exit 0 without a finished summary.json"
    return Outcome(child.run, "failed", wall_s, code, f"{line} ({cause})" if code != WRONG_USAGE else line)


def _refuse_wrong_usage(outcomes: Sequence[Outcome]) -> None:
    last = outcomes[-1]
    if last.code == WRONG_USAGE and all(outcome.status == "failed" for outcome in outcomes):
        raise UserError(last.message)


def _stop(children: Sequence[_Child]) -> None:
    """Ask each child to write its checkpoint and end; wait for it; on a second signal kill what is left."""
    try:
        for child in children:
            child.process.send_signal(signal.SIGINT)
        for child in children:
            child.process.wait()
    except KeyboardInterrupt:
        for child in children:
            if child.process.poll() is None:
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
        raise


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt here; a SIGHUP that nohup ignores stays ignored.

    A handler of our own, even for SIGINT, lets children start with the default one where a shell had it ignored.
    """

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
