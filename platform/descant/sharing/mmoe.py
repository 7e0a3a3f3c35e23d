"""Multi-gate mixture of experts (Ma et al. 2018).

Shapes: B samples, F features, E experts, H the experts' width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, nn

from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings
from descant.sharing.experts import Experts, Gate, check_experts, vector_feature


@sharings.register("mmoe")
class MMoE(Sharing):
    """Experts over one feature of a shared trunk; each task mixes them by a gate: Σ_e softmax(W_k x)_e f_e(x).

    All tasks read the same feature, of one dimension (``pooled``); what their heads get is as wide as an expert.

    Args:
        experts: how many.
        hidden: the widths of an expert's layers, each with ReLU.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        experts: int = 4,
        hidden: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        check_experts(hidden, experts=experts)
        self.trunk = make_trunk()
        self.feature, width = vector_feature("mmoe", self.trunk, features, inputs)
        self.experts = Experts(width, hidden, experts)
        self.gates = nn.ModuleDict({task: Gate(width, experts) for task in features})
        self.shapes = dict.fromkeys(features, (hidden[-1],))

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return each task's mixture (B, H)."""
        x_BF = self.trunk(inputs)[self.feature]
        experts = self.experts(x_BF)
        return {task: self.gates[task](x_BF, experts) for task in tasks}
