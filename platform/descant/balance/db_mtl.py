"""Dual balancing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import Direction, GradientBalancer, Signals, balancers
from descant.balance.options import number_from
from descant.balance.tracked import Tracked, combined, inner_products
from descant.lazy import torch


@balancers.register("db_mtl")
class DbMtl(GradientBalancer):
    """Σ (max_j ‖ĝ_j‖/‖ĝ_i‖) ĝ_i, ĝ the running mean of the gradients of log ℓ: DB-MTL (Lin et al. 2023).

    ĝ ← β_t ĝ + (1 − β_t) g, from 0, with β_t = β/t^σ at a task's t-th step. Heads learn of log ℓ too.

    Args:
        tasks: names.
        beta: β.
        sigma: σ; 0 keeps β.

    Raises:
        UserError: beta is not from 0 up to 1, or sigma below 0.
    """

    positive = True
    log_losses = True
    needs = "the gradients, of many steps"

    def __init__(self, tasks: Sequence[str], beta: float = 0.9, sigma: float = 0.0) -> None:
        super().__init__(tasks)
        self.beta = number_from("db_mtl", "beta", beta, 0.0, below=1.0)
        self.sigma = number_from("db_mtl", "sigma", sigma, 0.0)
        self._means, self._steps_K = Tracked(len(self.tasks)), torch.zeros(len(self.tasks), dtype=torch.int64)

    def direction(self, signals: Signals, gradients: Mapping[str, Float[torch.Tensor, "P ..."]]) -> Direction:
        """Return the sum of gradients of one length."""
        self._steps_K[signals.places_P] += 1
        betas_P = self.beta / self._steps_K[signals.places_P].double() ** self.sigma

        def mean(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
            return now + betas_P.to(now).reshape(-1, *[1] * (now.ndim - 1)) * (before - now)

        means = self._means.update(signals.places_P, gradients, mean)
        lengths_P = inner_products(means).diagonal().sqrt()
        weights_P = torch.where(lengths_P > 0, lengths_P.max() / lengths_P, 1.0)
        return Direction(combined(weights_P, means), weights_P)

    def state_dict(self) -> dict[str, Any]:
        """Return ĝ and t."""
        return {"means": self._means.state_dict(), "steps": self._steps_K.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._means.load_state_dict(state["means"])
        self._steps_K = state["steps"].clone()
