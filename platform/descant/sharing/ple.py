"""Progressive layered extraction, and customized gate control, which is its one level (Tang et al. 2020).

Shapes: B samples, F features, E experts, H the experts' width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, nn

from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings
from descant.sharing.experts import Experts, Gate, Levels, check_experts, vector_feature


@sharings.register("ple")
class PLE(Sharing):
    """Levels of shared experts and experts of each task, over one feature of a shared trunk.

    At each level a task's gate, which sees what the task brought there, mixes the task's own experts with the shared
    ones. Before the last level a gate for the shared experts of the next one mixes those of all tasks and the shared
    ones. The own experts of a task that is not asked for are therefore left out at the last level alone.

    All tasks read the same feature, of one dimension (``pooled``); what their heads get is as wide as an expert.

    Args:
        levels: how many.
        shared: shared experts at each level.
        own: experts of each task at each level.
        hidden: the widths of an expert's layers, each with ReLU.
    """

    name = "ple"

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        levels: int = 2,
        shared: int = 2,
        own: int = 1,
        hidden: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        check_experts(hidden, levels=levels, shared=shared, own=own)
        self.trunk = make_trunk()
        self.feature, width = vector_feature(self.name, self.trunk, features, inputs)
        widths = [width, *[hidden[-1]] * (levels - 1)]
        self.shared = Levels(Experts(width, hidden, shared) for width in widths)
        # All of a task before the next one: a task more or less changes no other's start.
        self.own = nn.ModuleDict()
        self.gates = nn.ModuleDict()
        for task in features:
            self.own[task] = Levels(Experts(width, hidden, own) for width in widths)
            self.gates[task] = Levels(Gate(width, own + shared) for width in widths)
        self.shared_gates = Levels(Gate(width, len(features) * own + shared) for width in widths[:-1])
        self.shapes = dict.fromkeys(features, (hidden[-1],))

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return each task's mixture at the last level (B, H)."""
        shared_BF = self.trunk(inputs)[self.feature]
        brought, last = dict.fromkeys(self.gates, shared_BF), len(self.shared) - 1
        for level in range(last + 1):
            shared = self.shared(level, shared_BF)
            asked = tasks if level == last else self.own
            own = {task: self.own[task](level, brought[task]) for task in asked}
            asked = tasks if level >= last - 1 else self.own
            brought = {task: self.gates[task](level, brought[task], own[task] + shared) for task in asked}
            if level < last:
                everyone = [expert for experts in own.values() for expert in experts]
                shared_BF = self.shared_gates(level, shared_BF, everyone + shared)
        return brought


@sharings.register("cgc")
class CGC(PLE):
    """One level of shared experts and experts of each task; a task's gate mixes its own with the shared ones.

    Args:
        shared: shared experts.
        own: experts of each task.
        hidden: the widths of an expert's layers, each with ReLU.
    """

    name = "cgc"

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        shared: int = 2,
        own: int = 1,
        hidden: Sequence[int] = (64,),
    ) -> None:
        super().__init__(make_trunk, features, inputs, 1, shared, own, hidden)
