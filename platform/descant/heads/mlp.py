"""Linear and multi-layer heads on a feature of any shape, averaged to one vector a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from descant.errors import UserError
from descant.heads.base import Head, Shape, folded, register_head


class MeanOverTime(nn.Module):
    """(B, T, F) → (B, F)."""

    def forward(self, sequence_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B F"]:
        """Return the mean over time."""
        return sequence_BTF.mean(1)


@register_head("mlp")
class MLPHead(Head, nn.Sequential):
    """Hidden layers with ReLU and dropout, then a linear layer.

    A map (C, H, W) or a sequence (T, F) is averaged over places or time first.

    Args:
        feature, shape: of what goes in and comes out.
        hidden: the hidden layers' widths.
        dropout: after each of them.
    """

    needs: ClassVar[str] = "a feature of shape (F,), (T, F) or (C, H, W)"

    def __init__(self, feature: Shape, shape: Shape, hidden: Sequence[int] = (128,), dropout: float = 0.0) -> None:
        check_layers(hidden, dropout)
        averaging: dict[int, list[nn.Module]] = {
            1: [],
            2: [MeanOverTime()],
            3: [nn.AdaptiveAvgPool2d(1), nn.Flatten(1)],
        }
        width = feature[-1] if len(feature) < 3 else feature[0]
        layers = perceptron(width, math.prod(shape), hidden, dropout)
        super().__init__(*averaging[len(feature)], *layers, *folded(shape))

    @property
    def rows(self) -> nn.Linear | None:
        """The last layer."""
        return next(layer for layer in reversed(list(self)) if isinstance(layer, nn.Linear))

    @classmethod
    def takes(cls, feature: Shape, shape: Shape) -> bool:
        """Return whether the feature can be averaged to a vector."""
        return 1 <= len(feature) <= 3


@register_head("linear")
class LinearHead(MLPHead):
    """One linear layer, of a map or a sequence on its average.

    Args:
        feature, shape: of what goes in and comes out.
        dropout: before the layer.
    """

    def __init__(self, feature: Shape, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__(feature, shape, hidden=())
        check_layers((), dropout)
        if dropout:
            linear = next(place for place, layer in enumerate(self) if isinstance(layer, nn.Linear))
            self.insert(linear, nn.Dropout(dropout))


def mlp(feature: Shape, outputs: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> MLPHead:
    """Return (B, *feature) → (B, outputs), for tasks that make their head themselves.

    Raises:
        UserError: a dropout outside [0, 1) or a hidden layer without units.
    """
    return MLPHead(feature, (outputs,), hidden, dropout)


def perceptron(width: int, outputs: int, hidden: Sequence[int], dropout: float) -> list[nn.Module]:
    """Return the layers from ``width`` numbers to ``outputs``: linear, with ReLU and dropout after hidden ones."""
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return [*layers, nn.Linear(width, outputs)]


def check_layers(hidden: Sequence[int], dropout: float) -> None:
    """Raise a UserError for a dropout outside [0, 1) or a hidden layer without units."""
    if not 0.0 <= dropout < 1.0:
        raise UserError(f"a head's dropout is {dropout}: give a share from 0 up to 1")
    if any(width < 1 for width in hidden):
        raise UserError(f"a head's hidden layers are {list(hidden)}: give whole numbers from 1")
