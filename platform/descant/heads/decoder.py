"""Heads that give the input back: frame by frame for sequences, by transposed convolutions for images.

Shapes: B samples, T frames, F features, M bands, C channels, H height, W width.
"""

from __future__ import annotations

import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from descant.heads.base import Head, Shape, register_head
from descant.heads.mlp import check_layers

_SHRUNK = 8  # from a vector, doubling starts at an eighth of the image


@register_head("decoder")
class Decoder(Head):
    """Images (C, H, W) from a vector or a map, frames (T, M) from these, as images of one channel, or from a sequence.

    Args:
        feature, shape: of what goes in, and of the input that is given back.
        dropout: before frames are made of a sequence.
        width: channels of the transposed convolutions.
    """

    needs: ClassVar[str] = (
        "a feature of shape (F,) or (C, H, W), or for frames (T, M) a sequence of as many frames as the input; "
        "it gives back frames and images (C, H, W)"
    )

    def __init__(self, feature: Shape, shape: Shape, dropout: float = 0.3, width: int = 64) -> None:
        super().__init__()
        check_layers((width,), dropout)
        if len(feature) == 2:
            self.layers: nn.Module = FrameDecoder(feature, shape, dropout)
        elif len(shape) == 2:
            self.layers = nn.Sequential(ImageDecoder(feature, (1, *shape), width), nn.Flatten(1, 2))
        else:
            self.layers = ImageDecoder(feature, shape, width)

    @classmethod
    def takes(cls, feature: Shape, shape: Shape) -> bool:
        """Return whether the feature reaches the input's size: frames do not become more or fewer."""
        if len(shape) == 2 and len(feature) == 2:
            return feature[0] == shape[0]
        return len(shape) in (2, 3) and len(feature) in (1, 3)

    def forward(self, feature: Tensor) -> Tensor:
        """Return the input."""
        given_back: Tensor = self.layers(feature)
        return given_back


class FrameDecoder(nn.Module):
    """(B, T, F) → (B, T, M) in [-1, 1]: the reconstruction head of the genre article.

    Dropout, one linear layer on every frame, clamped to the range of the input.
    """

    def __init__(self, feature: Shape, shape: Shape, dropout: float = 0.3) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(feature[1], shape[1])

    def forward(self, sequence_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B T M"]:
        """Return the frames."""
        frames: Tensor = self.linear(self.dropout(sequence_BTF)).clamp(-1.0, 1.0)
        return frames


class ImageDecoder(nn.Module):
    """(B, F) or (B, F, h, w) → (B, C, H, W): doubles the size by transposed convolutions, then fits it exactly."""

    def __init__(self, feature: Shape, shape: Shape, width: int = 64) -> None:
        super().__init__()
        start = feature[1:] if len(feature) == 3 else tuple(max(1, side // _SHRUNK) for side in shape[1:])
        doublings = max(0, math.ceil(math.log2(max(shape[1] / start[0], shape[2] / start[1]))))
        layers: list[nn.Module] = []
        channels = feature[0]
        if len(feature) == 1:
            layers += [nn.Linear(channels, width * math.prod(start)), nn.Unflatten(1, (width, *start))]
            channels = width
        for _ in range(doublings):
            layers += [nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1), nn.ReLU()]
            channels = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, shape[0], 3, padding=1))
        self.size = shape[1:]

    def forward(self, feature: Tensor) -> Float[Tensor, "B C H W"]:
        """Return the image."""
        image: Tensor = self.layers(feature)
        if image.shape[2:] != self.size:
            image = nn.functional.interpolate(image, self.size, mode="bilinear", align_corners=False)
        return image
