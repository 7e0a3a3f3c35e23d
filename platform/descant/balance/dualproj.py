"""Projection of the mean gradient."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.quadratic import definite, nonnegative
from descant.lazy import torch


@balancers.register("dualproj")
class DualProj(DirectionBalancer):
    """π(mean of g_i), π the projection onto the dual cone {d: d·g_j ≥ 0 for all j} (Lopez-Paz & Ranzato 2017).

    α = argmin vᵀGv, v ≥ 1/P. The direction is a mean: without conflicts that of the gradients. It goes uphill for no
    task. A task alone gets 1.
    """

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the projection's coefficients."""
        lengths_A = gradients.lengths_A / gradients.lengths_A.max()
        falls_A = gradients.cosines_AA @ lengths_A
        mean_A = torch.full_like(lengths_A, 1 / len(lengths_A))
        if (falls_A >= 0).all():
            return mean_A
        extra_A = nonnegative(definite(gradients.cosines_AA), -falls_A[None])[0]
        return mean_A * (1 + extra_A / lengths_A)
