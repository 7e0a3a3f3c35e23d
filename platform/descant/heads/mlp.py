"""Linear and multi-layer heads on a pooled feature."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from descant.errors import UserError


def mlp(feature: tuple[int, ...], outputs: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> nn.Sequential:
    """Return (B, F) → (B, outputs): hidden layers with ReLU and dropout, then a linear layer.

    A feature with more dimensions than one (a map (C, H, W), a sequence (T, F)) is averaged over them first.

    Raises:
        UserError: a dropout outside [0, 1) or a hidden layer without units.
    """
    if not 0.0 <= dropout < 1.0:
        raise UserError(f"a head's dropout is {dropout}: give a share from 0 up to 1")
    if any(width < 1 for width in hidden):
        raise UserError(f"a head's hidden layers are {list(hidden)}: give whole numbers from 1")
    layers: list[nn.Module] = []
    if len(feature) == 3:
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(1)]
        width = feature[0]
    elif len(feature) == 2:
        layers.append(MeanOverTime())
        width = feature[1]
    else:
        width = feature[0]
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class MeanOverTime(nn.Module):
    """(B, T, F) → (B, F)."""

    def forward(self, sequence_BTF: Float[Tensor, "B T F"]) -> Float[Tensor, "B F"]:
        """Return the mean over time."""
        return sequence_BTF.mean(1)
