"""The network of a recipe: shared trunk, and a head per task.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from descant.schedules import Constant, Schedule
from descant.sharing.base import Sharing


class MultiTaskModel(nn.Module):
    """Inputs → each task's feature (sharing) → gradient gate → each task's output (head).

    Args:
        sharing: gives each task its feature.
        heads: per task, main first.
        gradients: per task, over the epochs the factor on the gradient that its head sends into the trunk: 1 passes,
            0 blocks, a negative one reverses (Ganin & Lempitsky 2015).

    Attributes:
        factors: the gates' factors in this epoch.
    """

    def __init__(self, sharing: Sharing, heads: Mapping[str, nn.Module], gradients: Mapping[str, Schedule]) -> None:
        super().__init__()
        self.sharing = sharing
        self.heads = nn.ModuleDict(heads)
        self.gradients = dict(gradients)
        self.begin_epoch(0, 1)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set gates and couplings to ``epoch`` (from 0) of a run of ``epochs``."""
        self.factors = {name: schedule.at(epoch, epochs) for name, schedule in self.gradients.items()}
        self.sharing.begin_epoch(epoch, epochs)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        tasks: Collection[str] | None = None,
        views: Mapping[str, Mapping[str, Tensor]] | None = None,
        pairs: Collection[str] = (),
    ) -> dict[str, Tensor]:
        """Return the output of each of ``tasks`` (all by default), batch first.

        Args:
            inputs: by name, as all other tasks see them.
            tasks: whose outputs are wanted.
            views: by task, the inputs as it sees them.
            pairs: of the tasks with views, those that are given both outputs side by side, (B, 2, …).
        """
        wanted = list(self.heads) if tasks is None else list(tasks)
        views = views or {}
        plain = [name for name in wanted if name not in views or name in pairs]
        features = self.sharing(inputs, plain) if plain else {}
        outputs = {name: self.heads[name](self.gated(name, features[name])) for name in plain}
        for name in views:
            with self._not_tracking():
                seen = self.heads[name](self.gated(name, self.sharing(views[name], [name])[name]))
            outputs[name] = torch.stack([outputs[name], seen], 1) if name in pairs else seen
        return {name: outputs[name] for name in wanted}

    @contextmanager
    def _not_tracking(self) -> Iterator[None]:
        """Leave the running statistics of normalisations those of the inputs that evaluations see."""
        norms = [module for module in self.sharing.modules() if hasattr(module, "is_tracking")]
        for norm in norms:
            norm.is_tracking = False  # type: ignore[assignment]
        try:
            yield
        finally:
            for norm in norms:
                norm.is_tracking = True  # type: ignore[assignment]

    def gated(self, task: str, feature: Tensor) -> Tensor:
        """Return a task's feature behind its gate."""
        schedule, factor = self.gradients[task], self.factors[task]
        if factor == 1.0 or not torch.is_grad_enabled():
            return feature
        if factor == 0.0 and isinstance(schedule, Constant):
            return feature.detach()  # a gate that may open stays in the graph: ranks wait for the same gradients
        gated: Tensor = _Gate.apply(feature, factor)  # type: ignore[no-untyped-call]
        return gated


class _Gate(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, feature: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return feature.view_as(feature)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None
