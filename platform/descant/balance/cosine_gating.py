"""Auxiliary tasks gated by the cosine of their gradient and the main task's."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.lazy import torch


@balancers.register("cosine_gating")
class CosineGating(DirectionBalancer):
    """g_main + Σ max(0, cos(g_main, g_i)) g_i: auxiliary tasks that pull the main task's way (Du et al. 2018).

    Unweighted, all of an auxiliary gradient where the cosine is above 0. The direction is a sum, and never uphill for
    the main task, which has the weight 1.

    Args:
        tasks: names, main first.
        weighted: by the cosine.
    """

    main_first = True
    needs_angles = True

    def __init__(self, tasks: Sequence[str], weighted: bool = True) -> None:
        super().__init__(tasks)
        self.weighted = weighted

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the gates."""
        assert gradients.main is not None
        cosines_A = gradients.cosines_AA[gradients.main]
        return cosines_A.clamp(min=0) if self.weighted else (cosines_A > 0).to(cosines_A)
