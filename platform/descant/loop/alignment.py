"""How the gradients of tasks lie to the main task's, over the parameters that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from descant.loop.ranks import Ranks

PROBE_STEPS = 10
"""Steps between two comparisons, where a stop rule asks for them: each costs a backward pass for each task."""


def gradient_cosines(
    gradients_of: Callable[[str], Sequence[Tensor | None]], main: str, tasks: Sequence[str], ranks: Ranks
) -> dict[str, float]:
    """Return the cosine of each task's gradient with the main task's, of a global batch; every rank calls it.

    Args:
        gradients_of: this rank's share of a task's gradient of each of the parameters that tasks may share; None, or
            what only one of two tasks has, counts as zero.
        main: the main task.
        tasks: those to compare with it.
        ranks: over which gradients are summed before they are compared.

    Returns:
        NaN for a task whose gradient, or the main task's, is zero.
    """
    main_gradients = [_summed(gradient, ranks) for gradient in gradients_of(main)]
    main_square = sum(float(gradient.square().sum()) for gradient in main_gradients if gradient is not None)
    found = {}
    for task in tasks:  # one task's gradients at a time, beside the main one's
        product = square = 0.0
        for ours, theirs in zip(main_gradients, gradients_of(task), strict=True):
            gradient = _summed(theirs, ranks)
            if gradient is not None:
                square += float(gradient.square().sum())
                product += 0.0 if ours is None else float((gradient * ours).sum())
        found[task] = product / math.sqrt(square * main_square) if square * main_square > 0 else math.nan
    return found


def loss_gradients(loss: Tensor, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """Return the gradient of a loss, whose graph is kept, of each parameter."""
    return torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)


def _summed(gradient: Tensor | None, ranks: Ranks) -> Tensor | None:
    """Return the sum over all ranks in float64; where there is none there is none on any."""
    return None if gradient is None else ranks.sum(gradient.to(torch.float64, copy=True))
