"""The balance contract: what multiplies each task's loss at each step, beyond the recipe's own weights.

Shapes: K tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.lazy import torch
from descant.registry import Registry


class LossBalancer:
    """Decides the weights from the losses alone, so that a step costs one backward pass.

    A method whose objective L is not a weighted sum gives its gradient ∂L/∂ℓ_i as the weight of task i.

    Args:
        tasks: the tasks' names, in the order of all K vectors.
    """

    needs = "the losses"

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tuple(tasks)

    def weights(self, losses_K: Float[torch.Tensor, K]) -> Float[torch.Tensor, K]:
        """Return the weight of each task, from losses that are the same on all ranks and carry no gradient."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""


balancers: Registry[LossBalancer] = Registry("balancer", "balancers")
