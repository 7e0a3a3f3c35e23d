"""Experts and gates: what the schemes that mix experts have in common.

Shapes: B samples, F features, E experts, H the experts' width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from descant.errors import UserError
from descant.sharing.base import Shapes
from descant.trunks.base import Trunk


class Gate(nn.Module):
    """Σ_e softmax(W x)_e f_e, with weights from x (B, F) for experts f_e (B, H)."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, experts, bias=False)

    def forward(self, x_BF: Float[Tensor, "B F"], experts: Sequence[Tensor]) -> Float[Tensor, "B H"]:
        """Return the experts' weighted mean."""
        shares_BE = self.linear(x_BF).softmax(1)
        mixed_BH: Tensor = (shares_BE[..., None] * torch.stack(list(experts), 1)).sum(1)
        return mixed_BH


class Experts(nn.ModuleList):
    """``count`` small networks of linear layers with ReLU: ``width`` → hidden[0] → … → hidden[-1]."""

    def __init__(self, width: int, hidden: Sequence[int], count: int) -> None:
        super().__init__(_expert(width, hidden) for _ in range(count))

    def forward(self, x_BF: Float[Tensor, "B F"]) -> list[Tensor]:
        """Return what each gives (B, H)."""
        return [expert(x_BF) for expert in self]


class Levels(nn.ModuleList):
    """Modules of which one is called by its number."""

    def forward(self, level: int, *given: object) -> Any:
        """Return what the module of ``level`` gives."""
        return self[level](*given)


def _expert(width: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU()]
        width = units
    return nn.Sequential(*layers)


def check_experts(hidden: Sequence[int], **counts: int) -> None:
    """Raise a UserError for experts without layers or units, or a count below 1."""
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"sharing.{name} is {count}: give a whole number from 1")
    if not hidden or min(hidden) < 1:
        raise UserError(f"sharing.hidden is {list(hidden)}: give at least one width of an expert's layers, from 1")


def vector_feature(scheme: str, trunk: Trunk, features: Mapping[str, str], inputs: Shapes) -> tuple[str, int]:
    """Return the one feature that all tasks read, and its width.

    Raises:
        UserError: it is not one, or has more dimensions than one.
    """
    shapes = trunk.tap(features, inputs)
    names = dict.fromkeys(features.values())
    shape = next(iter(shapes.values()))
    if len(names) > 1 or len(shape) != 1:
        read = ", ".join(f"{task!r} reads {name!r} {shapes[task]}" for task, name in features.items())
        fit = [repr(name) for name, shape in trunk.feature_shapes(inputs).items() if len(shape) == 1]
        raise UserError(
            f"the sharing {scheme!r} puts its experts on one feature of one dimension for all tasks, but {read}: "
            f"have all read {' or '.join(fit) or 'an inner one of one dimension, which this trunk has to be given'}"
        )
    return next(iter(names)), shape[0]
