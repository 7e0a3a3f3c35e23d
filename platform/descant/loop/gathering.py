"""What all ranks together know of a step's losses and gradients, as the balancer is told it.

Shapes: K tasks of the recipe, P of them taught by a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from descant.balance import Signals
from descant.data.order import step_seed
from descant.loop.balance_way import BalanceWay
from descant.loop.loss_scales import LossScales
from descant.loop.ranks import Ranks
from descant.loop.smoothing import SmoothedGramian


class Gathering:
    """Sums over the ranks, puts losses in proportion, and smooths the Gramian.

    Args:
        way: what the balancer takes.
        main: the main task's place.
        seed: of the run.
        ranks: who step along.

    Attributes:
        spoilers: the places of tasks whose gradients at the latest step were not finite.
        latest: what the balancer was told last, and the step's own Gramian.
    """

    def __init__(self, way: BalanceWay, main: int, seed: int, ranks: Ranks) -> None:
        self._way, self._main, self._seed, self._ranks = way, main, seed, ranks
        self._epoch, self._epochs = 0, 1
        self.spoilers: list[int] = []
        self.latest: tuple[Signals, Tensor | None] | None = None
        size, how = len(way.balancer.tasks), way.settings.normalise
        self._scales = LossScales("log" if way.balancer.log_losses else how, size)
        self._smoothed = SmoothedGramian(way.settings.momentum, size)
        self._means_K: Tensor | None = None

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Note the epoch, from 0, of a run of ``epochs``."""
        self._epoch, self._epochs = epoch, epochs

    def scales(self, own_means_K: Tensor, taught: Sequence[int]) -> Tensor | None:
        """Return what each loss is multiplied by before it is balanced, (K,); every rank calls it before ``signals``.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses, without gradient.
            taught: the places of the tasks that have labels in the global batch, increasing.
        """
        if not self._way.normalises:
            return None
        self._means_K = self.summed(own_means_K)
        at_P = torch.tensor(taught, dtype=torch.long)
        if not self._means_K[at_P].isfinite().all():
            return None  # the batch will be taken again without what spoils it
        return self._scales.at(self._means_K, at_P).to(own_means_K)

    def normalised(self, means_K: Tensor) -> Tensor:
        """Return losses as the balancer sees them, (K,)."""
        return self._scales.normalised(means_K)

    def signals(self, own_means_K: Tensor, at_P: Tensor, step: int, own_gramian_KK: Tensor | None) -> Signals | None:
        """Return what the balancer is told; None if some of it is not finite: the batch will be taken again.

        Args:
            own_means_K: as for ``scales``.
            at_P: the places of the tasks that are to be weighed, increasing.
            step: its number.
            own_gramian_KK: this rank's share of the Gramian, if the balancer reads one.
        """
        gramian_KK = None if own_gramian_KK is None else own_gramian_KK.double()
        means_K, self._means_K = self._means_K, None
        if means_K is None and self._way.reads_losses:
            told = [own_means_K.double()[None], *([] if gramian_KK is None else [gramian_KK.to(own_means_K.device)])]
            means_K, *rows = self.summed(torch.cat(told))  # one message
            gramian_KK = torch.stack(rows) if rows else None
        elif gramian_KK is not None:
            gramian_KK = self.summed(gramian_KK.to(own_means_K.device))
        gramian_PP = None if gramian_KK is None else gramian_KK[at_P[:, None], at_P]
        if gramian_PP is not None:
            self.spoilers = at_P[~gramian_PP.diag().isfinite()].tolist()
        ones_K = torch.ones(len(own_means_K), dtype=torch.float64)
        losses_K = ones_K if means_K is None else self.normalised(means_K)
        if self.spoilers or not losses_K[at_P].isfinite().all():
            return None
        signals = Signals(
            places_P=at_P,
            losses_P=losses_K[at_P],
            main=at_P.tolist().index(self._main) if self._main in at_P else None,
            step=step,
            epoch=self._epoch,
            epochs=self._epochs,
            generator=torch.Generator().manual_seed(step_seed(self._seed, step, -1)),
            gramian_PP=None if gramian_PP is None else self._smoothed.after(gramian_PP, at_P),
        )
        self.latest = signals, gramian_PP
        return signals

    def summed(self, own: Tensor) -> Tensor:
        """Return the sum over all ranks, on the CPU; what was given stays as it is."""
        return self._ranks.sum(own.to(torch.float64, copy=True)).cpu()

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {"smoothed": self._smoothed.state_dict(), "scales": self._scales.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.latest = None
        self._smoothed.load_state_dict(state["smoothed"])
        self._scales.load_state_dict(state["scales"])
