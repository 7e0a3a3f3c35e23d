"""Weights by excess risk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import Direction, GradientBalancer, Signals, balancers
from descant.balance.memory import LARGEST
from descant.balance.options import number_above
from descant.balance.tracked import Tracked, combined
from descant.lazy import torch

_EPSILON = 1e-7  # as the authors' program has it


@balancers.register("excess_mtl")
class ExcessMtl(GradientBalancer):
    """w_i ∝ w_i·exp(η E_i), Σ w_i = P: tasks that are far from their optimum weigh more: ExcessMTL (He et al. 2024).

    E_i = g_iᵀ H_i^{-1} g_i over its first value, H_i = √(Σ g_i² over the steps), entry by entry: how far a loss lies
    above the least that it can become, whatever noise is in its labels. A task's first step leaves its weight.

    Args:
        tasks: names.
        eta: η.

    Raises:
        UserError: eta is not above 0.
    """

    needs = "the gradients, of all steps"

    def __init__(self, tasks: Sequence[str], eta: float = 0.01) -> None:
        super().__init__(tasks)
        self.eta = number_above("excess_mtl", "eta", eta, 0.0)
        self._squares = Tracked(len(self.tasks))
        self._first_K = torch.full((len(self.tasks),), math.nan, dtype=torch.float64)
        self._logits_K = torch.zeros(len(self.tasks), dtype=torch.float64)

    def direction(self, signals: Signals, gradients: Mapping[str, Float[torch.Tensor, "P ..."]]) -> Direction:
        """Return Σ w_i g_i after a step of w."""
        places_P = signals.places_P
        squares = self._squares.update(places_P, gradients, lambda before, now: before + now.square())
        excess_P = torch.zeros_like(signals.losses_P)
        for name, gradient in gradients.items():
            scaled = gradient.square() / (squares[name] + _EPSILON).sqrt()
            excess_P += scaled.flatten(1).sum(1).to(excess_P)
        first_P = self._first_K[places_P]
        is_known_P = first_P > 0
        risen_P = torch.where(is_known_P, excess_P / first_P, 0.0).clamp(max=LARGEST)
        self._first_K[places_P] = torch.where(is_known_P, first_P, excess_P)
        self._logits_K[places_P] += self.eta * risen_P
        self._logits_K -= self._logits_K.max()
        weights_P = torch.softmax(self._logits_K[places_P], 0) * len(places_P)
        return Direction(combined(weights_P, gradients), weights_P)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums of squares, the first excess risks, NaN where there was none, and log w up to a constant."""
        return {
            "squares": self._squares.state_dict(),
            "first": self._first_K.clone(),
            "logits": self._logits_K.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._squares.load_state_dict(state["squares"])
        self._first_K, self._logits_K = state["first"].clone(), state["logits"].clone()
