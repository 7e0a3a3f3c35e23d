"""The sharing contract: how tasks share trunks.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass

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

    is_own_view = False
    """Whether the inputs of a ``forward`` are as one task sees them, unlike the others: nothing couples it to them."""
    shapes: dict[str, tuple[int, ...]]
    """The shape of each task's feature, without the batch."""

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set what follows a schedule to ``epoch`` (from 0) of a run of ``epochs``."""

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return the feature of each of ``tasks``, batch first; what serves other tasks alone is not computed."""
        raise NotImplementedError

    def feature_key(self, task: str) -> Hashable:
        """Return a key that is the same for tasks that are given the same feature."""
        return f"of {task}"

    def coupling(self, tasks: Collection[str]) -> Coupling:
        """Return what soft sharing adds to the loss after a ``forward`` in training, between ``tasks`` alone."""
        return Coupling()


@dataclass(frozen=True)
class Coupling:
    """Terms of the loss beside those of the tasks; None where there is none.

    Attributes:
        weights: of the parameters, a scalar, already weighted; the engine adds it once a step.
        rows_B: of the activations, for each row of the latest ``forward``, already weighted; the engine adds the mean
            over the rows of the global batch that count.
    """

    weights: Tensor | None = None
    rows_B: Tensor | None = None


sharings: Registry[Sharing] = Registry("sharing", "sharings")
MakeTrunk = Callable[[], Trunk]
"""Each call gives a trunk of its own; all start from the same weights, those of a run of one task."""

__all__ = ["Coupling", "MakeTrunk", "Shapes", "Sharing", "sharings"]
