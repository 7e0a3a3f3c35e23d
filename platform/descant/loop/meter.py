"""What happened between two rows of the log: losses, throughput, waiting.

Shapes: K tasks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from descant.loop.objective import TaskLosses
from descant.loop.ranks import Ranks


class Meter:
    """Sums over the steps since the last ``read``."""

    def __init__(self, tasks: Sequence[str], ranks: Ranks) -> None:
        self.tasks, self.ranks = list(tasks), ranks
        self.steps = 0
        self._sums_K: torch.Tensor | None = None
        self._counts_K = [0] * len(self.tasks)
        self._positions, self._wait_s = 0, 0.0
        self._since_s = time.perf_counter()

    def add_losses(self, losses: TaskLosses) -> None:
        """Add this rank's losses of a micro-batch; stays on the device."""
        sums_K = losses.sums_K.detach().double()
        self._sums_K = sums_K if self._sums_K is None else self._sums_K + sums_K

    def add_step(self, counts_K: Sequence[int], positions: int, wait_s: float) -> None:
        """Add a step: labels of the global batch, samples over all ranks, seconds this rank waited for data."""
        self.steps += 1
        self._counts_K = [total + count for total, count in zip(self._counts_K, counts_K, strict=True)]
        self._positions += positions
        self._wait_s += wait_s

    def read(self) -> tuple[dict[str, tuple[float, int]], float, float]:
        """Return per task (mean loss, samples) over all ranks, samples/s, and the share of time waiting; start anew.

        Every rank calls it at the same step.
        """
        assert self._sums_K is not None, "no step since the last reading"
        sums_K = self.ranks.sum(self._sums_K.cpu())
        elapsed_s = max(time.perf_counter() - self._since_s, 1e-9)
        losses = {
            name: (float(total) / count, count)
            for name, total, count in zip(self.tasks, sums_K, self._counts_K, strict=True)
            if count
        }
        numbers = losses, self._positions / elapsed_s, self._wait_s / elapsed_s
        self.restart()
        return numbers

    def restart(self) -> None:
        """Forget what was summed and start the clock: what came before is no part of the next reading."""
        self.steps = 0
        self._sums_K = None
        self._counts_K = [0] * len(self.tasks)
        self._positions, self._wait_s = 0, 0.0
        self._since_s = time.perf_counter()
