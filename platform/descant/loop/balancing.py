"""Asks the balancer for all ranks, and puts losses in proportion before it is asked.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from descant.balance import Balancer, GramianBalancer, LossBalancer, Signals, Static
from descant.data.order import step_seed
from descant.loop.conflicts import Conflicts, conflicts
from descant.loop.ranks import Ranks
from descant.recipe import BalanceSettings
from descant.tasks import Task

_LEAST = 1e-30
"""A loss that others are divided by counts as this at least."""


class Balancing:
    """The weights that the balancer gives the tasks at each step: the same on every rank to the last bit.

    Args:
        balancer: which decides.
        settings: how often it is asked, and of what.
        main: the main task's place.
        seed: of the run.
        ranks: who step along.
    """

    def __init__(self, balancer: Balancer, settings: BalanceSettings, main: int, seed: int, ranks: Ranks) -> None:
        self.balancer, self.settings = balancer, settings
        self._main, self._seed, self._ranks = main, seed, ranks
        self.epoch, self.epochs = 0, 1
        size = len(balancer.tasks)
        self._weights_K = torch.ones(size, dtype=torch.float64)
        self._gramian_KK = torch.full((size, size), torch.nan, dtype=torch.float64)
        self._first_K = torch.full((size,), torch.nan, dtype=torch.float64)
        self._sums_2K = torch.zeros(2, size, dtype=torch.float64)  # of losses, and of steps
        self._means_K: Tensor | None = None
        self._latest: Signals | None = None

    @property
    def reads_gradients(self) -> bool:
        """Whether the balancer looks at the tasks' gradients."""
        return isinstance(self.balancer, GramianBalancer)

    def decides(self, step: int) -> bool:
        """Return whether the balancer is asked at a step; at the others its latest weights hold."""
        return step % self.settings.every == 0

    def reads_step(self, step: int) -> bool:
        """Return whether a decision at this step needs the whole of it: its losses, or its gradients."""
        reads = self._reads_losses or self.reads_gradients
        return self.settings.normalise is not None or (reads and self.decides(step))

    def reads_after(self, step: int) -> bool:
        """Return whether the balancer wants to know what a step, at which it decided, did to the losses."""
        return self.balancer.reads_after and self._latest is not None and self._latest.step == step

    @property
    def latest_weights(self) -> dict[str, float]:
        """The weights of the latest decision, by task; none of a balancer that decides nothing."""
        if self._latest is None or isinstance(self.balancer, Static):
            return {}
        places = self._latest.places_P
        return {self.balancer.tasks[place]: float(self._weights_K[place]) for place in places.tolist()}

    def conflicts(self) -> Conflicts | None:
        """Return what the Gramian of the latest decision tells of the tasks, None without one."""
        return None if self._latest is None else conflicts(self._latest, self.balancer.tasks)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Note the epoch, from 0, of a run of ``epochs``."""
        self.epoch, self.epochs = epoch, epochs

    def scales(self, own_means_K: Tensor, taught: Sequence[int]) -> Tensor | None:
        """Return what each loss is multiplied by before it is balanced, (K,); every rank calls it before ``weights``.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses, without gradient.
            taught: the places of the tasks that have labels in the global batch, increasing.
        """
        if self.settings.normalise is None:
            return None
        self._means_K = self._ranks.sum(own_means_K.double()).cpu()
        if not self._means_K[list(taught)].isfinite().all():
            return None  # the batch will be taken again without what spoils it
        at_P, scales_K = torch.tensor(taught, dtype=torch.long), torch.ones(len(own_means_K), dtype=torch.float64)
        sizes_P = self._means_K[at_P].abs().clamp(min=_LEAST)
        self._first_K[at_P] = torch.where(self._first_K[at_P].isnan(), sizes_P, self._first_K[at_P])
        self._sums_2K[:, at_P] += torch.stack([sizes_P, torch.ones_like(sizes_P)])
        if self.settings.normalise == "log":
            scales_K[at_P] = 1 / sizes_P
        else:
            running_K = self._sums_2K[0] / self._sums_2K[1]
            scales_K[at_P] = 1 / (self._first_K if self.settings.normalise == "initial" else running_K)[at_P]
        return scales_K.to(own_means_K)

    def weights(
        self, own_means_K: Tensor, taught: Sequence[int], step: int, own_gramian_KK: Tensor | None = None
    ) -> Tensor:
        """Return the weight of each task at a step, (K,), 0 for those that it does not teach; every rank calls it.

        Args:
            own_means_K: as for ``scales``.
            taught: the places of the tasks that have labels in the global batch and are to be weighed, increasing.
            step: its number.
            own_gramian_KK: this rank's share of the Gramian, for balancers that read it, at steps that decide.
        """
        at_P = torch.tensor(taught, dtype=torch.long)
        if taught and self.decides(step):
            signals = self._signals(own_means_K, at_P, step, own_gramian_KK)
            if signals is not None:
                self._latest, self._weights_K[at_P] = signals, self._decided(signals)
        weights_K = torch.zeros_like(self._weights_K)
        weights_K[at_P] = self._weights_K[at_P]
        return weights_K.to(own_means_K)

    def after_step(self, own_means_K: Tensor) -> None:
        """Tell the balancer what the losses of the latest step are after it; every rank calls it.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses on the same batch, without gradient.
        """
        assert self._latest is not None, "no step was balanced yet"
        means_K = self._normalised(self._ranks.sum(own_means_K.double()).cpu())
        self.balancer.after_step(self._latest, means_K[self._latest.places_P])

    def after_evaluation(
        self, epoch: int, tasks: Mapping[str, Task], scores: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Tell the balancer what each task's first metric is on the validation split, such that greater is better."""
        told = {}
        for name, values in scores.items():
            metric, made = next(iter(tasks[name].metrics().items()), (None, None))
            if metric is not None and made is not None:
                told[name] = values[metric] if made.direction == "max" else -values[metric]
        self.balancer.after_evaluation(epoch, told)

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {
            "balancer": self.balancer.state_dict(),
            "weights": self._weights_K.clone(),
            "gramian": self._gramian_KK.clone(),
            "first": self._first_K.clone(),
            "sums": self._sums_2K.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self.balancer.load_state_dict(state["balancer"])
        self._weights_K, self._gramian_KK = state["weights"].clone(), state["gramian"].clone()
        self._first_K, self._sums_2K = state["first"].clone(), state["sums"].clone()

    def _decided(self, signals: Signals) -> Tensor:
        balancer = self.balancer
        assert isinstance(balancer, (LossBalancer, GramianBalancer))
        if balancer.main_first and signals.main is None:
            return torch.ones_like(signals.losses_P)
        return balancer.weights(signals)

    def _signals(self, own_means_K: Tensor, at_P: Tensor, step: int, own_gramian_KK: Tensor | None) -> Signals | None:
        """Return what all ranks together know; None if some of it is not finite."""
        gramian_KK = None if own_gramian_KK is None else own_gramian_KK.double()
        means_K, self._means_K = self._means_K, None
        if means_K is None and self._reads_losses:
            told = [own_means_K.double()[None], *([] if gramian_KK is None else [gramian_KK.to(own_means_K.device)])]
            means_K, *rows = self._ranks.sum(torch.cat(told)).cpu()  # one message
            gramian_KK = torch.stack(rows) if rows else None
        elif gramian_KK is not None:
            gramian_KK = self._ranks.sum(gramian_KK.to(own_means_K.device)).cpu()
        for known in (means_K, gramian_KK):
            if known is not None and not known[at_P].isfinite().all():
                return None  # the batch will be taken again without what spoils it
        losses_K = torch.ones_like(self._first_K) if means_K is None else self._normalised(means_K)
        return Signals(
            places_P=at_P,
            losses_P=losses_K[at_P],
            main=at_P.tolist().index(self._main) if self._main in at_P else None,
            step=step,
            epoch=self.epoch,
            epochs=self.epochs,
            generator=torch.Generator().manual_seed(step_seed(self._seed, step, -1)),
            gramian_PP=None if gramian_KK is None else self._smoothed(gramian_KK, at_P),
        )

    @property
    def _reads_losses(self) -> bool:
        return not isinstance(self.balancer, LossBalancer) or self.balancer.reads_losses

    def _normalised(self, means_K: Tensor) -> Tensor:
        match self.settings.normalise:
            case "log":
                return means_K.clamp(min=_LEAST).log()
            case "initial":
                return means_K / self._first_K
            case "mean":
                return means_K * self._sums_2K[1] / self._sums_2K[0]
            case _:
                return means_K

    def _smoothed(self, gramian_KK: Tensor, at_P: Tensor) -> Tensor:
        """Return the Gramian of the tasks that are taught, with momentum over the steps that taught both of two."""
        rows_P1, before_KK, momentum = at_P[:, None], self._gramian_KK, self.settings.momentum
        gramian_PP = gramian_KK[rows_P1, at_P]
        if momentum:
            before_PP = torch.where(before_KK[rows_P1, at_P].isnan(), gramian_PP, before_KK[rows_P1, at_P])
            gramian_PP = momentum * before_PP + (1 - momentum) * gramian_PP
            before_KK[rows_P1, at_P] = gramian_PP
        return gramian_PP
