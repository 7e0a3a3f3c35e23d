"""What a step gathers of its tasks' losses and gradients for the balancer, one micro-batch after the other.

Shapes: K tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from descant.cut import Cut
from descant.loop.ranks import Ranks
from descant.loop.shared_gradients import SharedGradients


class Look:
    """This rank's share.

    Args:
        tasks: all of them, K.
        taught: those that the step teaches.

    Attributes:
        means_K: of the tasks' mean losses.
        reaching: the tasks that the step teaches and whose gradients reach what is shared.
    """

    def __init__(self, tasks: Sequence[str], taught: Sequence[str]) -> None:
        self.tasks, self.taught, self.reaching = list(tasks), list(taught), list(taught)
        self.means_K: Tensor = torch.zeros(())

    def add(self, means_K: Tensor, cut: Cut | None) -> None:
        """Add a micro-batch, after its losses' backward pass."""
        self.means_K = self.means_K.to(means_K) + means_K.detach()
        if cut is not None:
            self.reaching = [name for name in self.taught if name in cut.tasks]
            self.add_gradients(cut)

    def add_gradients(self, cut: Cut) -> None:
        """Add a micro-batch's gradients; nothing for balancers that read none."""


class GramianLook(Look):
    """Inner products of the gradients at the features."""

    def __init__(self, tasks: Sequence[str], taught: Sequence[str]) -> None:
        super().__init__(tasks, taught)
        self._gramian_KK = torch.zeros(len(tasks), len(tasks), dtype=torch.float64)

    def add_gradients(self, cut: Cut) -> None:
        """Add a micro-batch's."""
        self._gramian_KK += cut.gramian(self.tasks)

    def gramian(self) -> Tensor:
        """Return this rank's share of them, (K, K) float64."""
        return self._gramian_KK


class ParameterLook(Look):
    """Gradients of shared parameters, or their inner products.

    Args:
        tasks, taught: as for all.
        parameters: by name.
        ranks: who step along.
        keep: whether to keep the gradients, or add them up over micro-batches.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        taught: Sequence[str],
        parameters: Mapping[str, Tensor],
        ranks: Ranks,
        *,
        keep: bool,
    ) -> None:
        super().__init__(tasks, taught)
        self.shared = SharedGradients(parameters, tasks, ranks, keep=keep)

    def add_gradients(self, cut: Cut) -> None:
        """Add a micro-batch's."""
        self.shared.add(cut)

    def gramian(self) -> Tensor:
        """Return this rank's share of their inner products, (K, K) float64; every rank calls it."""
        return self.shared.gramian()


class UnitLook(Look):
    """Sums over the rows, for each unit of each feature."""

    def __init__(self, tasks: Sequence[str], taught: Sequence[str]) -> None:
        super().__init__(tasks, taught)
        self.sums: list[Tensor] = []

    def add_gradients(self, cut: Cut) -> None:
        """Add a micro-batch's."""
        sums = cut.unit_sums(self.tasks)
        self.sums = [before + more for before, more in zip(self.sums, sums, strict=True)] if self.sums else sums
