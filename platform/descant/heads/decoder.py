"""Heads that give the input back: frame by frame for sequences, by transposed convolutions for images.

Shapes: B samples, T frames, F features, M bands, C channels, H height, W width.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn

from descant.errors import UserError


class FrameDecoder(nn.Module):
    """(B, T, F) → (B, T, M) in [-1, 1]: the reconstruction head of the genre article.

    Dropout, one linear layer on every frame, clamped to the range of the input.
    """

    def __init__(self, feature: tuple[int, ...], shape: tuple[int, ...], dropout: float = 0.3) -> None:
        super().__init__()
        if len(feature) != 2 or len(shape) != 2 or feature[0] != shape[0]:
            raise UserError(
                f"a frame decoder cannot make frames of shape {shape} from a feature of shape {feature}: "
                f"attach it to a 'sequence' feature with as many frames as the input"
            )
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(feature[1], shape[1])

    def forward(self, sequence_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B T M"]:
        """Return the frames."""
        frames: Tensor = self.linear(self.dropout(sequence_BTF)).clamp(-1.0, 1.0)
        return frames


class ImageDecoder(nn.Module):
    """(B, F) or (B, F, h, w) → (B, C, H, W): doubles the size by transposed convolutions, then fits it exactly."""

    def __init__(self, feature: tuple[int, ...], shape: tuple[int, ...], width: int = 64) -> None:
        super().__init__()
        if len(shape) != 3 or len(feature) not in (1, 3):
            raise UserError(
                f"an image decoder cannot make an image of shape {shape} from a feature of shape {feature}: "
                f"attach it to a 'map' or 'pooled' feature"
            )
        start = feature[1:] if len(feature) == 3 else (max(1, shape[1] // 8), max(1, shape[2] // 8))
        doublings = max(0, math.ceil(math.log2(max(shape[1] / start[0], shape[2] / start[1]))))
        layers: list[nn.Module] = []
        channels = feature[0]
        if len(feature) == 1:
            layers += [nn.Linear(channels, width * start[0] * start[1]), nn.Unflatten(1, (width, *start))]
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
