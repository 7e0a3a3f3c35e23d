"""One way through a global batch: what it is of, and what is found out on it.

Shapes: K tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from descant.loop.objective import TaskLosses


class Remembered:
    """A micro-batch's losses, and which tasks' are finite, on its way to the host since the forward pass."""

    def __init__(self, keys: list[str], losses: TaskLosses) -> None:
        self.keys, self.losses = keys, losses
        self._finite_K, self._arrived = losses.finite_K, None
        if losses.finite_K.is_cuda:
            self._finite_K = torch.empty_like(losses.finite_K, device="cpu", pin_memory=True)
            self._finite_K.copy_(losses.finite_K, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def finite_K(self) -> Tensor:
        """Wait for the forward pass, not for what came after it, and return which tasks' losses are finite."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._finite_K


@dataclass(frozen=True)
class Known:
    """What the balancer has decided: a weight of each task, and what its loss was multiplied by before."""

    weights_K: Tensor
    scales_K: Tensor | None


@dataclass
class Attempt:
    """One way through a global batch, and what is found out on it.

    Attributes:
        step: its number.
        rows: how many samples of the global batch count at all.
        weights_K: the recipe's weight of each task.
        counts: how many samples of the global batch teach each task.
        tasks: whose outputs are computed.
        compare: tasks whose gradients are compared with the main task's, of the first micro-batch.
        again: whether the batch was taken before, with more tasks.
        micro_batches: what is known of each.
        cosines: of the tasks to compare.
        couplings: what soft sharing added to the loss.
        known: what the balancer has decided, if that was before the first micro-batch.
    """

    step: int
    rows: int
    weights_K: Tensor
    counts: Mapping[str, int]
    tasks: Sequence[str]
    compare: Sequence[str] = ()
    again: bool = False
    micro_batches: list[Remembered] = field(default_factory=list)
    cosines: dict[str, float] = field(default_factory=dict)
    couplings: list[Tensor] = field(default_factory=list)
    known: Known | None = None

    @property
    def taught(self) -> list[str]:
        """The tasks that learn of the batch."""
        return [name for name in self.tasks if self.counts[name]]
