"""The Gramian with momentum over the steps.

Shapes: K tasks of the recipe, P of them taught by a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class SmoothedGramian:
    """A running mean in which tasks that a step does not teach have a gradient of 0 there.

    So it remains a Gramian of gradients, without negative eigenvalues; each task's length is of the steps that taught
    it.

    Args:
        momentum: how much of it is that of the steps before, from 0 up to 1.
        tasks: K.
    """

    def __init__(self, momentum: float, tasks: int) -> None:
        self._momentum = momentum
        self._gramian_KK = torch.zeros(tasks, tasks, dtype=torch.float64)
        self._presence_K = torch.zeros(tasks, dtype=torch.float64)

    def after(self, gramian_PP: Tensor, at_P: Tensor) -> Tensor:
        """Return it after a step that taught the tasks at these places."""
        if not self._momentum:
            return gramian_PP
        self._gramian_KK *= self._momentum
        self._presence_K *= self._momentum
        self._gramian_KK[at_P[:, None], at_P] += (1 - self._momentum) * gramian_PP
        self._presence_K[at_P] += 1 - self._momentum
        roots_P = self._presence_K[at_P].sqrt()
        return self._gramian_KK[at_P[:, None], at_P] / torch.outer(roots_P, roots_P)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {"gramian": self._gramian_KK.clone(), "presence": self._presence_K.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._gramian_KK, self._presence_K = state["gramian"].clone(), state["presence"].clone()
