"""Online learning of auxiliary tasks' weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.options import number_above, number_from, whole_from
from descant.lazy import torch


@balancers.register("ol_aux")
class OlAux(DirectionBalancer):
    """g_main + Σ w_i g_i; every N steps w_i ← w_i + β Σ g_main·g_i over them, from 1: OL-AUX (Lin et al. 2019).

    β goes with the square of the losses' scale, and holds the learning rate that the paper's rule has as a factor. w is
    kept from 0, as a task is not to be unlearnt, to ``limit``. The direction is a sum; the main task's weight is 1.

    Args:
        tasks: names, main first.
        beta: β.
        horizon: N, of steps that teach the main task.
        limit: the largest weight.

    Raises:
        UserError: beta is below 0, horizon below 1, or limit not above 0.
    """

    main_first = True
    needs_angles = True

    def __init__(self, tasks: Sequence[str], beta: float = 1.0, horizon: int = 5, limit: float = 10.0) -> None:
        super().__init__(tasks)
        self.beta = number_from("ol_aux", "beta", beta, 0.0)
        self.horizon = whole_from("ol_aux", "horizon", horizon, 1)
        self.limit = number_above("ol_aux", "limit", limit, 0.0)
        self._weights_K = torch.ones(len(self.tasks), dtype=torch.float64).clamp(max=self.limit)
        self._sums_K = torch.zeros_like(self._weights_K)
        self._steps = 0

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return w, then count this step's inner products."""
        main, places_A = gradients.main, gradients.places_A
        assert main is not None
        weights_A = self._weights_K[places_A]
        weights_A[main] = 1
        self._sums_K[places_A] += gradients.cosines_AA[main] * gradients.lengths_A * gradients.lengths_A[main]
        self._steps += 1
        if self._steps == self.horizon:
            self._weights_K = (self._weights_K + self.beta * self._sums_K).clamp(0, self.limit)
            self._sums_K, self._steps = torch.zeros_like(self._sums_K), 0
        return weights_A

    def state_dict(self) -> dict[str, Any]:
        """Return w, the sums of inner products since it moved, and the steps they are of."""
        return {"weights": self._weights_K.clone(), "sums": self._sums_K.clone(), "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._weights_K, self._sums_K = state["weights"].clone(), state["sums"].clone()
        self._steps = state["steps"]
