"""Multi-task attention network (Liu et al. 2019): soft masks of each task over maps of a shared trunk.

Shapes: B samples, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from descant.errors import UserError, nearest
from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings
from descant.trunks.base import Trunk
from descant.trunks.staged import StagedTrunk

FEATURES = ("pooled", "map")


@sharings.register("mtan")
class MTAN(Sharing):
    """A shared trunk, and for each task masks from 0 to 1 over the maps that some of its modules give.

    For the maps p_1 … p_n: â_j = σ(h_j(relu(g_j([p_j, f_{j−1}(â_{j−1})])))) · p_j, with g and h convolutions of one
    pixel and f one of 3×3, each with batch normalisation; f ends in ReLU and is pooled to the next map's size. A task
    reads ``map``, which is â_n (C, H, W), or ``pooled``, its mean over the pixels (C,).

    In the paper a mask is made from a block's first convolution and laid on its last; here both are the map that is
    there. The paper ends in a decoder with masks of its own, for dense tasks; here the means go to the heads.

    Args:
        layers: the modules whose maps are masked, in order; by default the stages of the trunk that give maps.
        width: channels between g and h.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        layers: Sequence[str] | None = None,
        width: int = 64,
    ) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"sharing.width is {width}: give a whole number of channels from 1")
        self.features = dict(features)
        for task, feature in features.items():
            if feature not in FEATURES:
                raise UserError(
                    f"the task {task!r} reads the feature {feature!r}, but the sharing 'mtan' gives 'pooled' and 'map'"
                )
        self.trunk = make_trunk()
        maps = _maps(self.trunk, layers, inputs)
        self.layers = list(maps)
        self.attention = nn.ModuleDict({task: Attention(list(maps.values()), width) for task in features})
        last = list(maps.values())[-1]
        self.shapes = {task: last if feature == "map" else last[:1] for task, feature in features.items()}

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return each task's masked map (B, C, H, W), or its mean (B, C)."""
        given = self.trunk(inputs)
        masked = {task: self.attention[task]([given[layer] for layer in self.layers]) for task in tasks}
        return {task: m if self.features[task] == "map" else m.mean((2, 3)) for task, m in masked.items()}


class Attention(nn.Module):
    """One task's masks over maps of the ``shapes`` (C, H, W)."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], width: int) -> None:
        super().__init__()
        self.masks, self.carries = nn.ModuleList(), nn.ModuleList()
        for index, (channels, height, size) in enumerate(shapes):
            if index:
                self.carries.append(_carry(shapes[index - 1][0], channels, height, size))
            seen = 2 * channels if index else channels
            self.masks.append(nn.Sequential(*_normed(seen, width), nn.ReLU(), *_normed(width, channels), nn.Sigmoid()))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the last map behind its mask."""
        masked = self.masks[0](maps[0]) * maps[0]
        for mask, carry, value in zip(self.masks[1:], self.carries, maps[1:], strict=True):
            masked = mask(torch.cat([value, carry(masked)], 1)) * value
        result: Tensor = masked
        return result


def _normed(before: int, after: int, size: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(before, after, size, padding=size // 2, bias=False), nn.BatchNorm2d(after)


def _carry(before: int, after: int, height: int, width: int) -> nn.Sequential:
    return nn.Sequential(*_normed(before, after, 3), nn.ReLU(), nn.AdaptiveMaxPool2d((height, width)))


def _maps(trunk: Trunk, layers: Sequence[str] | None, inputs: Shapes) -> dict[str, tuple[int, ...]]:
    """Have the trunk give the maps that are masked, and return their shapes by name.

    Raises:
        UserError: a layer that the trunk lacks or that gives no map, or none is found.
    """
    if layers is not None:
        known = [*trunk.feature_shapes(inputs), *(name for name, _ in trunk.named_modules() if name)]
        for layer in layers:
            if layer not in known:
                raise UserError(f"the sharing 'mtan' cannot mask the layer {layer!r}: {nearest(layer, known)}")
        names = list(dict.fromkeys(layers))
    else:
        names = list(trunk.stages()) if isinstance(trunk, StagedTrunk) else []
    shapes = trunk.tap({name: name for name in names}, inputs)
    flat = [f"{name} {shape}" for name, shape in shapes.items() if len(shape) != 3]
    maps: dict[str, tuple[int, ...]] = {name: shape for name, shape in shapes.items() if len(shape) == 3}
    if not maps or (flat and layers is not None):
        raise UserError(
            f"the sharing 'mtan' masks maps (C, H, W), but {', '.join(flat) or 'the trunk ' + type(trunk).__name__} "
            f"gives none: name in 'layers' modules of the trunk that do"
        )
    return maps
