"""A real ``descant train`` in a process group of its own, as a terminal starts it, to be disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from descant.run.log import read_rows

PATIENCE_S = 300  # a bound for a hanging test, not a measure


class TrainingProcess:
    """``descant train`` with its output in a file.

    Args:
        folder: where the run folder ``runs/run`` and the output go.
        recipe: the recipe and what overrides it.
    """

    def __init__(self, folder: Path, *recipe: str) -> None:
        self.run = folder / "runs" / "run"
        self.output = folder / "output.txt"
        words = ["train", *recipe, f"run.dir={folder / 'runs'}", "run.name=run"]
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "descant", *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Threads that wait for each other crawl on a busy machine; a crash in C says where Python was.
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
            )

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, also of a test that failed."""
        if self.process.poll() is None:
            left = self.children()
            self.process.kill()
            self.process.wait()
            for child in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()

    def wait_for_step(self, step: int) -> None:
        """Wait until the run has logged a training step from ``step`` on."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not any(row["step"] >= step for row in read_rows(self.run / "metrics.jsonl")):
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline_s, self.output.read_text()
            time.sleep(0.02)

    def wait(self) -> int:
        """Return the exit code."""
        return self.process.wait(PATIENCE_S)

    def children(self) -> list[psutil.Process]:
        """Return every process that this one has started, and those have."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        """Return Ray's training workers."""
        return [child for child in self.children() if "RayTrainWorker" in " ".join(child.cmdline())]

    def summary(self) -> dict[str, Any]:
        """Return ``summary.json``."""
        summary: dict[str, Any] = json.loads((self.run / "summary.json").read_text())
        return summary

    def logged_steps(self) -> Counter[int]:
        """Return how often each step's training loss of the main task stands in ``metrics.jsonl``."""
        return Counter(
            row["step"]
            for row in read_rows(self.run / "metrics.jsonl")
            if (row["split"], row["task"], row["metric"]) == ("train", "genre", "loss")
        )
