"""Quadratic programmes over non-negative vectors, the core of the methods that solve one: exact up to rounding.

Shapes: N variables, M programmes that share the quadratic form, R of them at work, S stuck.
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int

from descant.lazy import torch

RIDGE = 1e-12
"""What is added to a Gramian of unit vectors, so that equal, opposite or dependent ones leave one solution."""
_SIGN = 1e-11  # a value beyond this share of the largest is taken for negative, what is nearer to 0 for rounding
_PATIENCE = 2  # pivots without progress before the interior-point method takes over
_GAP = 1e-18  # mean x_i·y_i at which that method is done; b is of size 1
_MOST = 60  # steps of that method, which takes some twenty


def definite(gramian_NN: Float[torch.Tensor, "N N"], ridge: float = RIDGE) -> Float[torch.Tensor, "N N"]:
    """Return a Gramian of unit vectors plus the least ridge that makes it positive definite.

    That is ``ridge`` for one whose rounding is that of float64, and more for one that was summed in fewer bits.
    """
    while True:
        ridged_NN = gramian_NN + ridge * torch.eye(len(gramian_NN), dtype=gramian_NN.dtype)
        if not torch.linalg.cholesky_ex(ridged_NN).info:
            return ridged_NN
        ridge *= 10


def nonnegative(
    quadratic_NN: Float[torch.Tensor, "N N"], linear_MN: Float[torch.Tensor, "M N"]
) -> Float[torch.Tensor, "M N"]:
    """Return argmin ½ xᵀQx − bᵀx over x ≥ 0 for each row b.

    By block principal pivoting: all variables of the wrong sign change sides at once (Júdice & Pires 1994; Kim & Park
    2011), which takes a few steps. Programmes that get no nearer by it, as those of dependent gradients may, are solved
    by a primal-dual interior-point method (Mehrotra 1992).

    Args:
        quadratic_NN: Q, positive definite, its diagonal near 1.
        linear_MN: b of each programme.
    """
    solution_MN, stuck_S = _exchanged(quadratic_NN, linear_MN)
    if len(stuck_S):
        solution_MN[stuck_S] = _interior(quadratic_NN, linear_MN[stuck_S])
    return solution_MN.clamp_(min=0)


def _exchanged(
    quadratic_NN: Float[torch.Tensor, "N N"], linear_MN: Float[torch.Tensor, "M N"]
) -> tuple[Float[torch.Tensor, "M N"], Int[torch.Tensor, S]]:
    """Return the solutions by block principal pivoting, and the rows that it got stuck in, which are not solved."""
    solution_MN = torch.zeros_like(linear_MN)
    rows_R = (linear_MN > 0).any(1).nonzero()[:, 0]  # elsewhere 0 is the solution
    linear_RN = linear_MN[rows_R]
    free_RN = linear_RN > 0
    fewest_R, patience_R = torch.full_like(rows_R, linear_MN.shape[1] + 1), torch.full_like(rows_R, _PATIENCE)
    stuck = [rows_R[:0]]
    while len(rows_R):
        solution_MN[rows_R], wrong_RN = _pivoted(quadratic_NN, linear_RN, free_RN)
        count_R = wrong_RN.sum(1)
        patience_R = torch.where(count_R < fewest_R, _PATIENCE, patience_R - 1)
        fewest_R, free_RN = torch.minimum(fewest_R, count_R), free_RN ^ wrong_RN
        going_R = (count_R > 0) & (patience_R >= 0)
        if not going_R.all():
            stuck.append(rows_R[(count_R > 0) & ~going_R])
            rows_R, free_RN, linear_RN = rows_R[going_R], free_RN[going_R], linear_RN[going_R]
            fewest_R, patience_R = fewest_R[going_R], patience_R[going_R]
    return solution_MN, torch.cat(stuck)


def _pivoted(
    quadratic_NN: Float[torch.Tensor, "N N"], linear_RN: Float[torch.Tensor, "R N"], free_RN: Bool[torch.Tensor, "R N"]
) -> tuple[Float[torch.Tensor, "R N"], Bool[torch.Tensor, "R N"]]:
    """Return the minimum over each row's free variables, the others 0, and which are on the wrong side.

    Those are the free variables that are negative, and the others whose gradient is.
    """
    free_RNN = free_RN[:, :, None] & free_RN[:, None, :]
    system_RNN = torch.where(free_RNN, quadratic_NN, torch.eye(len(quadratic_NN), dtype=quadratic_NN.dtype))
    factor_RNN = torch.linalg.cholesky_ex(system_RNN).L
    x_RN = torch.cholesky_solve(torch.where(free_RN, linear_RN, 0)[:, :, None], factor_RNN)[:, :, 0]
    gradient_RN = x_RN @ quadratic_NN - linear_RN
    scale_R1 = torch.maximum(x_RN.abs().amax(1, keepdim=True), linear_RN.abs().amax(1, keepdim=True))
    return x_RN, torch.where(free_RN, x_RN, gradient_RN) < -_SIGN * scale_R1


def _interior(
    quadratic_NN: Float[torch.Tensor, "N N"], linear_RN: Float[torch.Tensor, "R N"]
) -> Float[torch.Tensor, "R N"]:
    """Return the solutions x > 0, y = Qx − b > 0 with x_i·y_i near 0, by predictor and corrector steps."""
    scale_R1 = linear_RN.abs().amax(1, keepdim=True)
    linear_RN = linear_RN / scale_R1
    x_RN = torch.ones_like(linear_RN)
    y_RN = torch.ones_like(linear_RN)
    for _ in range(_MOST):
        gap_R1 = (x_RN * y_RN).mean(1, keepdim=True)
        off_RN = x_RN @ quadratic_NN - linear_RN - y_RN
        if gap_R1.max() < _GAP:
            break
        ratio_RN = y_RN / x_RN
        factor_RNN = torch.linalg.cholesky_ex(quadratic_NN + ratio_RN.diag_embed()).L
        step_x_RN = torch.cholesky_solve((-off_RN - y_RN)[:, :, None], factor_RNN)[:, :, 0]
        step_y_RN = -y_RN - ratio_RN * step_x_RN
        length_R1 = _length(x_RN, y_RN, step_x_RN, step_y_RN)
        ahead_RN = (x_RN + length_R1 * step_x_RN) * (y_RN + length_R1 * step_y_RN)
        centre_R1 = gap_R1 * (ahead_RN.mean(1, keepdim=True) / gap_R1) ** 3
        pull_RN = (centre_R1 - step_x_RN * step_y_RN) / x_RN - y_RN
        step_x_RN = torch.cholesky_solve((pull_RN - off_RN)[:, :, None], factor_RNN)[:, :, 0]
        step_y_RN = pull_RN - ratio_RN * step_x_RN
        length_R1 = 0.995 * _length(x_RN, y_RN, step_x_RN, step_y_RN)
        x_RN = x_RN + length_R1 * step_x_RN
        y_RN = y_RN + length_R1 * step_y_RN
    return x_RN * scale_R1


def _length(
    x_RN: Float[torch.Tensor, "R N"],
    y_RN: Float[torch.Tensor, "R N"],
    step_x_RN: Float[torch.Tensor, "R N"],
    step_y_RN: Float[torch.Tensor, "R N"],
) -> Float[torch.Tensor, "R 1"]:
    """Return the share of a step, at most 1, that keeps x and y from passing 0."""
    furthest_RN = torch.maximum(-step_x_RN / x_RN, -step_y_RN / y_RN)
    return 1 / furthest_RN.amax(1, keepdim=True).clamp(min=1)
