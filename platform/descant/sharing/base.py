"""The sharing contract: how tasks share trunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from descant.registry import Registry
from descant.trunks.base import Shapes, Trunk


class Sharing(nn.Module):
    """Gives each task its feature.

    A subclass's constructor takes ``make_trunk`` (a new trunk at each call), ``features`` (the name of the feature
    that each task's head reads), ``inputs`` (shapes) and the recipe's options.
    """

    shapes: dict[str, tuple[int, ...]]
    """The shape of each task's feature, without the batch."""

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each task's feature by the task's name, batch first."""
        raise NotImplementedError


sharings: Registry[Sharing] = Registry("sharing", "sharings")
MakeTrunk = Callable[[], Trunk]

__all__ = ["MakeTrunk", "Shapes", "Sharing", "sharings"]
