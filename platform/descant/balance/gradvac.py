"""Gradient vaccine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.options import number_within
from descant.balance.pcgrad import other_orders
from descant.lazy import torch

_MOST = 0.999  # a cosine of 1 asks for an infinite share


@balancers.register("gradvac")
class GradVac(DirectionBalancer):
    """Σ g_i, each turned to the mean cosine φ̂_ij it so far had with every g_j, j in random order (Wang et al. 2021).

    Where φ = cos(g_i, g_j) < φ̂: g_i ← g_i + ‖g_i‖ (φ̂√(1−φ²) − φ√(1−φ̂²)) / (‖g_j‖√(1−φ̂²)) g_j. Then
    φ̂ ← (1 − β)φ̂ + βφ, from 0 and between ±0.999. The direction is a sum, and may go uphill for a task. A task alone
    gets 1.

    Args:
        tasks: names.
        beta: β.

    Raises:
        UserError: beta is not from 0 to 1.
    """

    def __init__(self, tasks: Sequence[str], beta: float = 0.01) -> None:
        super().__init__(tasks)
        self.beta = number_within("gradvac", "beta", beta, 0.0, 1.0)
        self._targets_KK = torch.zeros((len(self.tasks), len(self.tasks)), dtype=torch.float64)

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the sums of the coefficients of all turned gradients, then move the targets."""
        lengths_A, cosines_AA, places_A = gradients.lengths_A, gradients.cosines_AA, gradients.places_A
        targets_AA = self._targets_KK[places_A[:, None], places_A]
        # Row i is task i's gradient as a sum of unit gradients, for all tasks at once; lengths come back at the end.
        rows_AA = torch.eye(len(lengths_A), dtype=lengths_A.dtype)
        squares_A1 = torch.ones_like(lengths_A)[:, None]
        seen_AA = targets_AA.clone()
        for other_A1 in other_orders(len(lengths_A), gradients.generator):
            along_A1 = (rows_AA * cosines_AA[other_A1[:, 0]]).sum(1, keepdim=True)
            across_A1 = (squares_A1 - along_A1.square()).clamp(min=0).sqrt()
            target_A1 = targets_AA.gather(1, other_A1)
            # ‖g_i‖ times sine over sine is the length across g_j, times the target's cotangent.
            share_A1 = across_A1 * target_A1 / (1 - target_A1.square()).sqrt() - along_A1
            cosine_A1 = (along_A1 / squares_A1.sqrt().clamp(min=1e-150)).clamp(-1, 1)
            share_A1 = torch.where(cosine_A1 < target_A1, share_A1, 0)
            rows_AA.scatter_add_(1, other_A1, share_A1)
            seen_AA.scatter_(1, other_A1, cosine_A1)
            squares_A1 = across_A1.square() + (along_A1 + share_A1).square()
        moved_AA = torch.lerp(targets_AA, seen_AA, self.beta).clamp(-_MOST, _MOST)
        self._targets_KK[places_A[:, None], places_A] = moved_AA
        return lengths_A @ rows_AA / lengths_A

    def state_dict(self) -> dict[str, Any]:
        """Return φ̂, (K, K)."""
        return {"targets": self._targets_KK.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._targets_KK = state["targets"].clone()
