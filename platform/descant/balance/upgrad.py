"""Unconflicting projection of gradients."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.quadratic import definite, nonnegative
from descant.lazy import torch


@balancers.register("upgrad")
class UpGrad(DirectionBalancer):
    """mean of π(g_i), π the projection onto the dual cone {d: d·g_j ≥ 0 for all j} (Quinton & Rey 2024).

    π(g_i) = Σ v_j g_j with v = argmin vᵀGv, v ≥ e_i. The direction is a mean: without conflicts that of the gradients.
    It goes uphill for no task. A task alone gets 1.
    """

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the mean of the projections' coefficients."""
        lengths_A, cosines_AA = gradients.lengths_A, gradients.cosines_AA
        if not (cosines_AA < 0).any():
            return torch.full_like(lengths_A, 1 / len(lengths_A))
        # Of unit vectors: the cone does not know lengths, so neither does a projection onto it.
        extra_AA = nonnegative(definite(cosines_AA), -cosines_AA)
        return (lengths_A @ extra_AA / lengths_A + 1) / len(lengths_A)
