"""The auxiliary classifier of GoogLeNet (Szegedy et al., CVPR 2015).

Shapes: B samples, C channels, H height, W width.
"""

from __future__ import annotations

import math
from typing import ClassVar

from torch import nn

from descant.errors import UserError
from descant.heads.base import Head, Shape, folded, register_head
from descant.heads.mlp import check_layers

_WINDOW, _STRIDE = 5, 3


@register_head("inception")
class InceptionHead(Head, nn.Sequential):
    """Average pooling 5 × 5 with stride 3, 1 × 1 convolution, a hidden layer, dropout, a linear layer.

    A map that is smaller than the window in height or width is averaged over all of it in that direction. The defaults
    are the paper's.

    Args:
        feature, shape: of what goes in and comes out.
        channels: of the convolution.
        hidden: width of the hidden layer.
        dropout: after the hidden layer.
    """

    reads: ClassVar[str | None] = "map"
    needs: ClassVar[str] = "a map (C, H, W), such as 'map' or a convolution inside the trunk"

    def __init__(
        self, feature: Shape, shape: Shape, channels: int = 128, hidden: int = 1024, dropout: float = 0.7
    ) -> None:
        check_layers((hidden,), dropout)
        if channels < 1:
            raise UserError(f"a head's convolution has {channels} channels: give a whole number from 1")
        height, width = ((side - _WINDOW) // _STRIDE + 1 if side >= _WINDOW else 1 for side in feature[1:])
        small = min(feature[1:]) < _WINDOW
        super().__init__(
            nn.AdaptiveAvgPool2d((height, width)) if small else nn.AvgPool2d(_WINDOW, _STRIDE),
            nn.Conv2d(feature[0], channels, 1),
            nn.ReLU(),
            nn.Flatten(1),
            nn.Linear(channels * height * width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, math.prod(shape)),
            *folded(shape),
        )

    @classmethod
    def takes(cls, feature: Shape, shape: Shape) -> bool:
        """Return whether the feature is a map."""
        return len(feature) == 3
