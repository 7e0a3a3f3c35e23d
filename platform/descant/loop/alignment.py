"""How the gradients of tasks lie to the main task's, over the parameters that they share.

Shapes: P shared parameters, laid out flat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from descant.loop.ranks import Ranks

PROBE_STEPS = 10
"""Steps between two comparisons, where a stop rule asks for them: each costs a backward pass for each task."""


def gradient_cosines(
    means: Mapping[str, Tensor], main: str, tasks: Sequence[str], parameters: Sequence[Tensor], ranks: Ranks
) -> dict[str, float]:
    """Return the cosine of each task's gradient with the main task's, of a global batch; every rank calls it.

    Args:
        means: by task, this rank's share of its mean loss over the global batch, with its graph, which is kept.
        main: the main task.
        tasks: those to compare with it.
        parameters: those that tasks may share; where only one of two tasks has a gradient counts as zero of the other.
        ranks: over which gradients are summed before they are compared.

    Returns:
        NaN for a task whose gradient, or the main task's, is zero.
    """
    wanted = [main, *tasks]
    gradients_KP = torch.stack([_flat(means[name], parameters) for name in wanted])
    gradients_KP = ranks.sum(gradients_KP)
    norms_K = gradients_KP.norm(dim=1)
    cosines_K = (gradients_KP @ gradients_KP[0]) / (norms_K * norms_K[0])
    return {
        name: cosine if math.isfinite(cosine) else math.nan
        for name, cosine in zip(tasks, cosines_K[1:].tolist(), strict=True)
    }


def _flat(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    parts = [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, found, strict=True)
    ]
    return torch.cat([part.flatten() for part in parts]).double()
