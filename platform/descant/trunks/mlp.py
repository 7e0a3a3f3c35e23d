"""A multi-layer perceptron.

Shapes: B samples, F features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from descant.errors import UserError
from descant.trunks.base import Shapes, register_trunk
from descant.trunks.staged import StagedTrunk


@register_trunk("mlp")
class MLP(StagedTrunk):
    """Linear layers with ReLU and dropout over all inputs, flattened and put side by side in the order of their names.

    Feature: ``pooled`` (F,), F the last width.

    Args:
        inputs: inputs of any shape.
        hidden: the layers' widths.
        dropout: after each layer.
    """

    def __init__(self, inputs: Shapes, hidden: Sequence[int] = (256, 256), dropout: float = 0.0) -> None:
        super().__init__()
        if not hidden or min(hidden) < 1 or not 0.0 <= dropout < 1.0:
            raise UserError(
                f"the trunk 'mlp' has hidden={list(hidden)} and dropout={dropout}: "
                f"give at least one width from 1, and a dropout from 0 up to 1"
            )
        self.inputs = sorted(inputs)
        width = sum(math.prod(shape) for shape in inputs.values())
        layers: list[nn.Module] = []
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
            width = units
        self.layers = nn.Sequential(*layers)

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Return the linear layers, each with what follows it."""
        starts = range(0, len(self.layers), 3)
        return {f"layers.{at + 2}": tuple(f"layers.{at + part}" for part in range(3)) for at in starts}

    def enter(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the inputs side by side (B, F)."""
        return torch.cat([inputs[name].flatten(1) for name in self.inputs], dim=1)

    def features(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``pooled`` (B, F)."""
        return {"pooled": outputs[f"layers.{len(self.layers) - 1}"]}
