"""Auxiliary gradients as long as the main task's."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.options import number_from
from descant.lazy import torch


@balancers.register("magnitude_matching")
class MagnitudeMatching(DirectionBalancer):
    """g_main + Σ f‖g_main‖/‖g_i‖ g_i: auxiliary gradients as long as the main task's, as MetaBalance (He et al. 2022).

    By the lengths of this step, without MetaBalance's running means. The direction is a sum; the main task's weight is
    1.

    Args:
        tasks: names, main first.
        factor: f, the auxiliary gradients' length over the main one's.

    Raises:
        UserError: factor is below 0.
    """

    main_first = True

    def __init__(self, tasks: Sequence[str], factor: float = 1.0) -> None:
        super().__init__(tasks)
        self.factor = number_from("magnitude_matching", "factor", factor, 0.0)

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the ratios of the lengths, times the factor."""
        main, lengths_A = gradients.main, gradients.lengths_A
        assert main is not None
        weights_A = self.factor * (lengths_A[main] / lengths_A)
        weights_A[main] = 1
        return weights_A
