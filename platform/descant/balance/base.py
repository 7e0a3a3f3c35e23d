"""The balance contract: what multiplies each task's loss at each step, beyond the recipe's own weights.

Shapes: K tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from jaxtyping import Float

from descant.lazy import torch
from descant.registry import Registry


class LossBalancer:
    """Decides the weights from the losses alone, so that a step costs one backward pass.

    A method whose objective L is not a weighted sum gives its gradient ∂L/∂ℓ_i as the weight of task i.

    Args:
        tasks: the tasks' names, in the order of all K vectors.
    """

    needs: ClassVar[str] = "the losses"
    """What the decision takes, for ``descant balancers``."""
    reads_losses: ClassVar[bool] = True
    """Whether ``weights`` looks at its argument; if not, no step waits for the losses of other ranks."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tuple(tasks)

    def weights(self, losses_K: Float[torch.Tensor, K]) -> Float[torch.Tensor, K]:
        """Return the weight of each task, once a step.

        Args:
            losses_K: each task's mean over the labels of the global batch (0 where there is none): the same on all
                ranks, without gradient.
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step: plain values and tensors, in dicts and lists."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""


balancers: Registry[LossBalancer] = Registry("balancer", "balancers")
