"""The LeNet of the two-image tasks (Sabour et al. 2017; Sener & Koltun 2018).

Shapes: B samples, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from descant.errors import UserError
from descant.trunks.base import Shapes, only_input, register_trunk
from descant.trunks.staged import StagedTrunk

SMALLEST = 20  # the pixels of a side from which the second pooling has something to see


@register_trunk("lenet")
class LeNet(StagedTrunk):
    """Convolutions 9×9 to 10 and 5×5 to 20 channels, each with maximum pooling and ReLU, then 50 units with ReLU.

    Features: ``map`` (20, 5, 5) for images of 36×36, and ``pooled`` (50,).

    Args:
        inputs: one image (C, H, W) of at least 20×20.
    """

    def __init__(self, inputs: Shapes) -> None:
        super().__init__()
        self.input, (channels, *size) = only_input("lenet", inputs, dimensions=(3,))
        if min(size) < SMALLEST:
            raise UserError(
                f"the trunk 'lenet' has images of {size[0]}×{size[1]}: give at least {SMALLEST}×{SMALLEST}, as the "
                f"36×36 of two images on one canvas"
            )
        self.conv1 = nn.Sequential(nn.Conv2d(channels, 10, 9), nn.MaxPool2d(2), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(10, 20, 5), nn.MaxPool2d(2), nn.ReLU())
        height, width = (((side - 8) // 2 - 4) // 2 for side in size)
        self.fc = nn.Sequential(nn.Flatten(1), nn.Linear(20 * height * width, 50), nn.ReLU())

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the two convolutions and the units."""
        return {name: (name,) for name in ("conv1", "conv2", "fc")}

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the image."""
        return inputs[self.input]

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``map`` (B, 20, H, W) and ``pooled`` (B, 50)."""
        return {"map": outputs["conv2"], "pooled": outputs["fc"]}
