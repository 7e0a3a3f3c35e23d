"""Hard parameter sharing: one trunk for all tasks (Caruana 1993)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings


@sharings.register("hard")
class HardSharing(Sharing):
    """One trunk, whose named features all heads read."""

    def __init__(self, make_trunk: MakeTrunk, features: Mapping[str, str], inputs: Shapes) -> None:
        super().__init__()
        self.trunk = make_trunk()
        self.features = dict(features)
        self.shapes = self.trunk.tap(features, inputs)

    def feature_key(self, task: str) -> str:
        """Return the feature's name."""
        return self.features[task]

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return the trunk's feature of each task."""
        features = self.trunk(inputs)
        return {task: features[self.features[task]] for task in tasks}
