"""Hard parameter sharing: one trunk for all tasks (Caruana 1993)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from descant.errors import UserError
from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings


@sharings.register("hard")
class HardSharing(Sharing):
    """One trunk, whose named features all heads read."""

    def __init__(self, make_trunk: MakeTrunk, features: Mapping[str, str], inputs: Shapes) -> None:
        super().__init__()
        self.trunk = make_trunk()
        self.features = dict(features)
        known = self.trunk.feature_shapes(inputs)
        for task, feature in features.items():
            if feature not in known:
                raise UserError(
                    f"the task {task!r} reads the feature {feature!r}, which the trunk lacks; it has {', '.join(known)}"
                )
        self.shapes = {task: known[feature] for task, feature in features.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the trunk's feature of each task."""
        features = self.trunk(inputs)
        return {task: features[name] for task, name in self.features.items()}
