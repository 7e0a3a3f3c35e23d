"""The network of "Facial Landmark Detection by Deep Multi-task Learning" (Zhang et al. 2014).

Shapes: B samples, C channels, H height, W width, F features.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from descant.errors import UserError
from descant.trunks.base import Shapes, only_input, register_trunk
from descant.trunks.staged import StagedTrunk

SMALLEST = 32  # the pixels of a side from which the last convolution has something to see


@register_trunk("tcdcn")
class TCDCN(StagedTrunk):
    """Four convolutions with maximum pooling after the first three, then 100 units; the absolute tangent throughout.

    Features: ``map`` (64, 2, 2) of the last convolution and ``pooled`` (100,), for the 40×40 grey faces of the paper;
    other sizes give another map.

    Args:
        inputs: one image (C, H, W) of at least 32×32.
    """

    def __init__(self, inputs: Shapes) -> None:
        super().__init__()
        self.input, (channels, *size) = only_input("tcdcn", inputs, dimensions=(3,))
        if min(size) < SMALLEST:
            raise UserError(
                f"the trunk 'tcdcn' has images of {size[0]}×{size[1]}: give at least {SMALLEST}×{SMALLEST}, as the "
                f"40×40 of its paper"
            )
        self.conv1 = _stage(nn.Conv2d(channels, 16, 5), nn.MaxPool2d(2))
        self.conv2 = _stage(nn.Conv2d(16, 48, 3), nn.MaxPool2d(2))
        self.conv3 = _stage(nn.Conv2d(48, 64, 3), nn.MaxPool2d(2))
        self.conv4 = _stage(nn.Conv2d(64, 64, 2))
        height, width = ((((side - 4) // 2 - 2) // 2 - 2) // 2 - 1 for side in size)
        self.fc = nn.Sequential(nn.Flatten(1), nn.Linear(64 * height * width, 100), AbsoluteTanh())

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the four convolutions and the units."""
        return {name: (name,) for name in ("conv1", "conv2", "conv3", "conv4", "fc")}

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the image."""
        return inputs[self.input]

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``map`` (B, 64, H, W) and ``pooled`` (B, 100)."""
        return {"map": outputs["conv4"], "pooled": outputs["fc"]}


class AbsoluteTanh(nn.Module):
    """|tanh x|."""

    def forward(self, x: Tensor) -> Tensor:
        """Return it, in the shape of ``x``."""
        return x.tanh().abs()


def _stage(convolution: nn.Conv2d, *pooling: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, AbsoluteTanh(), *pooling)
