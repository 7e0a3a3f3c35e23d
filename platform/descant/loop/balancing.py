"""Asks the balancer, once a step, for all ranks.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from descant.balance import Balancer, GramianBalancer, LossBalancer, Signals
from descant.data.order import step_seed
from descant.loop.ranks import Ranks


class Balancing:
    """The weights that the balancer gives the tasks at each step.

    Args:
        balancer: which decides.
        main: the main task's place.
        seed: of the run.
        ranks: who step along: the first one's decision is everybody's.
    """

    def __init__(self, balancer: Balancer, main: int, seed: int, ranks: Ranks) -> None:
        self.balancer, self._main, self._seed, self._ranks = balancer, main, seed, ranks
        self.epoch, self.epochs = 0, 1

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Note the epoch, from 0, of a run of ``epochs``."""
        self.epoch, self.epochs = epoch, epochs

    def weights(
        self, own_means_K: Tensor, taught: Sequence[int], step: int, own_gramian_KK: Tensor | None = None
    ) -> Tensor:
        """Return the weight of each task at a step, (K,), 0 for those that it does not teach; every rank calls it.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses, without gradient.
            taught: the places of the tasks that have labels in the global batch, increasing.
            step: its number.
            own_gramian_KK: this rank's share of the Gramian, for balancers that read it.
        """
        balancer = self.balancer
        assert isinstance(balancer, (LossBalancer, GramianBalancer))
        weights_K = own_means_K.new_zeros(len(own_means_K))
        if not taught:
            return weights_K
        reads = not isinstance(balancer, LossBalancer) or balancer.reads_losses
        told = [own_means_K.double()[:, None], *([] if own_gramian_KK is None else [own_gramian_KK.double()])]
        told_K1K = torch.cat(told, 1)  # one message
        if reads:
            told_K1K = self._ranks.sum(told_K1K).cpu()
        places_P = torch.tensor(taught)
        means_P = told_K1K[places_P.to(told_K1K.device), 0] if reads else torch.ones(len(taught), dtype=torch.float64)
        signals = Signals(
            places_P=places_P,
            losses_P=means_P,
            main=taught.index(self._main) if self._main in taught else None,
            step=step,
            epoch=self.epoch,
            epochs=self.epochs,
            generator=torch.Generator().manual_seed(step_seed(self._seed, step, 0)),
            gramian_PP=None if own_gramian_KK is None else told_K1K[places_P][:, 1 + places_P],
        )
        if balancer.main_first and signals.main is None:
            weights_P = torch.ones_like(means_P)
        else:
            weights_P = balancer.weights(signals)
        weights_K[places_P.to(weights_K.device)] = weights_P.to(weights_K)
        return weights_K
