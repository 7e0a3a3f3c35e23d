"""Asks the balancer for all ranks.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from descant.balance import Balancer, GradientBalancer, GramianBalancer, LossBalancer, Static
from descant.loop.balance_way import BalanceWay
from descant.loop.conflicts import Conflicts, conflicts
from descant.loop.gathering import Gathering
from descant.loop.ranks import Ranks
from descant.loop.shared_gradients import SharedGradients
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
        gathering: what all ranks together know.
    """

    def __init__(self, balancer: Balancer, settings: BalanceSettings, main: int, seed: int, ranks: Ranks) -> None:
        self.balancer, self.settings, self.way = balancer, settings, BalanceWay(balancer, settings)
        self.gathering = Gathering(self.way, main, seed, ranks)
        self.scales, self.begin_epoch = self.gathering.scales, self.gathering.begin_epoch
        self._ranks = ranks
        self._weights_K = torch.ones(len(balancer.tasks), dtype=torch.float64)
        self._decided: set[int] = set()  # the tasks that the latest weights are of

    @property
    def spoilers(self) -> list[int]:
        """The places of tasks whose gradients at the latest step were not finite."""
        return self.gathering.spoilers

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
        return self.balancer.reads_after and self.gathering.latest is not None and self.gathering.latest[0].step == step

    def weights(
        self, own_means_K: Tensor, taught: Sequence[int], step: int, own_gramian_KK: Tensor | None = None
    ) -> Tensor:
        """Return the weight of each task at a step, (K,), of no effect for those that it does not teach.

        Every rank calls it.

        Args:
            own_means_K: this rank's shares of the tasks' mean losses, without gradient.
            taught: the places of the tasks that have labels in the global batch and are to be weighed, increasing.
            step: its number.
            own_gramian_KK: this rank's share of the Gramian, for balancers that read it, at steps that decide.
        """
        if self.way.is_static:
            return torch.ones_like(own_means_K)  # nothing is copied to or from the device
        at_P, self.gathering.spoilers = torch.tensor(taught, dtype=torch.long), []
        weights_P = self._weights_K[at_P]
        if self.decides(step, taught):
            signals = self.gathering.signals(own_means_K, at_P, step, own_gramian_KK)
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
        signals = self.gathering.signals(own_means_K, at_P, step, None)
        broken = [at_P[~each.flatten(1).isfinite().all(1).cpu()].tolist() for each in sums]
        self.gathering.spoilers = sorted(set().union(*broken))
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
        signals = self.gathering.signals(own_means_K, at_P, step, shared.gramian())
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
        assert self.gathering.latest is not None, "no step was balanced yet"
        means_K = self.gathering.normalised(self.gathering.summed(own_means_K))
        self.balancer.after_step(self.gathering.latest[0], means_K[self.gathering.latest[0].places_P])

    def look_ahead(self, step: int, recipe_weights_K: Tensor, slopes: Callable[[Tensor], Tensor]) -> None:
        """Tell the balancer, of a step at which it decided, how the main task's held-out loss changes with the weights.

        Args:
            step: its number.
            recipe_weights_K: by which the balancer's weights are multiplied.
            slopes: from the products to the slope of the loss for each of them, (K,); every rank calls it, or none.
        """
        latest = self.gathering.latest
        if not self.balancer.looks_ahead or latest is None or latest[0].step != step or latest[0].main is None:
            return
        slopes_K = recipe_weights_K.double().cpu() * slopes(recipe_weights_K * self._weights_K.to(recipe_weights_K))
        slopes_P = slopes_K[latest[0].places_P]
        if slopes_P.isfinite().all():
            self.balancer.after_look(latest[0], slopes_P)

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
        if self.gathering.latest is None or isinstance(self.balancer, Static):
            return {}
        places = self.gathering.latest[0].places_P
        return {self.balancer.tasks[place]: float(self._weights_K[place]) for place in places.tolist()}

    def conflicts(self) -> Conflicts | None:
        """Return what the Gramian of the step of the latest decision tells of the tasks, None without one."""
        if self.gathering.latest is None or self.gathering.latest[1] is None:
            return None
        names = [self.balancer.tasks[place] for place in self.gathering.latest[0].places_P.tolist()]
        return conflicts(self.gathering.latest[1], names, self.way.level or "representation")

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {
            "method": self.settings.method.name,
            "balancer": self.balancer.state_dict(),
            "weights": self._weights_K.clone(),
            "decided": sorted(self._decided),
            "gathered": self.gathering.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave; a balancer of another name begins anew."""
        if state["method"] != self.settings.method.name:
            logger.warning("balance=%s begins anew: the run had %s", self.settings.method.name, state["method"])
            return
        self.balancer.load_state_dict(state["balancer"])
        self._weights_K, self._decided = state["weights"].clone(), set(state["decided"])
        self.gathering.load_state_dict(state["gathered"])
