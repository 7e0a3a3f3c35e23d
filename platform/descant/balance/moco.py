"""Multi-objective gradient correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import Direction, GradientBalancer, Signals, balancers
from descant.balance.options import number_above, number_from, number_within
from descant.balance.tracked import Tracked, combined, inner_products
from descant.lazy import torch


@balancers.register("moco")
class MoCo(GradientBalancer):
    """Σ λ_i y_i, y ← y + β(g − y), λ a step towards min ‖Σ λ_i y_i‖ at a time: MoCo (Fernando et al. 2023).

    λ ← the point of the simplex next to λ − γ(YᵀY + ρI)λ. y begins at 0, λ with equal shares; the tasks that a step
    teaches share what they have.

    Args:
        tasks: names.
        beta: β.
        gamma: γ; it goes with the inverse square of the losses' scale.
        rho: ρ.

    Raises:
        UserError: beta is not above 0 and at most 1, gamma not above 0, or rho below 0.
    """

    needs = "the gradients, of many steps"

    def __init__(self, tasks: Sequence[str], beta: float = 0.1, gamma: float = 0.1, rho: float = 0.1) -> None:
        super().__init__(tasks)
        self.beta = number_above("moco", "beta", number_within("moco", "beta", beta, 0.0, 1.0), 0.0)
        self.gamma = number_above("moco", "gamma", gamma, 0.0)
        self.rho = number_from("moco", "rho", rho, 0.0)
        self._tracked = Tracked(len(self.tasks))
        self._shares_K = torch.full((len(self.tasks),), 1 / len(self.tasks), dtype=torch.float64)

    def direction(self, signals: Signals, gradients: Mapping[str, Float[torch.Tensor, "P ..."]]) -> Direction:
        """Return Σ λ_i y_i after a step of y and one of λ."""
        places_P = signals.places_P
        tracked = self._tracked.update(places_P, gradients, lambda before, now: before + self.beta * (now - before))
        own = float(self._shares_K[places_P].sum())
        shares_P = self._shares_K[places_P] / own if own > 0 else torch.full_like(signals.losses_P, 1 / len(places_P))
        slopes_P = inner_products(tracked) @ shares_P + self.rho * shares_P
        shares_P = on_simplex(shares_P - self.gamma * slopes_P)
        self._shares_K[places_P] = shares_P * (own if own > 0 else len(places_P) / len(self.tasks))
        return Direction(combined(shares_P, tracked), shares_P)

    def state_dict(self) -> dict[str, Any]:
        """Return y and λ."""
        return {"tracked": self._tracked.state_dict(), "shares": self._shares_K.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._tracked.load_state_dict(state["tracked"])
        self._shares_K = state["shares"].clone()


def on_simplex(point_P: Float[torch.Tensor, P]) -> Float[torch.Tensor, P]:
    """Return the nearest point with entries from 0 that sum to 1 (Held, Wolfe & Crowder 1974)."""
    sorted_P = point_P.sort(descending=True).values
    above_P = (sorted_P.cumsum(0) - 1) / torch.arange(1, len(point_P) + 1, dtype=point_P.dtype)
    last = int((sorted_P > above_P).nonzero()[-1])
    return (point_P - above_P[last]).clamp(min=0)
