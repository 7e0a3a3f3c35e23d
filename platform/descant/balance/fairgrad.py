"""Fair resource allocation between tasks."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.bargaining import RIDGE, bargained
from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.options import number_within
from descant.balance.quadratic import definite
from descant.lazy import torch


@balancers.register("fairgrad")
class FairGrad(DirectionBalancer):
    """Gw = w^(−1/α), w > 0: α-fair shares of the step, more even with larger α (Ban & Ji 2024).

    α = 1 is Nash-MTL. Gradients s times as long give a direction s^((α − 1)/(α + 1)) times as long. It goes uphill for
    no task. A task alone gets ‖g‖^(−2α/(α + 1)).

    Args:
        tasks: names.
        alpha: α.

    Raises:
        UserError: alpha is not from 0.5 to 10.
    """

    def __init__(self, tasks: Sequence[str], alpha: float = 2.0) -> None:
        super().__init__(tasks)
        self.alpha = number_within("fairgrad", "alpha", alpha, 0.5, 10.0)

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return w."""
        power = 1 / self.alpha
        longest = gradients.lengths_A.max()
        lengths_A = gradients.lengths_A / longest
        # Between unit gradients: Cy = ‖g‖^(1/α − 1) y^(−1/α) with y = w‖g‖.
        shares_A = bargained(definite(gradients.cosines_AA, RIDGE), lengths_A ** (power - 1), power)
        return shares_A / lengths_A * longest ** (-2 / (1 + power))
