"""What ranks tell each other once a step, in one small sum: label counts, bad samples, and requests to stop or save.

K tasks. All ranks get the same sums at the same step, so they decide alike without further messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from descant.data.batch import Batch
from descant.loop.ranks import Ranks


@dataclass(frozen=True)
class Beat:
    """The sums over all ranks.

    Attributes:
        counts_K: how many samples of the global batch teach each task.
        rows: how many samples of the global batch count at all.
        stop: whether a rank was asked to stop.
        save: whether the first rank finds a checkpoint due.
        bad: how many samples were found bad.
    """

    counts_K: list[int]
    rows: int
    stop: bool
    save: bool
    bad: int


class Pulse:
    """The exchange before each step.

    Args:
        ranks: who takes part.
        tasks: names, in the order of K.
        should_stop: whether this rank was asked to stop.
        save_every_s: seconds between checkpoints, by the first rank's clock; None: never by time.
    """

    def __init__(
        self, ranks: Ranks, tasks: list[str], should_stop: Callable[[], bool], save_every_s: float | None
    ) -> None:
        self.ranks, self.tasks = ranks, tasks
        self._should_stop, self._save_every_s = should_stop, save_every_s
        self._saved_at_s = time.monotonic()

    def beat(self, batch: Batch, bad: int = 0) -> Beat:
        """Exchange before a step on ``batch``."""
        counts = [int(batch.present[name].sum()) if name in batch.present else 0 for name in self.tasks]
        counts.append(int(batch.valid.sum()))
        save = self.ranks.is_first and self._save_due()
        stop = self._should_stop()
        if self.ranks.world_size > 1:
            message = torch.tensor([*counts, stop, save, bad], dtype=torch.int64)
            *counts, stop, save, bad = self.ranks.sum(message).tolist()
        *counts_K, rows = counts
        return Beat(counts_K, rows, bool(stop), bool(save), bad)

    def saved(self) -> None:
        """Start counting the seconds to the next checkpoint."""
        self._saved_at_s = time.monotonic()

    def _save_due(self) -> bool:
        return self._save_every_s is not None and time.monotonic() - self._saved_at_s >= self._save_every_s
