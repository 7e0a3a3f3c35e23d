"""The sharing contract: how tasks share trunks.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from torch import Tensor, nn

from descant.registry import Registry
from descant.trunks.base import Shapes, Trunk


class Sharing(nn.Module):
    """Gives each task its feature.

    A subclass's constructor takes ``make_trunk`` (a new trunk at each call), ``features`` (by task, main first, the
    name of the feature that its head reads), ``inputs`` (shapes) and the recipe's options.

    Raises:
        UserError: a trunk without such a feature, or one that cannot be shared in this way.
    """

    shapes: dict[str, tuple[int, ...]]
    """The shape of each task's feature, without the batch."""

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return the feature of each of ``tasks``, batch first; what serves other tasks alone is not computed."""
        raise NotImplementedError


sharings: Registry[Sharing] = Registry("sharing", "sharings")
MakeTrunk = Callable[[], Trunk]

__all__ = ["MakeTrunk", "Shapes", "Sharing", "sharings"]
