"""How the gradients of tasks lie to the main task's, over the parameters that they share.

Shapes: P shared parameters, laid out flat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from descant.loop.ranks import Ranks

PROBE_STEPS = 10
"""Steps between two comparisons, where a stop rule asks for them: each costs a backward pass for each task."""


def gradient_cosines(
    gradient_of: Callable[[str], Tensor], main: str, tasks: Sequence[str], ranks: Ranks
) -> dict[str, float]:
    """Return the cosine of each task's gradient with the main task's, of a global batch; every rank calls it.

    Args:
        gradient_of: this rank's share of a task's gradient of the parameters that tasks may share, (P,); where only
            one of two tasks has a gradient counts as zero of the other.
        main: the main task.
        tasks: those to compare with it.
        ranks: over which gradients are summed before they are compared.

    Returns:
        NaN for a task whose gradient, or the main task's, is zero.
    """
    gradients_KP = ranks.sum(torch.stack([gradient_of(name).double() for name in [main, *tasks]]))
    norms_K = gradients_KP.norm(dim=1)
    cosines_K = (gradients_KP @ gradients_KP[0]) / (norms_K * norms_K[0])
    return {
        name: cosine if math.isfinite(cosine) else math.nan
        for name, cosine in zip(tasks, cosines_K[1:].tolist(), strict=True)
    }


def loss_gradient(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return the gradient of a loss, whose graph is kept, of parameters one after the other, flat."""
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    parts = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
    return torch.cat([part.flatten() for part in parts])
