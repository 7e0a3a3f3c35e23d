"""What loss balancers carry from step to step for each task: numbers that Adam learns, and means over epochs.

A step touches the entries of the tasks that it teaches and no others, so that these stay as if it had not happened.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Bool, Float, Int

from descant.lazy import torch

EPSILON = 1e-8
"""Where a method takes a loss's logarithm or inverse, a loss below counts as this: 0 and negative ones too."""
LARGEST = 1e30
"""No weight is larger: it still is a number in float32."""


def log_losses(losses_P: Float[torch.Tensor, P], epsilon: float = EPSILON) -> Float[torch.Tensor, P]:
    """Return log max(ℓ, ε)."""
    return losses_P.clamp(min=epsilon).log()


class Learnt:
    """One number per task, from 0, learnt by Adam (Kingma & Ba 2015) with a count of steps for each, in float64.

    Args:
        tasks: K.
        lr: of Adam; its β are .9 and .999, its ε 1e-8.
        weight_decay: γ of γ/2·x², whose gradient is added.
        low: the numbers are kept from falling below it.
        high: and from rising above it.
    """

    def __init__(
        self, tasks: int, lr: float, weight_decay: float = 0.0, low: float | None = None, high: float | None = None
    ) -> None:
        self.lr, self.weight_decay, self.low, self.high = lr, weight_decay, low, high
        # The steps are counted as float64 too: a power of a whole number would be float32.
        self._values_K, self._first_K, self._second_K, self._steps_K = torch.zeros(
            4, tasks, dtype=torch.float64
        ).unbind()

    def at(self, places_P: Int[torch.Tensor, P]) -> Float[torch.Tensor, P]:
        """Return the numbers of these tasks."""
        return self._values_K[places_P]

    def step(self, places_P: Int[torch.Tensor, P], gradients_P: Float[torch.Tensor, P]) -> None:
        """Make one step of Adam down these gradients."""
        values_P = self._values_K[places_P]
        gradients_P = gradients_P + self.weight_decay * values_P
        steps_P = self._steps_K[places_P] + 1.0
        first_P = 0.9 * self._first_K[places_P] + 0.1 * gradients_P
        second_P = 0.999 * self._second_K[places_P] + 0.001 * gradients_P.square()
        scale_P = (second_P / (1.0 - 0.999**steps_P)).sqrt() + 1e-8
        values_P = values_P - self.lr * first_P / (1.0 - 0.9**steps_P) / scale_P
        if self.low is not None or self.high is not None:
            values_P = values_P.clamp(self.low, self.high)
        self._steps_K[places_P], self._values_K[places_P] = steps_P, values_P
        self._first_K[places_P], self._second_K[places_P] = first_P, second_P

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers and Adam's memory of them, (K,) each."""
        return {
            "values": self._values_K.clone(),
            "first": self._first_K.clone(),
            "second": self._second_K.clone(),
            "steps": self._steps_K.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._values_K, self._first_K = state["values"].clone(), state["first"].clone()
        self._second_K, self._steps_K = state["second"].clone(), state["steps"].clone()


class EpochMeans:
    """Each task's mean loss over the steps of an epoch that taught it, for the last two epochs that did.

    Attributes:
        newer_K: of the last such epoch that has ended, where ``ended_K`` is at least 1.
        older_K: of the one before, where ``ended_K`` is at least 2.
        ended_K: how many such epochs have ended.
    """

    def __init__(self, tasks: int) -> None:
        self._epoch = -1
        self._sums_K, self.newer_K, self.older_K = torch.zeros(3, tasks, dtype=torch.float64).unbind()
        self._counts_K, self.ended_K = torch.zeros(2, tasks, dtype=torch.int64).unbind()

    def begin_step(self, epoch: int) -> Bool[torch.Tensor, K]:
        """Close the epoch before, if ``epoch`` is another one; return for which tasks that gave a new mean."""
        told_K = (self._counts_K > 0) & (epoch != self._epoch)
        if bool(told_K.any()):
            self.older_K = torch.where(told_K, self.newer_K, self.older_K)
            self.newer_K = torch.where(told_K, self._sums_K / self._counts_K.clamp(min=1), self.newer_K)
            self.ended_K = self.ended_K + told_K
            self._sums_K, self._counts_K = torch.zeros_like(self._sums_K), torch.zeros_like(self._counts_K)
        self._epoch = epoch
        return told_K

    def add(self, places_P: Int[torch.Tensor, P], losses_P: Float[torch.Tensor, P]) -> None:
        """Count a step's losses."""
        self._sums_K[places_P] += losses_P
        self._counts_K[places_P] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, and what is known of each task, (K,) each."""
        return {
            "epoch": self._epoch,
            "sums": self._sums_K.clone(),
            "counts": self._counts_K.clone(),
            "newer": self.newer_K.clone(),
            "older": self.older_K.clone(),
            "ended": self.ended_K.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._epoch = state["epoch"]
        self._sums_K, self._counts_K = state["sums"].clone(), state["counts"].clone()
        self.newer_K, self.older_K = state["newer"].clone(), state["older"].clone()
        self.ended_K = state["ended"].clone()
