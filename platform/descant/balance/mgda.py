"""The multiple-gradient descent algorithm."""

from __future__ import annotations

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.quadratic import definite, nonnegative
from descant.lazy import torch


@balancers.register("mgda")
class Mgda(DirectionBalancer):
    """min ‖Σ α_i g_i‖ with Σ α_i = 1, α ≥ 0: the shortest mean of the gradients (Désidéri 2012; Sener & Koltun 2018).

    The direction is a mean, no longer than the shortest gradient, and goes uphill for no task. Two tasks by the closed
    form, more by a quadratic programme, which the shortest gradient scales: with Q = G + c·11ᵀ and c = min ‖g_i‖², the
    minimum of ½ xᵀQx − Σ x_i over x ≥ 0 is α times a number that lies within a factor of two. A task alone gets 1.
    """

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return α."""
        lengths_A = gradients.lengths_A / gradients.lengths_A.max()
        if len(lengths_A) == 2:
            return _pair(lengths_A, float(gradients.cosines_AA[0, 1]))
        inverse_A = lengths_A.min() / lengths_A
        quadratic_AA = definite(gradients.cosines_AA) + inverse_A * inverse_A[:, None]
        weights_A = nonnegative(quadratic_AA, inverse_A[None])[0] * inverse_A
        return weights_A / weights_A.sum()


def _pair(lengths_2: Float[torch.Tensor, two], cosine: float) -> Float[torch.Tensor, two]:
    """Return the shortest point of the line between two gradients."""
    first, second = lengths_2.tolist()
    apart = first * first + second * second - 2 * first * second * cosine
    share = (second * second - first * second * cosine) / apart if apart > 0 else 0.5
    share = min(max(share, 0.0), 1.0)
    return lengths_2.new_tensor([share, 1 - share])
