"""The network of a recipe: shared trunk, and a head per task.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from descant.cut import Cut
from descant.heads.base import Head
from descant.heads.fused import FusedHeads
from descant.heads.mlp import LinearHead
from descant.outputs import Outputs
from descant.schedules import Constant, Schedule
from descant.sharing.base import Sharing


class MultiTaskModel(nn.Module):
    """Inputs → each task's feature (sharing) → gradient gate → each task's output (head).

    Args:
        sharing: gives each task its feature.
        heads: per task, main first.
        gradients: per task, over the epochs the factor on the gradient that its head sends into the trunk: 1 passes,
            0 blocks, a negative one reverses (Ganin & Lempitsky 2015).
        groups: of tasks whose heads are linear, alike and on one feature: those behind one gate are one matrix product.

    Attributes:
        tasks: main first.
        heads: of the tasks that are in no group.
        factors: the gates' factors in this epoch.
    """

    def __init__(
        self,
        sharing: Sharing,
        heads: Mapping[str, nn.Module],
        gradients: Mapping[str, Schedule],
        groups: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__()
        self.sharing, self.tasks = sharing, list(heads)
        fused = {name for group in groups for name in group}
        self.heads = nn.ModuleDict({name: head for name, head in heads.items() if name not in fused})
        self.fused = nn.ModuleList(FusedHeads({name: _linear(heads[name]) for name in group}) for group in groups)
        self._group = {name: place for place, group in enumerate(groups) for name in group}
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
        cut: bool = False,
        fuse: bool = True,
    ) -> Outputs:
        """Return the output of each of ``tasks`` (all by default), batch first.

        Args:
            inputs: by name, as all other tasks see them.
            tasks: whose outputs are wanted.
            views: by task, the inputs as it sees them.
            pairs: of the tasks with views, those that are given both outputs side by side, (B, 2, …).
            cut: end the graph of the outputs at the features, and give the ``Cut``.
            fuse: compute the heads that are one matrix product as one.
        """
        ends = Cut() if cut else None
        wanted = self.tasks if tasks is None else list(tasks)
        views = views or {}
        plain = [name for name in wanted if name not in views or name in pairs]
        features = self.sharing(inputs, plain) if plain else {}
        outputs = {
            name: self.output(name, features[name], ends) for name in plain if not fuse or name not in self._group
        }
        stacked = self._stacked(features, plain, ends) if fuse else {}
        for name in views:
            with self.not_tracking(), self._own_view():
                seen = self.output(name, self.sharing(views[name], [name])[name], ends)
            outputs[name] = torch.stack([outputs[name], seen], 1) if name in pairs else seen
        return Outputs(outputs, stacked, ends).widened()

    def _stacked(
        self, features: Mapping[str, Tensor], tasks: Collection[str], cut: Cut | None
    ) -> dict[tuple[str, ...], Tensor]:
        """Return the outputs of fused heads, (B, tasks, …), by those of their tasks that are wanted."""
        members: dict[Hashable, list[str]] = {}
        for name in tasks:
            if name in self._group:
                members.setdefault((self._group[name], self._gate(name)), []).append(name)
        stacked: dict[tuple[str, ...], Tensor] = {}
        for names in members.values():
            heads, feature = self._fused_head(names[0]), features[names[0]]
            assert heads is not None
            if cut is None:
                stacked[tuple(names)] = heads(self.gated(names[0], feature), names)
            else:
                stacked[tuple(names)] = cut.fused(names, feature, heads, self.factors[names[0]])
        return stacked

    @contextmanager
    def not_tracking(self) -> Iterator[None]:
        """Leave the running statistics of normalisations those of the inputs that evaluations see."""
        norms = [module for module in self.modules() if hasattr(module, "is_tracking")]
        before = [norm.is_tracking for norm in norms]
        for norm in norms:
            norm.is_tracking = False  # type: ignore[assignment]
        try:
            yield
        finally:
            for norm, was_tracking in zip(norms, before, strict=True):
                norm.is_tracking = was_tracking

    @contextmanager
    def _own_view(self) -> Iterator[None]:
        self.sharing.is_own_view = True
        try:
            yield
        finally:
            self.sharing.is_own_view = False

    def output(self, task: str, feature: Tensor, cut: Cut | None = None) -> Tensor:
        """Return one task's output from its feature, at which the graph may end."""
        gated = self.gated(task, feature if cut is None else cut.single(task, feature, self.factors[task]))
        if task in self._group:
            fused: Tensor = self.fused[self._group[task]](gated, [task])
            return fused[:, 0]
        output: Tensor = self.heads[task](gated)
        return output

    def head_state(self, task: str, row: int | None = None) -> dict[str, Tensor]:
        """Return copies of the weights of a task's head, or of one row of its outputs alone, on the CPU."""
        head = self._fused_head(task)
        if row is not None:
            state = {name: value[row] for name, value in self.head_rows(task).items()}
        else:
            state = self.heads[task].state_dict() if head is None else head.state_of(task)
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    @torch.no_grad()
    def load_head_state(self, task: str, state: Mapping[str, Tensor], row: int | None = None) -> None:
        """Put back what ``head_state`` gave."""
        head = self._fused_head(task)
        if row is not None:
            for name, value in self.head_rows(task).items():
                value[row].copy_(state[name])
        elif head is None:
            self.heads[task].load_state_dict(dict(state))
        else:
            head.load_state_of(task, state)

    def head_rows(self, task: str) -> dict[str, nn.Parameter]:
        """Return the weights of a task's head that have a row for each of its outputs; none where there are no such."""
        head = self.heads[task]
        layer = head.rows if isinstance(head, Head) else None
        return {} if layer is None else dict(layer.named_parameters())

    def _fused_head(self, task: str) -> FusedHeads | None:
        if task not in self._group:
            return None
        fused = self.fused[self._group[task]]
        assert isinstance(fused, FusedHeads)
        return fused

    def gated(self, task: str, feature: Tensor) -> Tensor:
        """Return a task's feature behind its gate."""
        factor, is_shut = self._gate(task)
        if factor == 1.0 or not torch.is_grad_enabled():
            return feature
        if is_shut:
            return feature.detach()
        gated: Tensor = _Gate.apply(feature, factor)  # type: ignore[no-untyped-call]
        return gated

    def _gate(self, task: str) -> tuple[float, bool]:
        """Return the gate's factor in this epoch, and whether it is shut for ever.

        One that may open stays in the graph: ranks wait for the same gradients.
        """
        factor = self.factors[task]
        return factor, factor == 0.0 and isinstance(self.gradients[task], Constant)


def _linear(head: nn.Module) -> LinearHead:
    assert isinstance(head, LinearHead), "only linear heads are fused"
    return head


class _Gate(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(ctx: Any, feature: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return feature.view_as(feature)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None
