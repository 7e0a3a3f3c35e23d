"""One way through a global batch: what it is of, and what is found out on it.

Shapes: K tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from descant.loop.look import Look
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
    """What is known of a step before its first micro-batch is learnt from.

    Attributes:
        scales_K: what each task's loss is multiplied by before anything else, None for 1.
        decision: the balancer's, if it decides by then.
    """

    scales_K: Tensor | None
    decision: Decision | None


@dataclass(frozen=True)
class Decision:
    """What the balancer decides at a step.

    Attributes:
        weights_K: of each task's gradient at its feature.
        masks: of each feature, by task, what multiplies the gradient at each unit instead.
    """

    weights_K: Tensor
    masks: Sequence[Mapping[str, Tensor]] | None = None


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
        known: what was found out before the first micro-batch.
        look: what is gathered of the tasks' gradients, micro-batch by micro-batch.
        direction: by the name of a shared parameter, the gradient that the balancer has made.
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
    look: Look | None = None
    direction: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def taught(self) -> list[str]:
        """The tasks that learn of the batch."""
        return [name for name in self.tasks if self.counts[name]]
