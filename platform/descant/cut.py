"""The cut between what tasks share and what is their own: each task's gradient at its feature, apart from the others'.

The losses' backward pass ends at the cut, and goes on from there when it is known how the gradients are weighed.

Shapes: B samples, K tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor

from descant.feature_gradients import FeatureGradients, FusedGradients, is_dense
from descant.heads.fused import FusedHeads
from descant.jacobian import Rows, visit_gradients


class Cut:
    """Ends the graph at the features of one forward pass, and goes on from there when the weights are known."""

    def __init__(self) -> None:
        self._sides: dict[int, FeatureGradients] = {}

    def single(self, task: str, feature: Tensor, factor: float) -> Tensor:
        """Return a task's own copy of its feature, at which the graph of its head, whose gate comes next, begins."""
        side = self._side(feature)
        if factor == 0.0 or not feature.requires_grad:
            return feature.detach()
        own = feature.detach()
        side.singles[task] = own if is_dense(own) else own.contiguous()
        return side.singles[task].requires_grad_()

    def fused(self, tasks: Sequence[str], feature: Tensor, heads: FusedHeads, factor: float) -> Tensor:
        """Return the outputs of fused heads, (B, K, …), at which alone their gradients are kept.

        Args:
            tasks: of the heads, K.
            feature: that they read.
            heads: which.
            factor: of the gate before them.
        """
        outputs = heads(feature.detach(), tasks)
        assert isinstance(outputs, Tensor)
        if outputs.requires_grad:
            outputs.retain_grad()
        side = self._side(feature)
        if factor != 0.0 and feature.requires_grad:
            side.fused.append(FusedGradients(list(tasks), outputs, heads, factor))
        return outputs

    @property
    def tasks(self) -> list[str]:
        """The tasks whose gradients reach what is shared: their gates are open."""
        return [task for side in self._sides.values() for task in side.tasks]

    def expect_gradients(self) -> None:
        """Make room for the gradients of single heads, side by side; called before the losses' backward pass."""
        for side in self._sides.values():
            if side.singles:
                side.expect_gradients()

    def gramian(self, tasks: Sequence[str]) -> Tensor:
        """Return the inner products of the tasks' gradients, (K, K) float64; 0 where two read different features."""
        places = {task: place for place, task in enumerate(tasks)}
        whole_KK = torch.zeros(len(tasks), len(tasks), dtype=torch.float64)
        for side in self._sides.values():
            if not side.tasks:
                continue
            part = side.gramian().double().to(whole_KK.device)
            known = [place for place, task in enumerate(side.tasks) if task in places]
            at = torch.tensor([places[side.tasks[place]] for place in known])
            whole_KK[at[:, None], at] += part[known][:, known]
        return whole_KK

    def gradients(self, task: str, parameters: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """Return the gradient that a task sends into what is shared, of each of these parameters.

        The graph is kept: it costs one backward pass of what is shared.
        """
        sides = [side for side in self._sides.values() if task in side.tasks]
        if not sides:
            return [None] * len(parameters)
        ends = [side.of(task) for side in sides]
        features = [side.feature for side in sides]
        return torch.autograd.grad(features, parameters, ends, retain_graph=True, allow_unused=True)

    def visit_gradients(
        self, tasks: Sequence[str], parameters: Collection[Tensor], visit: Callable[[Tensor, Rows], None]
    ) -> None:
        """Hand over, parameter by parameter, the gradients that tasks send into what is shared.

        The graph is kept: it costs one backward pass of what is shared for each task.

        Args:
            tasks: K; those whose gates are shut have none.
            parameters: whose gradients are wanted.
            visit: called with a parameter and its K gradients, None for 0.
        """
        ends = []
        for side in self._sides.values():
            reaching = set(side.tasks)
            rows = [side.of(task) if task in reaching else None for task in tasks]
            ends.append((side.feature, rows))
        visit_gradients(ends, parameters, visit)

    def unit_sums(self, tasks: Sequence[str]) -> list[Tensor]:
        """Return, of each feature, the tasks' gradients times the sign of what a unit gives, over the rows: (K, …).

        Only of heads that are not fused.
        """
        return [side.unit_sums(tasks) for side in self._sides.values()]

    def backward(
        self,
        weights: Mapping[str, float],
        also: Tensor | None = None,
        masks: Sequence[Mapping[str, Tensor]] | None = None,
    ) -> None:
        """Send the weighted sum of the tasks' gradients on into what is shared; tasks without a weight add nothing.

        Args:
            weights: by task.
            also: a term of the loss whose graph goes past the cut.
            masks: instead of weights, of each feature in the order of ``unit_sums``, by task what multiplies its
                gradient at each unit.
        """
        tensors: list[Tensor] = []
        ends: list[Tensor | None] = []
        for place, side in enumerate(self._sides.values()):
            if side.feature.requires_grad:
                tensors.append(side.feature)
                ends.append(side.weighed(weights) if masks is None else side.masked(masks[place]))
        if also is not None:
            tensors, ends = [*tensors, also], [*ends, None]
        if tensors:
            torch.autograd.backward(tensors, ends)

    def _side(self, feature: Tensor) -> FeatureGradients:
        return self._sides.setdefault(id(feature), FeatureGradients(feature))
