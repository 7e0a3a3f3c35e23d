"""Points of an image as the expected places of heatmaps: soft-argmax, or DSNT (Nibali et al. 2018).

Shapes: B samples, C channels, P points, H height, W width of the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descant.heads.base import Head, Shape, register_head
from descant.heads.mlp import check_layers


@register_head("heatmap")
class HeatmapHead(Head):
    """A heatmap for each point, by 1 × 1 convolutions; softmax over its places; the mean place under it.

    Points (x, y) come in units of the image's longer side, as landmarks are learnt. The map stands for the whole image,
    in the image's proportions; each of its places for its centre. So no point comes nearer to the border than half a
    place: read a map of some size, if need be from inside the trunk.

    Args:
        feature, shape: (C, H, W) and (P, 2).
        hidden: channels of convolutions 3 × 3 with ReLU before that.
        dropout: of whole channels, after each of them.
    """

    reads: ClassVar[str | None] = "map"
    needs: ClassVar[str] = "a map (C, H, W) of at least 2 × 2 places, and points (P, 2) to find"
    place_x: Tensor
    place_y: Tensor

    def __init__(self, feature: Shape, shape: Shape, hidden: Sequence[int] = (), dropout: float = 0.0) -> None:
        super().__init__()
        check_layers(hidden, dropout)
        channels, height, width = feature
        layers: list[nn.Module] = []
        for units in hidden:
            layers += [nn.Conv2d(channels, units, 3, padding=1), nn.ReLU(), nn.Dropout2d(dropout)]
            channels = units
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, shape[0], 1))
        longer = max(height, width)
        self.register_buffer("place_x", (torch.arange(width) + 0.5) / longer, persistent=False)
        self.register_buffer("place_y", (torch.arange(height) + 0.5) / longer, persistent=False)

    @classmethod
    def takes(cls, feature: Shape, shape: Shape) -> bool:
        """Return whether there are places to choose from, and points to find."""
        return len(feature) == 3 and min(feature[1:]) >= 2 and len(shape) == 2 and shape[1] == 2

    def heatmaps(self, map_BCHW: Float[Tensor, "B C H W"]) -> Float[Tensor, "B P H W"]:
        """Return how likely each point is at each place; they sum to 1 for each point."""
        logits_BPHW: Tensor = self.layers(map_BCHW).float()
        likely_BPHW: Tensor = logits_BPHW.flatten(2).softmax(2).reshape(logits_BPHW.shape)
        return likely_BPHW

    def forward(self, map_BCHW: Float[Tensor, "B C H W"]) -> Float[Tensor, "B P 2"]:
        """Return the points."""
        likely_BPHW = self.heatmaps(map_BCHW)
        x_BP = (likely_BPHW.sum(2) * self.place_x).sum(2)  # no matrix product, which mixed precision would round
        y_BP = (likely_BPHW.sum(3) * self.place_y).sum(2)
        return torch.stack([x_BP, y_BP], dim=2)
