"""Conflict-free inverse gradients."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.spectrum import bisector
from descant.lazy import torch


@balancers.register("config")
class ConFig(DirectionBalancer):
    """(Σ g_i·u) u with the unit vector u of alike g_i·u/‖g_i‖: conflict-free inverse gradients (Liu et al. 2024).

    u ∝ U⁺1, U of unit gradients: the direction of IMTL-G, as long as the sum of the gradients' parts along it. It goes
    uphill for no task; opposite gradients give weights of 0, dependent ones the nearest to alike. A task alone gets 1.
    """

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the coefficients of the gradients."""
        lengths_A = gradients.lengths_A / gradients.lengths_A.max()
        shares_A = bisector(gradients.cosines_AA)
        parts_A = gradients.cosines_AA @ shares_A
        square = float(shares_A @ parts_A)
        return shares_A / lengths_A * (lengths_A @ parts_A / square) if square > 0 else shares_A
