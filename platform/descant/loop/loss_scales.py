"""Losses in proportion: each by its own size, before tasks are weighed against each other.

Shapes: K tasks of the recipe, P of them taught by a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

LEAST = 1e-8
"""A loss below counts as this; a first loss below is none yet."""


class LossScales:
    """What each task's loss is multiplied by, and what it then is.

    Args:
        how: 1/ℓ, which is the slope of log ℓ (``log``); 1 over the first loss (``initial``) or over the mean of all
            so far (``mean``); None: 1.
        tasks: K.
    """

    def __init__(self, how: Literal["log", "initial", "mean"] | None, tasks: int) -> None:
        self.how = how
        self._first_K = torch.full((tasks,), torch.nan, dtype=torch.float64)
        self._sums_2K = torch.zeros(2, tasks, dtype=torch.float64)  # of losses, and of steps

    def at(self, means_K: Tensor, at_P: Tensor) -> Tensor:
        """Return the factors at a step, (K,), which counts from now on; 1 for tasks that it does not teach.

        Args:
            means_K: the mean losses of the global batch, float64.
            at_P: the places of the tasks that the step teaches.
        """
        sizes_P = means_K[at_P].abs()
        is_first_P = self._first_K[at_P].isnan() & (sizes_P >= LEAST)
        self._first_K[at_P] = torch.where(is_first_P, sizes_P, self._first_K[at_P])
        self._sums_2K[:, at_P] += torch.stack([sizes_P, torch.ones_like(sizes_P)])
        scales_K = torch.ones_like(means_K)
        scales_K[at_P] = 1 / (sizes_P.clamp(min=LEAST) if self.how == "log" else self._sizes()[at_P])
        return scales_K

    def normalised(self, means_K: Tensor) -> Tensor:
        """Return losses as the balancer sees them, (K,), by what is known so far."""
        if self.how is None:
            return means_K
        return means_K.clamp(min=LEAST).log() if self.how == "log" else means_K / self._sizes()

    def _sizes(self) -> Tensor:
        """Return what losses are divided by, (K,); 1 where nothing is known."""
        means_K = (self._sums_2K[0] / self._sums_2K[1]).clamp(min=LEAST)
        return (self._first_K if self.how == "initial" else means_K).nan_to_num(1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {"first": self._first_K.clone(), "sums": self._sums_2K.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._first_K, self._sums_2K = state["first"].clone(), state["sums"].clone()
