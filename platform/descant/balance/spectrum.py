"""Eigenvalues of Gramians without those that are rounding.

Shapes: N tasks, R the rank.
"""

from __future__ import annotations

from jaxtyping import Float

from descant.lazy import torch


def spectrum(gramian_NN: Float[torch.Tensor, "N N"]) -> tuple[Float[torch.Tensor, R], Float[torch.Tensor, "N R"]]:
    """Return the eigenvalues, increasing, and eigenvectors of a Gramian that is not zero, less those of its null space.

    That is what lies below N·2^−52 of the largest, or below four times the most negative one: a Gramian has none, so
    that its size is the rounding of how it was summed.
    """
    values_N, vectors_NN = torch.linalg.eigh(gramian_NN)
    ends = values_N[[0, -1]].tolist()
    kept_N = values_N > max(len(values_N) * 2.0**-52 * ends[1], -4 * ends[0])
    return values_N[kept_N], vectors_NN[:, kept_N]


def bisector(cosines_NN: Float[torch.Tensor, "N N"]) -> Float[torch.Tensor, N]:
    """Return y such that Σ y_i u_i has the inner product 1 with every unit vector u_i: y = C⁺1.

    Where there is no such sum, the least squares of the differences from 1; 0 where all inner products would be 0, as
    for two opposite vectors.
    """
    values_R, vectors_NR = spectrum(cosines_NN)
    along_R = vectors_NR.sum(0)
    if float(along_R.square().sum()) < 1e-12 * len(cosines_NN):  # rounding, of which no direction may be made
        return torch.zeros_like(cosines_NN[0])
    return vectors_NR @ (along_R / values_R)
