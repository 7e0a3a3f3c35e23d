"""What happened between two rows of the log: losses, throughput, waiting.

Shapes: K tasks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from descant.loop.objective import TaskLosses
from descant.loop.ranks import Ranks


@dataclass(frozen=True)
class Reading:
    """What happened since the reading before.

    Attributes:
        losses: per task that was taught, (mean loss, labels) over all ranks.
        parts: the same of each part of tasks whose parts stop one by one, by its name.
        coupling: the mean of what soft sharing added to the loss, None where it added nothing.
        samples_s: samples a second over all ranks.
        wait_share: the share of this rank's time that was spent waiting for data.
    """

    losses: dict[str, tuple[float, int]]
    parts: dict[str, tuple[float, float]]
    coupling: float | None
    samples_s: float
    wait_share: float


class Meter:
    """Sums over the steps since the last ``read``.

    Args:
        tasks: names, in the order of K.
        ranks: over which is summed.
        parts: of each task whose parts stop one by one, what they are called.
    """

    def __init__(self, tasks: Sequence[str], ranks: Ranks, parts: Mapping[str, Sequence[str]] | None = None) -> None:
        self.tasks, self.ranks, self._parts = list(tasks), ranks, dict(parts or {})
        self._totals_2P: dict[str, torch.Tensor] = {}
        self._steps = 0
        self._sums_K: torch.Tensor | None = None
        self._coupling: torch.Tensor | None = None
        self._counts_K = [0] * len(self.tasks)
        self.start_clock()

    def add_losses(self, losses: TaskLosses) -> None:
        """Add this rank's losses of a micro-batch; stays on the device."""
        sums_K = losses.sums_K.detach().double()
        self._sums_K = sums_K if self._sums_K is None else self._sums_K.to(sums_K.device) + sums_K
        for task, totals_2P in losses.parts.items():
            before = self._totals_2P.get(task, torch.zeros_like(totals_2P))
            self._totals_2P[task] = before.to(totals_2P.device) + totals_2P.double()

    def add_coupling(self, value: torch.Tensor) -> None:
        """Add what soft sharing adds to the loss of a step on this rank; stays on the device."""
        before = 0.0 if self._coupling is None else self._coupling.to(value.device)
        self._coupling = value.detach().double() + before

    def add_step(self, counts_K: Sequence[int], positions: int, wait_s: float) -> None:
        """Add a step: labels of the global batch, samples over all ranks, seconds this rank waited for data."""
        self._steps += 1
        self._counts_K = [total + count for total, count in zip(self._counts_K, counts_K, strict=True)]
        self._positions += positions
        self._wait_s += wait_s

    def read(self) -> Reading:
        """Return what happened, over all ranks, and start anew; every rank calls it at the same step."""
        elapsed_s = max(time.perf_counter() - self._since_s, 1e-9)
        sums_K = self._sum(self._sums_K, len(self.tasks))
        losses = {
            name: (total / count, count)
            for name, total, count in zip(self.tasks, sums_K, self._counts_K, strict=True)
            if count
        }
        parts = {name: (total / count, count) for name, (total, count) in self._part_totals().items() if count}
        coupling = None if self._coupling is None else self._sum(self._coupling.reshape(1), 1)[0] / self._steps
        reading = Reading(losses, parts, coupling, self._positions / elapsed_s, self._wait_s / elapsed_s)
        self._forget()
        self.start_clock()
        return reading

    def start_clock(self) -> None:
        """Measure speed and waiting from now on; losses stay."""
        self._positions, self._wait_s = 0, 0.0
        self._since_s = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return the losses that were not read yet, over all ranks; every rank calls it at the same step."""
        coupling = None if self._coupling is None else self._sum(self._coupling.reshape(1), 1)[0]
        sums_K = self._sum(self._sums_K, len(self.tasks))
        return {
            "sums": sums_K,
            "counts": list(self._counts_K),
            "coupling": coupling,
            "steps": self._steps,
            "parts": self._part_totals(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave: the first rank what was of all."""
        share = 1.0 if self.ranks.is_first else 0.0
        self._sums_K = share * torch.tensor(state["sums"], dtype=torch.float64)
        self._coupling = None if state["coupling"] is None else torch.tensor(share * state["coupling"])
        self._counts_K, self._steps = list(state["counts"]), state["steps"]
        saved = state.get("parts", {})  # runs of an earlier version have none
        for task, names in self._parts.items():
            totals = [saved.get(name, (0.0, 0.0)) for name in names]
            self._totals_2P[task] = share * torch.tensor(totals, dtype=torch.float64).T

    def _part_totals(self) -> dict[str, tuple[float, float]]:
        """Return by the name of a part the sum of its losses over all ranks, and how many they are."""
        found: dict[str, tuple[float, float]] = {}
        for task, names in self._parts.items():
            totals_2P = self._totals_2P.get(task)
            flat = self._sum(None if totals_2P is None else totals_2P.flatten(), 2 * len(names))
            found |= dict(zip(names, zip(flat[: len(names)], flat[len(names) :], strict=True), strict=True))
        return found

    def _sum(self, values: torch.Tensor | None, length: int) -> list[float]:
        own = torch.zeros(length, dtype=torch.float64) if values is None else values.double().cpu().clone()
        totals: list[float] = self.ranks.sum(own).tolist()
        return totals

    def _forget(self) -> None:
        self._steps, self._sums_K, self._coupling = 0, None, None
        self._totals_2P.clear()
        self._counts_K = [0] * len(self.tasks)
