"""Conflict-averse gradient descent."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.options import number_from
from descant.balance.quadratic import definite, nonnegative
from descant.lazy import torch

_RIDGE = 1e-8  # where no direction serves all tasks, weights of tasks that cancel out end at 1e4 times the mean's
_STEPS = 60  # of Newton's method, which takes some six
_CLOSE = 1e-7  # of the radius


@balancers.register("cagrad")
class CaGrad(DirectionBalancer):
    """max over d of min g_i·d, ‖d − g_0‖ ≤ c‖g_0‖, g_0 the mean of the gradients (Liu et al. 2021).

    d = g_0 + c‖g_0‖/‖g_w‖ g_w with g_w = Σ w_i g_i of least g_w·g_0 + c‖g_0‖‖g_w‖ over the simplex. The direction is a
    mean, up to 1 + c times as long; only with c ≥ 1 it goes uphill for no task. A task alone gets 1 + c.

    Args:
        tasks: names.
        c: how far d may be from g_0.
        rescale: divide d by 1 + c², as the authors' program does; learning rates then do not transfer.

    Raises:
        UserError: c is below 0.
    """

    def __init__(self, tasks: Sequence[str], c: float = 0.4, rescale: bool = False) -> None:
        super().__init__(tasks)
        self.c = number_from("cagrad", "c", c, 0.0)
        self.rescale = rescale

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return 1/P + c‖g_0‖/‖g_w‖ w."""
        lengths_A = gradients.lengths_A / gradients.lengths_A.max()
        cosines_AA = gradients.cosines_AA
        mean_A = torch.full_like(lengths_A, 1 / len(lengths_A))
        falls_A = cosines_AA @ (mean_A * lengths_A)
        radius = self.c * math.sqrt(max(float(mean_A * lengths_A @ falls_A), 0.0))
        weights_A = mean_A
        if radius > 0:
            solve = _pair if len(lengths_A) == 2 else _moved
            weights_A = mean_A + solve(lengths_A, cosines_AA, falls_A, radius) / lengths_A
        return weights_A / (1 + self.c**2) if self.rescale else weights_A


def _pair(
    lengths_2: Float[torch.Tensor, two],
    cosines_22: Float[torch.Tensor, "two two"],
    falls_2: Float[torch.Tensor, two],
    radius: float,
) -> Float[torch.Tensor, two]:
    """Return what ``_moved`` does for two tasks: on the line g_2 + w(g_1 − g_2) the minimum has a closed form."""
    # The ridge is as if each gradient had a small part that no other one has.
    (first, second), longer = lengths_2.tolist(), 1 + _RIDGE
    cosine = float(cosines_22[0, 1])
    square, inner = second * second * longer, first * second * cosine
    apart = math.sqrt(first * first * longer + square - 2 * inner)
    nearest = (square - inner) / apart  # along the line, where it is nearest to 0
    least = first * second * math.sqrt((longer - cosine) * (longer + cosine)) / apart
    slope = (first * float(falls_2[0]) - second * float(falls_2[1])) / (radius * apart)
    along = math.copysign(math.inf, -slope) if abs(slope) >= 1 else -slope * least / math.sqrt(1 - slope * slope)
    share = min(max((nearest + along) / apart, 0.0), 1.0)
    return lengths_2 * lengths_2.new_tensor([share, 1 - share]) * (radius / math.hypot(share * apart - nearest, least))


def _moved(
    lengths_A: Float[torch.Tensor, A],
    cosines_AA: Float[torch.Tensor, "A A"],
    falls_A: Float[torch.Tensor, A],
    radius: float,
) -> Float[torch.Tensor, A]:
    """Return y with d = g_0 + Σ y_i g_i/‖g_i‖.

    The shortest move from g_0 into {d: g_i·d ≥ t for all i} is a quadratic programme over y ≥ 0. Its length is convex
    in t, with the slope Σ (y_i/‖g_i‖) / length, so that Newton's method finds from above the t where it is the radius.
    """
    least = float(lengths_A.min())
    inverse_A = least / lengths_A
    quadratic_AA = definite(cosines_AA, _RIDGE)
    low = float((falls_A / inverse_A).min())  # needs no move
    # No move of this length gets further, not even to where the ridge lets it.
    high = level = float((lengths_A * (falls_A + radius * quadratic_AA[0, 0].sqrt())).min()) / least
    for _ in range(_STEPS):
        y_A = nonnegative(quadratic_AA, (level * inverse_A - falls_A)[None])[0]
        length = math.sqrt(float(y_A @ quadratic_AA @ y_A))
        if abs(length - radius) <= _CLOSE * radius:
            break
        if length > radius:
            high, level = level, level - (length - radius) * length / float(y_A @ inverse_A)
        else:
            low, level = level, low
        if not low < level < high:  # below by rounding
            level = (low + high) / 2
    return y_A * (radius / max(length, radius))
