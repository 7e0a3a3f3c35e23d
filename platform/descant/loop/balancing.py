"""Asks the balancer for all ranks.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from descant.balance import Balancer, GradientBalancer, GramianBalancer, LossBalancer, Signals, Static
from descant.data.order import step_seed
from descant.loop.balance_way import BalanceWay
from descant.loop.conflicts import Conflicts, conflicts
from descant.loop.loss_scales import LossScales
from descant.loop.ranks import Ranks
from descant.loop.shared_gradients import SharedGradients
from descant.loop.smoothing import SmoothedGramian
from descant.recipe import BalanceSettings
from descant.tasks import Task

logger = logging.getLogger("descant")


class Balancing:
    """The weights that the balancer gives the tasks at each step: the same on every rank to the last bit.

    Args:
        balancer: which decides.
        settings: how often it is asked, and of what.
        main: the main task's place.
        seed: of the run.
        ranks: who step along.

    Attributes:
        way: what the balancer takes and gives.
        spoilers: the places of tasks whose gradients at the latest step were not finite.
    """

    def __init__(self, balancer: Balancer, settings: BalanceSettings, main: int, seed: int, ranks: Ranks) -> None:
        self.balancer, self.settings, self.way = balancer, settings, BalanceWay(balancer, settings)
        self._main, self._seed, self._ranks = main, seed, ranks
        self.epoch, self.epochs = 0, 1
        self.spoilers: list[int] = []
        size = len(balancer.tasks)
        self._weights_K = torch.ones(size, dtype=torch.float64)
        self._decided: set[int] = set()  # the tasks that the latest weights are of
        self._scales = LossScales("log" if balancer.log_losses else settings.normalise, size)
        self._smoothed = SmoothedGramian(settings.momentum, size)
        self._means_K: Tensor | None = None
        self._latest: tuple[Signals, Tensor | None] | None = None

    def decides(self, step: int, taught: Sequence[int]) -> bool:
        """Return whether the balancer is asked at a step; at the others its latest weights hold.

        It is asked out of turn for a task that those are not of.
        """
        is_due = step % self.settings.every == 0 or not self._decided.issuperset(taught)
        return bool(taught) and is_due and len(self.balancer.tasks) > 1

    def reads_step(self, step: int, taught: Sequence[int]) -> bool:
        """Return whether a step needs the whole of it to be known first: its losses, or its gradients."""
        looks = self.way.reads_losses and self.decides(step, taught) and not self.way.makes_directions
        return self.way.normalises or looks

    def reads_after(self, step: int) -> bool:
        """Return whether the balancer wants to know what a step, at which it decided, did to the losses."""
        return self.balancer.reads_after and self._latest is not None and self._latest[0].step == step

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Note the epoch, from 0, of a run of ``epochs``."""
        self.epoch, self.epochs = epoch, epochs

    def scales(self, own_means_K: Tensor, taught: Sequence[int]) -> Tensor | None:
        """Return what each loss is multiplied by before it is balanced, (K,); every rank calls it before ``weights``.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses, without gradient.
            taught: the places of the tasks that have labels in the global batch, increasing.
        """
        if not self.way.normalises:
            return None
        self._means_K = self._summed(own_means_K)
        at_P = torch.tensor(taught, dtype=torch.long)
        if not self._means_K[at_P].isfinite().all():
            return None  # the batch will be taken again without what spoils it
        return self._scales.at(self._means_K, at_P).to(own_means_K)

    def weights(
        self, own_means_K: Tensor, taught: Sequence[int], step: int, own_gramian_KK: Tensor | None = None
    ) -> Tensor:
        """Return the weight of each task at a step, (K,), of no effect for those that it does not teach.

        Every rank calls it.

        Args:
            own_means_K: as for ``scales``.
            taught: the places of the tasks that have labels in the global batch and are to be weighed, increasing.
            step: its number.
            own_gramian_KK: this rank's share of the Gramian, for balancers that read it, at steps that decide.
        """
        if self.way.is_static:
            return torch.ones_like(own_means_K)  # nothing is copied to or from the device
        at_P, self.spoilers = torch.tensor(taught, dtype=torch.long), []
        weights_P = self._weights_K[at_P]
        if self.decides(step, taught):
            signals = self._signals(own_means_K, at_P, step, own_gramian_KK)
            if signals is None or (self.balancer.main_first and signals.main is None):
                weights_P = torch.ones_like(weights_P)  # until the next step decides
            else:
                assert isinstance(self.balancer, (LossBalancer, GramianBalancer))
                weights_P = self.balancer.weights(signals)
                self._weights_K[at_P], self._decided = weights_P, set(taught)
        weights_K = torch.zeros_like(self._weights_K)
        weights_K[at_P] = weights_P
        return weights_K.to(own_means_K)

    def masks(
        self, own_means_K: Tensor, taught: Sequence[int], step: int, own_sums: Sequence[Tensor]
    ) -> list[dict[str, Tensor]]:
        """Return of each feature, by task, what multiplies its gradient at each unit; every rank calls it.

        Args:
            own_means_K, taught, step: as for ``weights``.
            own_sums: this rank's sums over rows, of each feature, (K, …).
        """
        at_P, names = torch.tensor(taught, dtype=torch.long), [self.balancer.tasks[place] for place in taught]
        sums = [self._ranks.sum(own_K.clone())[at_P.to(own_K.device)] for own_K in own_sums]
        signals = self._signals(own_means_K, at_P, step, None)
        broken = [at_P[~each.flatten(1).isfinite().all(1).cpu()].tolist() for each in sums]
        self.spoilers = sorted(set().union(*broken))
        if signals is None or self.spoilers:
            return [dict(zip(names, each, strict=True)) for each in sums]  # the batch will be taken again
        assert isinstance(self.balancer, GradientBalancer)
        masks, weights_P = self.balancer.masks(signals, sums)
        self._weights_K[at_P], self._decided = weights_P, set(taught)
        return [dict(zip(names, each, strict=True)) for each in masks]

    def direction(
        self, own_means_K: Tensor, taught: Sequence[int], step: int, shared: SharedGradients
    ) -> Mapping[str, Tensor]:
        """Return, by name, the gradient of each shared parameter over all ranks; every rank calls it.

        Args:
            own_means_K, taught, step: as for ``weights``.
            shared: the tasks' gradients.
        """
        at_P, rows = torch.tensor(taught, dtype=torch.long), shared.sums()
        signals = self._signals(own_means_K, at_P, step, shared.gramian())
        if signals is None or not taught:
            return {}
        assert isinstance(self.balancer, GradientBalancer)
        made = self.balancer.direction(signals, {name: of[at_P.to(of.device)] for name, of in rows.items()})
        self._weights_K[at_P], self._decided = made.weights_P, set(taught)
        return made.gradients

    def after_step(self, own_means_K: Tensor) -> None:
        """Tell the balancer what the losses of the latest step are after it; every rank calls it.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses on the same batch, without gradient.
        """
        assert self._latest is not None, "no step was balanced yet"
        means_K = self._scales.normalised(self._summed(own_means_K))
        self.balancer.after_step(self._latest[0], means_K[self._latest[0].places_P])

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

    @property
    def latest_weights(self) -> dict[str, float]:
        """The weights of the latest decision, by task; none of a balancer that decides nothing."""
        if self._latest is None or isinstance(self.balancer, Static):
            return {}
        places = self._latest[0].places_P
        return {self.balancer.tasks[place]: float(self._weights_K[place]) for place in places.tolist()}

    def conflicts(self) -> Conflicts | None:
        """Return what the Gramian of the step of the latest decision tells of the tasks, None without one."""
        if self._latest is None or self._latest[1] is None:
            return None
        names = [self.balancer.tasks[place] for place in self._latest[0].places_P.tolist()]
        return conflicts(self._latest[1], names, self.way.level or "representation")

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {
            "method": self.settings.method.name,
            "balancer": self.balancer.state_dict(),
            "weights": self._weights_K.clone(),
            "decided": sorted(self._decided),
            "smoothed": self._smoothed.state_dict(),
            "scales": self._scales.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave; a balancer of another name begins anew."""
        if state["method"] != self.settings.method.name:
            logger.warning("balance=%s begins anew: the run had %s", self.settings.method.name, state["method"])
            return
        self._latest = None
        self.balancer.load_state_dict(state["balancer"])
        self._weights_K, self._decided = state["weights"].clone(), set(state["decided"])
        self._smoothed.load_state_dict(state["smoothed"])
        self._scales.load_state_dict(state["scales"])

    def _signals(self, own_means_K: Tensor, at_P: Tensor, step: int, own_gramian_KK: Tensor | None) -> Signals | None:
        """Return what all ranks together know; None if some of it is not finite: the batch will be taken again."""
        gramian_KK = None if own_gramian_KK is None else own_gramian_KK.double()
        means_K, self._means_K = self._means_K, None
        if means_K is None and self.way.reads_losses:
            told = [own_means_K.double()[None], *([] if gramian_KK is None else [gramian_KK.to(own_means_K.device)])]
            means_K, *rows = self._summed(torch.cat(told))  # one message
            gramian_KK = torch.stack(rows) if rows else None
        elif gramian_KK is not None:
            gramian_KK = self._summed(gramian_KK.to(own_means_K.device))
        gramian_PP = None if gramian_KK is None else gramian_KK[at_P[:, None], at_P]
        if gramian_PP is not None:
            self.spoilers = at_P[~gramian_PP.diag().isfinite()].tolist()
        losses_K = torch.ones_like(self._weights_K) if means_K is None else self._scales.normalised(means_K)
        if self.spoilers or not losses_K[at_P].isfinite().all():
            return None
        signals = Signals(
            places_P=at_P,
            losses_P=losses_K[at_P],
            main=at_P.tolist().index(self._main) if self._main in at_P else None,
            step=step,
            epoch=self.epoch,
            epochs=self.epochs,
            generator=torch.Generator().manual_seed(step_seed(self._seed, step, -1)),
            gramian_PP=None if gramian_PP is None else self._smoothed.after(gramian_PP, at_P),
        )
        self._latest = signals, gramian_PP
        return signals

    def _summed(self, own: Tensor) -> Tensor:
        """Return the sum over all ranks, on the CPU; what was given stays as it is."""
        return self._ranks.sum(own.to(torch.float64, copy=True)).cpu()
