"""Scale-invariant weights: every loss is worth the same, whatever its unit."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON, LARGEST
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("si")
class Si(LossBalancer):
    """Σ log ℓ_i, weights 1/ℓ_i: scale invariant, of equal magnitude (Navon et al. 2022, baseline SI).

    A loss below ``epsilon``, 0 or negative counts as ``epsilon``; no weight is above 1e30.

    Args:
        tasks: names.
        epsilon: the lowest loss that counts as it is.

    Raises:
        UserError: epsilon is not above 0.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], epsilon: float = EPSILON) -> None:
        super().__init__(tasks)
        self._epsilon = number_above("si", "epsilon", epsilon, 0.0)

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the losses' inverses."""
        return signals.losses_P.clamp(min=self._epsilon).reciprocal().clamp(max=LARGEST)
