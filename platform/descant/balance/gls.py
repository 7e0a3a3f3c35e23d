"""Geometric loss strategy: the geometric mean of the losses."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON, LARGEST, log_losses
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("gls")
class Gls(LossBalancer):
    """(Π ℓ_i)^{1/K}, in the log domain: geometric loss strategy (Chennupati et al. 2019).

    The weights are its gradient (Π ℓ_j)^{1/K} / (K ℓ_i). A loss below ``epsilon``, 0 or negative counts as
    ``epsilon``; no weight is above 1e30.

    Args:
        tasks: names.
        epsilon: the lowest loss that counts as it is.

    Raises:
        UserError: epsilon is not above 0.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], epsilon: float = EPSILON) -> None:
        super().__init__(tasks)
        self._epsilon = number_above("gls", "epsilon", epsilon, 0.0)

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the gradient of the geometric mean."""
        logs_P = log_losses(signals.losses_P, self._epsilon)
        return (logs_P.mean() - logs_P).exp().div(len(logs_P)).clamp(max=LARGEST)
