"""Projecting conflicting gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float, Int

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.lazy import torch

if TYPE_CHECKING:
    from torch import Generator


@balancers.register("pcgrad")
class PcGrad(DirectionBalancer):
    """Σ g_i, each less its part along every g_j that it conflicts with, j in random order (Yu et al. 2020).

    g_i ← g_i − (g_i·g_j/‖g_j‖²) g_j where g_i·g_j < 0, for all j ≠ i one after another. The direction is a sum: without
    conflicts that of the gradients. Two tasks: goes uphill for neither; more: may. A task alone gets 1.
    """

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the sums of the coefficients of all projected gradients."""
        lengths_A, cosines_AA = gradients.lengths_A, gradients.cosines_AA
        if not (cosines_AA < 0).any():
            return torch.ones_like(lengths_A)
        # Row i is task i's gradient as a sum of unit gradients, for all tasks at once; lengths come back at the end.
        rows_AA = torch.eye(len(lengths_A), dtype=lengths_A.dtype)
        for other_A1 in other_orders(len(lengths_A), gradients.generator):
            along_A1 = (rows_AA * cosines_AA[other_A1[:, 0]]).sum(1, keepdim=True)
            rows_AA.scatter_add_(1, other_A1, -along_A1.clamp(max=0))
        return lengths_A @ rows_AA / lengths_A


def other_orders(count: int, generator: Generator) -> Int[torch.Tensor, "others count 1"]:
    """Return for each of ``count`` tasks the others in a random order of its own."""
    keys_AA = torch.rand((count, count), generator=generator).fill_diagonal_(2)
    return keys_AA.argsort(1)[:, :-1].T[:, :, None]
