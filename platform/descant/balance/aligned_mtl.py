"""Independent component alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.spectrum import spectrum
from descant.lazy import torch


@balancers.register("aligned_mtl")
class AlignedMtl(DirectionBalancer):
    """α = √λ V Λ^(−1/2) Vᵀ 1/P, G = V Λ Vᵀ: gradients turned orthogonal and alike long (Senushkin et al. 2023).

    The direction is a mean of gradients, its length set by λ. It may go uphill for a task, as Gα ∝ √G 1 may have
    negative entries. A task alone gets 1.

    Args:
        tasks: names.
        scale: λ is the least (min), the median or the mean (rmse) of the eigenvalues that are not 0.
    """

    def __init__(self, tasks: Sequence[str], scale: Literal["min", "median", "rmse"] = "min") -> None:
        super().__init__(tasks)
        self.scale = scale

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return α."""
        lengths_A = gradients.lengths_A / gradients.lengths_A.max()
        values_R, vectors_AR = spectrum(gradients.cosines_AA * lengths_A * lengths_A[:, None])
        scale = {"min": values_R[0], "median": values_R.median(), "rmse": values_R.mean()}[self.scale]
        return vectors_AR @ ((scale / values_R).sqrt() * vectors_AR.mean(0))
