"""Multi-task learning as a bargaining game."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.bargaining import RIDGE, bargained
from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.options import number_above
from descant.balance.quadratic import definite
from descant.lazy import torch


@balancers.register("nash_mtl")
class NashMtl(DirectionBalancer):
    """Gα = 1/α, α > 0: Nash's bargaining, the same direction for all scales of the losses (Navon et al. 2022).

    The direction is as long as √P, however short the gradients are: P tasks at a right angle add their unit gradients.
    It goes uphill for no task. Solved between unit gradients, so that their lengths neither matter nor cost digits; of
    gradients that cancel out, for which there is no α, each gets at most some 1e5/‖g_i‖. A task alone gets 1/‖g‖.

    Args:
        tasks: names.
        max_norm: a longer direction is shortened to this; the authors' program has 1. None leaves it as it is.

    Raises:
        UserError: max_norm is not above 0.
    """

    def __init__(self, tasks: Sequence[str], max_norm: float | None = None) -> None:
        super().__init__(tasks)
        self.max_norm = None if max_norm is None else number_above("nash_mtl", "max_norm", max_norm, 0.0)

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return α."""
        count = len(gradients.lengths_A)
        weights_A = bargained(definite(gradients.cosines_AA, RIDGE), torch.ones_like(gradients.lengths_A), 1.0)
        if self.max_norm is not None:
            weights_A = weights_A * min(1.0, self.max_norm / count**0.5)
        return weights_A / gradients.lengths_A
