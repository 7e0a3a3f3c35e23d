"""The gradient part of impartial multi-task learning."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.spectrum import bisector
from descant.lazy import torch

_LEAST = 0.01  # of Σ |α|: the sum by which the weights are divided


@balancers.register("imtl_g")
class ImtlG(DirectionBalancer):
    """d·g_i/‖g_i‖ alike for all i, Σ α_i = 1: impartial gradient balance IMTL-G (Liu et al. 2021).

    The direction is a mean; its weights may be negative. It goes uphill for no task: where Σ α_i comes out negative it
    is divided by its size, and never by less than 1 % of Σ |α_i|. Opposite gradients give weights of 0, dependent ones
    the nearest to alike. A task alone gets 1.
    """

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return α."""
        return impartial(gradients, torch.zeros_like(gradients.lengths_A))


def impartial(gradients: Gradients, log_scales_A: Float[torch.Tensor, A]) -> Float[torch.Tensor, A]:
    """Return the weights of gradients g_i that IMTL-G gives the gradients e^s_i·g_i, times e^s_i."""
    weights_A = bisector(gradients.cosines_AA) * (gradients.lengths_A.min() / gradients.lengths_A)
    shares_A = weights_A * (log_scales_A.min() - log_scales_A).exp()
    total = max(abs(float(shares_A.sum())), _LEAST * float(shares_A.abs().sum()))
    return weights_A / total * log_scales_A.min().exp() if total > 0 else weights_A
