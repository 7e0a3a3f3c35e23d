"""How the main task's loss on held-out samples would change with the tasks' weights: a step is tried and taken back.

    ∂ℓ_V(θ')/∂w_i = −η ⟨∇ℓ_V(θ'), ∇ℓ_i(θ)⟩ ≈ −η (ℓ_i(θ + εv) − ℓ_i(θ − εv))/2ε,
    θ' = θ − η Σ_i w_i ∇ℓ_i,  v = ∇ℓ_V(θ')

by the central difference of Liu, Simonyan & Yang (DARTS, 2019), with ε = 0.01/‖v‖. V is the half of the batch that the
step tried does not learn from.

Shapes: B rows of this rank, K tasks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from descant.data.batch import Batch, columns
from descant.loop.attempt import Attempt
from descant.loop.passes import Passes
from descant.loop.ranks import Ranks

_SHARE = 0.01  # of the length of the weights' change, as in the papers


class LookAhead:
    """Tries steps.

    Args:
        passes: of the model.
        ranks: who step along.
    """

    def __init__(self, passes: Passes, ranks: Ranks) -> None:
        self._passes, self._ranks = passes, ranks

    def slopes(self, attempt: Attempt, batches: Sequence[Batch], weights_K: Tensor, lr: float, seed: int) -> Tensor:
        """Return the slope of the main task's held-out loss for each task's weight, (K,) float64 on the CPU.

        Every rank calls it. 0 where one of the halves does not teach the main task or that task.

        Args:
            attempt: of the step; its first task is the main one.
            batches: its micro-batches.
            weights_K: of the tasks' losses.
            lr: η.
            seed: of what is random in the model.
        """
        main, device = attempt.tasks[0], weights_K.device
        learnt, held_out = ([_half(batch, side) for batch in batches] for side in (True, False))
        part, rest = self._part(attempt, learnt), self._part(attempt, held_out)
        if not rest.counts[main]:
            return torch.zeros(len(weights_K), dtype=torch.float64)
        parameters = [parameter for parameter in self._passes.module.parameters() if parameter.requires_grad]
        before = [parameter.detach().clone() for parameter in parameters]
        main_K = weights_K.new_tensor([float(name == main) for name in attempt.counts])
        with self._passes.bare(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            _move(parameters, before, self._gradients(part, learnt, weights_K, parameters, seed), -lr)
            way = self._gradients(rest, held_out, main_K, parameters, seed)
            length = math.sqrt(sum(float(each.square().sum()) for each in way))
            epsilon = _SHARE / length if 0.0 < length < math.inf else 0.0
            losses = []
            for sign in (1, -1):
                _move(parameters, before, way, sign * epsilon)
                losses.append(self._losses(part, learnt, seed))
            _move(parameters, before, way, 0.0)
        changes_K = (losses[0] - losses[1]) / (2 * epsilon) if epsilon else torch.zeros_like(losses[0])
        return (-lr * changes_K).cpu()

    def _gradients(
        self, attempt: Attempt, batches: Sequence[Batch], weights_K: Tensor, parameters: Sequence[Tensor], seed: int
    ) -> list[Tensor]:
        """Return the gradient of a weighted sum of losses over all ranks."""
        total = [torch.zeros_like(parameter) for parameter in parameters]
        torch.manual_seed(seed)
        for batch in batches:
            loss = (weights_K * self._passes.own_means(attempt, batch)).sum()
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            total = [before if more is None else before + more for before, more in zip(total, found, strict=True)]
        return [self._ranks.sum(gradient) for gradient in total]

    def _losses(self, attempt: Attempt, batches: Sequence[Batch], seed: int) -> Tensor:
        """Return the tasks' mean losses over all ranks, (K,) float64."""
        torch.manual_seed(seed)
        with torch.no_grad():
            means = [self._passes.own_means(attempt, batch) for batch in batches]
        return self._ranks.sum(torch.stack(means).sum(0).double())

    def _part(self, attempt: Attempt, batches: Sequence[Batch]) -> Attempt:
        """Return the attempt with the labels of these rows over all ranks."""
        counts_K = torch.tensor([sum(int(batch.present[name].sum()) for batch in batches) for name in attempt.counts])
        return replace(attempt, counts=dict(zip(attempt.counts, self._ranks.sum(counts_K).tolist(), strict=True)))


def _move(parameters: Sequence[Tensor], before: Sequence[Tensor], direction: Sequence[Tensor], length: float) -> None:
    """Put the parameters to where they were, plus so much of a direction."""
    with torch.no_grad():
        for parameter, origin, way in zip(parameters, before, direction, strict=True):
            parameter.copy_(torch.add(origin, way, alpha=length) if length else origin)


def _half(batch: Batch, side: bool) -> Batch:
    """Return the same rows, of which only one half teaches anything, by the samples' keys: alike on any ranks."""
    digests = [hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] for key in batch.keys]
    counts_B = torch.tensor([(digest % 2 == 1) is side for digest in digests], dtype=torch.bool)
    together = {names: (target, mask & counts_B[:, None]) for names, (target, mask) in batch.together.items()}
    present = {name: mask & counts_B for name, mask in batch.present.items()}
    return replace(batch, together=together, present=present | columns(together)[1], complete=frozenset())
