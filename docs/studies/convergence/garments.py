"""Ten convolutions without normalisation or shortcuts, as deep networks had before both, and classifiers on the way."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from descant import Classification, register_task, register_trunk
from descant.trunks import StagedTrunk
from descant.trunks.base import Shapes, only_input


@register_trunk("plain10")
class Plain10(StagedTrunk):
    """Four convolutions to 16 channels at half the size, then six to 32 at a quarter; ReLU after each.

    Features: ``map`` (32, H/4, W/4) and ``pooled`` (32,), its mean.
    """

    def __init__(self, inputs: Shapes) -> None:
        super().__init__()
        self.input, (channels, *_) = only_input("plain10", inputs, dimensions=(3,))
        widths = [*[16] * 4, *[32] * 6]
        self.names = tuple(f"conv{number}" for number in range(1, 11))
        for name, before, after in zip(self.names, [channels, *widths[:-1]], widths, strict=True):
            stride = 2 if name in ("conv1", "conv5") else 1
            convolution = nn.Conv2d(before, after, 3, stride, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            setattr(self, name, nn.Sequential(convolution, nn.ReLU()))

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the convolutions."""
        return {name: (name,) for name in self.names}

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the image."""
        return inputs[self.input]

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the last convolution's output and its mean."""
        return {"map": outputs["conv10"], "pooled": outputs["conv10"].mean((2, 3))}


@register_task("garment")
class Garment(Classification):
    """Fashion-MNIST's classes."""

    label = "class"


@register_task("garment_early")
class GarmentEarly(Garment):
    """The same, told from an early layer."""


@register_task("garment_late")
class GarmentLate(Garment):
    """The same, told from a later layer."""
