"""Gradient normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.memory import EPSILON, LARGEST, Learnt
from descant.balance.options import number_above, number_from
from descant.lazy import torch


@balancers.register("gradnorm")
class GradNorm(DirectionBalancer):
    """Σ w_i g_i, Σ w_i = P, w learnt on Σ |‖w_i g_i‖ − Ḡ r_i^α|, Ḡ the mean of ‖w_i g_i‖ (Chen et al. 2018).

    r_i = (ℓ_i/ℓ_i(0)) / their mean: tasks that fell less get longer gradients; a first loss not above 0 counts as not
    fallen. w = P·softmax(s), so that it stays positive, and the objective is taken over Ḡ, so that it knows no scale;
    neither is in the paper. The direction is a sum. A task alone gets 1.

    Args:
        tasks: names.
        alpha: α; 0 asks for gradients of one length.
        lr: of the Adam that learns s.

    Raises:
        UserError: alpha is below 0, or lr not above it.
    """

    positive = True
    needs = "the lengths of the gradients, and the losses"

    def __init__(self, tasks: Sequence[str], alpha: float = 1.5, lr: float = 0.025) -> None:
        super().__init__(tasks)
        self.alpha = number_from("gradnorm", "alpha", alpha, 0.0)
        self._logits = Learnt(len(self.tasks), number_above("gradnorm", "lr", lr, 0.0))
        self._first_losses_K = torch.full((len(self.tasks),), math.nan, dtype=torch.float64)

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return w, then make a step of s."""
        places_A, losses_A = gradients.places_A, gradients.losses_A
        first_A = self._first_losses_K[places_A]
        first_A = self._first_losses_K[places_A] = torch.where(first_A.isnan(), losses_A, first_A)
        shares_A = torch.softmax(self._logits.at(places_A), 0)
        lengths_A = shares_A * (gradients.lengths_A / gradients.lengths_A.max())
        lengths_A = lengths_A / lengths_A.mean()
        fallen_A = torch.where(first_A > 0, losses_A / first_A, 1).clamp(EPSILON, LARGEST)
        wanted_A = (fallen_A / fallen_A.mean()) ** self.alpha
        slopes_A = (lengths_A - wanted_A).sign() * lengths_A
        self._logits.step(places_A, slopes_A - shares_A * slopes_A.sum())
        return shares_A * len(shares_A)

    def state_dict(self) -> dict[str, Any]:
        """Return s, Adam's memory, and each task's first loss, NaN where there was none."""
        return {"first_losses": self._first_losses_K.clone(), **self._logits.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._first_losses_K = state["first_losses"].clone()
        self._logits.load_state_dict(state)
