"""What ranks tell each other once a step, in one small sum: label counts, bad samples, and requests to stop or save.

K tasks. All ranks get the same sums at the same step, so they decide alike without further messages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descant.data.batch import Batch
from descant.errors import StoppedTogether
from descant.loop.objective import TaskLosses
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


class _Remembered:
    """A micro-batch's losses, and whether they are finite, on its way to the host since the forward pass."""

    def __init__(self, keys: list[str], losses: TaskLosses) -> None:
        self.keys, self.losses = keys, losses
        self._finite, self._arrived = losses.finite, None
        if losses.finite.is_cuda:
            self._finite = torch.empty_like(losses.finite, device="cpu", pin_memory=True)
            self._finite.copy_(losses.finite, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def is_finite(self) -> bool:
        """Wait for the forward pass, not for what came after it, and return whether every loss is finite."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return bool(self._finite)


class Pulse:
    """The exchange before each step.

    A loss that is not finite is looked for one step late: by then the device has it ready, and nothing waits.

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
        self._step = 0
        self._micro_batches: list[_Remembered] = []  # of the step before

    def beat(self, batch: Batch | None, bad: int = 0) -> Beat:
        """Exchange before a step on ``batch``, or (None) when no step follows, as before a checkpoint.

        Raises:
            StoppedTogether: a loss of the step before was not finite on some rank; all ranks raise the same.
        """
        counts = [int(batch.present[name].sum()) if batch and name in batch.present else 0 for name in self.tasks]
        counts.append(int(batch.valid.sum()) if batch else 0)
        save = self.ranks.is_first and self._save_due()
        broken = not all(one.is_finite() for one in self._micro_batches)
        stop = self._should_stop()
        if self.ranks.world_size > 1:
            message = torch.tensor([*counts, stop, save, bad, broken], dtype=torch.int64)
            *counts, stop, save, bad, broken = self.ranks.sum(message).tolist()
        if broken:
            self._raise_diverged()
        self._micro_batches.clear()
        *counts_K, rows = counts
        return Beat(counts_K, rows, bool(stop), bool(save), bad)

    def remember(self, step: int, keys: list[str], losses: TaskLosses) -> None:
        """Keep a micro-batch's losses to be checked at the next beat."""
        self._step = step
        self._micro_batches.append(_Remembered(keys, losses))

    def saved(self) -> None:
        """Start counting the seconds to the next checkpoint."""
        self._saved_at_s = time.monotonic()

    def _save_due(self) -> bool:
        return self._save_every_s is not None and time.monotonic() - self._saved_at_s >= self._save_every_s

    def _raise_diverged(self) -> None:
        broken = [
            _diverged(self._step, one.keys, one.losses.per_sample) for one in self._micro_batches if not one.is_finite()
        ]
        for text in self.ranks.gather(broken[0] if broken else None):
            if text is not None:
                raise StoppedTogether(str(text))


def _diverged(step: int, sample_keys: list[str], per_sample: dict[str, Tensor]) -> str:
    for name, losses_B in per_sample.items():
        broken = (~losses_B.isfinite()).nonzero()[:, 0].tolist()
        if broken:
            keys = ", ".join(repr(sample_keys[row]) for row in broken[:5])
            more = f" and {len(broken) - 5} more" if len(broken) > 5 else ""
            value = float(losses_B[broken[0]])
            return (
                f"the loss of the task {name!r} became {value} at step {step} on the samples {keys}{more}: "
                f"look at these samples, or lower optimizer.lr; what was saved before is kept"
            )
    return f"the sum of a task's losses became infinite at step {step}: lower optimizer.lr"
