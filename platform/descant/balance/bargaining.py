"""The equations of the methods that give every task a share: the more a task's weight, the less it is worth.

Shapes: N tasks.
"""

from __future__ import annotations

import math

from jaxtyping import Float

from descant.lazy import torch

RIDGE = 1e-10
"""What is added to a Gramian of unit vectors: where gradients cancel out, no longer vectors y than 1e5 at power 1."""
_DONE = 1e-9  # the largest step over y that is the last: it squares the error
_NEAR = 1e-3  # below, a whole step does so too, and rounding is all that keeps the next one from being smaller
_MOST = 500  # a solution 1e6 away is reached in some thirty steps at power 1, in more at higher ones


def bargained(
    gramian_NN: Float[torch.Tensor, "N N"], worth_N: Float[torch.Tensor, N], power: float
) -> Float[torch.Tensor, N]:
    """Return y > 0 with (Gy)_i = k_i·y_i^(−power), the minimum of the convex ½ yᵀGy − Σ k_i ∫ y_i^(−power).

    By Newton's method, its steps cut where they would leave y > 0 or not lower the function.

    Args:
        gramian_NN: G, positive definite, its diagonal near 1.
        worth_N: k > 0.
        power: above 0.
    """
    y_N = _start(gramian_NN, worth_N, power)
    before = math.inf
    for _ in range(_MOST):
        value_N = worth_N * y_N**-power
        slope_N = gramian_NN @ y_N - value_N
        factor_NN = torch.linalg.cholesky_ex(gramian_NN + (power * value_N / y_N).diag()).L
        step_N = -torch.cholesky_solve(slope_N[:, None], factor_NN)[:, 0]
        ratio_N = step_N / y_N
        size = float(ratio_N.abs().max())
        length = min(1.0, 0.9 / max(float(-ratio_N.min()), _NEAR))
        enough = 0.1 * float(slope_N @ step_N)
        while size > _NEAR and _rise(gramian_NN, worth_N, power, y_N, length * step_N, slope_N) > length * enough:
            length /= 2
        y_N = y_N + length * step_N
        if size <= _DONE or (size <= _NEAR and size > 0.5 * before):
            break
        before = size
    return y_N


def _start(
    gramian_NN: Float[torch.Tensor, "N N"], worth_N: Float[torch.Tensor, N], power: float
) -> Float[torch.Tensor, N]:
    """Return the solution for unit vectors at right angles, as long as the function is lowest along it."""
    y_N = worth_N ** (1 / (1 + power))
    return y_N * ((worth_N @ y_N ** (1 - power)) / (y_N @ gramian_NN @ y_N)) ** (1 / (1 + power))


def _rise(
    gramian_NN: Float[torch.Tensor, "N N"],
    worth_N: Float[torch.Tensor, N],
    power: float,
    y_N: Float[torch.Tensor, N],
    step_N: Float[torch.Tensor, N],
    slope_N: Float[torch.Tensor, N],
) -> float:
    """Return by how much the function rises along a step: what its slope says, and what bends it upwards."""
    ratio_N = step_N / y_N
    if power == 1:
        gained_N = ratio_N - ratio_N.log1p()
    else:
        gained_N = (ratio_N - ((1 - power) * ratio_N.log1p()).expm1() / (1 - power)) * y_N ** (1 - power)
    return float(slope_N @ step_N + 0.5 * step_N @ gramian_NN @ step_N + worth_N @ gained_N)
