"""Fixed or scheduled weights: what the recipe's ``tasks.<name>.weight`` says, and nothing more."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.lazy import torch


@balancers.register("static")
class Static(LossBalancer):
    """Σ w_i ℓ_i with the recipe's weights: hard to beat when they are tuned (Xin et al. 2022)."""

    needs = "nothing"
    reads_losses = False

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return ones."""
        return torch.ones_like(signals.losses_P)
