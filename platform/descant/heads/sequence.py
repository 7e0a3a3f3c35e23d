"""A head on every frame of a sequence.

Shapes: B samples, T frames, F features, N outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from torch import nn

from descant.errors import UserError
from descant.heads.base import Head, Shape, folded, register_head
from descant.heads.mlp import MeanOverTime, check_layers, perceptron


@register_head("sequence")
class SequenceHead(Head, nn.Sequential):
    """The same layers on every frame; their outputs are averaged over time, or kept one by one.

    Args:
        feature, shape: (T, F), and what comes out: of any shape, or frame by frame (T,) or (T, …).
        average: one output a sample, the mean over its frames; false: an output a frame, for targets that have frames.
        hidden: widths of hidden layers, each with ReLU.
        dropout: after each of them.
    """

    reads: ClassVar[str | None] = "sequence"
    needs: ClassVar[str] = "a sequence (T, F)"

    def __init__(
        self, feature: Shape, shape: Shape, average: bool = True, hidden: Sequence[int] = (), dropout: float = 0.0
    ) -> None:
        check_layers(hidden, dropout)
        if not average and shape[0] != feature[0]:
            raise UserError(
                f"a head without averaging gives an output for each of the {feature[0]} frames of its feature, but "
                f"the target has the shape {shape}: set average=true, or attach it to a sequence of {shape[0]} frames"
            )
        layers = perceptron(feature[1], math.prod(shape if average else shape[1:]), hidden, dropout)
        super().__init__(*layers, *((MeanOverTime(), *folded(shape)) if average else _frames(shape)))

    @classmethod
    def takes(cls, feature: Shape, shape: Shape) -> bool:
        """Return whether the feature is a sequence."""
        return len(feature) == 2


def _frames(shape: Shape) -> list[nn.Module]:
    """Return the layers that give outputs (B, T, N) the shape (B, *shape)."""
    return [nn.Flatten(1), *folded(shape)]
