"""Asks the balancer for all ranks.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from descant.balance import Balancer, GramianBalancer, LossBalancer, Signals, Static
from descant.data.order import step_seed
from descant.loop.conflicts import Conflicts, conflicts
from descant.loop.loss_scales import LossScales
from descant.loop.ranks import Ranks
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
        spoilers: the places of tasks whose gradients at the latest step were not finite.
    """

    def __init__(self, balancer: Balancer, settings: BalanceSettings, main: int, seed: int, ranks: Ranks) -> None:
        self.balancer, self.settings = balancer, settings
        self._main, self._seed, self._ranks = main, seed, ranks
        self.epoch, self.epochs = 0, 1
        self.spoilers: list[int] = []
        size = len(balancer.tasks)
        self._weights_K = torch.ones(size, dtype=torch.float64)
        self._decided: set[int] = set()  # the tasks that the latest weights are of
        self._scales = LossScales(settings.normalise, size)
        self._gramian_KK = torch.zeros(size, size, dtype=torch.float64)
        self._presence_K = torch.zeros(size, dtype=torch.float64)
        self._means_K: Tensor | None = None
        self._latest: tuple[Signals, Tensor | None] | None = None

    @property
    def is_static(self) -> bool:
        """Whether no step changes anything: the weights are the recipe's, and losses are as they are."""
        is_plain = isinstance(self.balancer, Static) or len(self.balancer.tasks) == 1
        return is_plain and self.settings.normalise is None

    @property
    def reads_gradients(self) -> bool:
        """Whether the balancer looks at the tasks' gradients."""
        return isinstance(self.balancer, GramianBalancer) and len(self.balancer.tasks) > 1

    @property
    def _reads_losses(self) -> bool:
        return not isinstance(self.balancer, LossBalancer) or self.balancer.reads_losses

    def decides(self, step: int, taught: Sequence[int]) -> bool:
        """Return whether the balancer is asked at a step; at the others its latest weights hold.

        It is asked out of turn for a task that those are not of.
        """
        is_due = step % self.settings.every == 0 or not self._decided.issuperset(taught)
        return bool(taught) and is_due and len(self.balancer.tasks) > 1

    def reads_step(self, step: int, taught: Sequence[int]) -> bool:
        """Return whether a step needs the whole of it to be known first: its losses, or its gradients."""
        return self.settings.normalise is not None or (self._reads_losses and self.decides(step, taught))

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
        if self.settings.normalise is None:
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
        if self.is_static:
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
        return conflicts(self._latest[1], [self.balancer.tasks[place] for place in self._latest[0].places_P.tolist()])

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step."""
        return {
            "method": self.settings.method.name,
            "balancer": self.balancer.state_dict(),
            "weights": self._weights_K.clone(),
            "decided": sorted(self._decided),
            "gramian": self._gramian_KK.clone(),
            "presence": self._presence_K.clone(),
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
        self._gramian_KK, self._presence_K = state["gramian"].clone(), state["presence"].clone()
        self._scales.load_state_dict(state["scales"])

    def _signals(self, own_means_K: Tensor, at_P: Tensor, step: int, own_gramian_KK: Tensor | None) -> Signals | None:
        """Return what all ranks together know; None if some of it is not finite: the batch will be taken again."""
        gramian_KK = None if own_gramian_KK is None else own_gramian_KK.double()
        means_K, self._means_K = self._means_K, None
        if means_K is None and self._reads_losses:
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
            gramian_PP=None if gramian_PP is None else self._smoothed(gramian_PP, at_P),
        )
        self._latest = signals, gramian_PP
        return signals

    def _summed(self, own: Tensor) -> Tensor:
        """Return the sum over all ranks, on the CPU; what was given stays as it is."""
        return self._ranks.sum(own.to(torch.float64, copy=True)).cpu()

    def _smoothed(self, gramian_PP: Tensor, at_P: Tensor) -> Tensor:
        """Return the Gramian with momentum over the steps; tasks that a step does not teach have a gradient of 0 there.

        So it remains one of gradients, without negative eigenvalues; each task's length is of the steps that taught it.
        """
        momentum = self.settings.momentum
        if not momentum:
            return gramian_PP
        self._gramian_KK *= momentum
        self._presence_K *= momentum
        self._gramian_KK[at_P[:, None], at_P] += (1 - momentum) * gramian_PP
        self._presence_K[at_P] += 1 - momentum
        roots_P = self._presence_K[at_P].sqrt()
        return self._gramian_KK[at_P[:, None], at_P] / torch.outer(roots_P, roots_P)
