"""Auxiliary gradients without what is against the main task."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.lazy import torch


@balancers.register("main_projection")
class MainProjection(DirectionBalancer):
    """g_main + Σ g_i, each projected onto {d: d·g_main ≥ 0}, as A-GEM does with old tasks' (Chaudhry et al. 2019).

    g_i ← g_i − min(0, g_i·g_main)/‖g_main‖² g_main, so that auxiliary tasks have the weight 1 and the main one 1 or
    more. The direction is a sum, and at least as far downhill for the main task as its own gradient.
    """

    main_first = True
    needs_angles = True

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return ones, and for the main task what makes up for the parts that are taken away."""
        main, lengths_A = gradients.main, gradients.lengths_A
        assert main is not None
        weights_A = torch.ones_like(lengths_A)
        weights_A[main] -= (gradients.cosines_AA[main].clamp(max=0) * lengths_A / lengths_A[main]).sum()
        return weights_A
