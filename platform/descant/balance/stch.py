"""Smooth Tchebycheff scalarisation: the task that is worst off, for where it began, weighs most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON, EpochMeans, log_losses
from descant.balance.options import number_above, whole_from
from descant.lazy import torch


@balancers.register("stch")
class Stch(LossBalancer):
    """μ·log Σ exp(log(ℓ_i/nadir_i)/μ), the nadir from warm-up epochs: smooth Tchebycheff (Lin et al. 2024).

    In the warm-up epochs it is the mean of log ℓ. A task's nadir is its mean loss over the steps that taught it in the
    last of these epochs that had any; a task that had none gets it from its first epoch, and has ℓ/nadir = 1 until
    then. A loss below ``epsilon``, 0 or negative counts as ``epsilon``.

    Args:
        tasks: names.
        mu: the smaller, the closer to the maximum; the paper tries .01 to 1.
        warmup_epochs: a run that has no more epochs ends in its warm-up.
        epsilon: the lowest loss that counts as it is.

    Raises:
        UserError: mu or epsilon is not above 0, or warmup_epochs below 1.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], mu: float = 1.0, warmup_epochs: int = 4, epsilon: float = EPSILON) -> None:
        super().__init__(tasks)
        self._mu = number_above("stch", "mu", mu, 0.0)
        self._warmup_epochs = whole_from("stch", "warmup_epochs", warmup_epochs, 1)
        self._epsilon = number_above("stch", "epsilon", epsilon, 0.0)
        self._means = EpochMeans(len(self.tasks))
        self._nadirs_K = torch.zeros(len(self.tasks), dtype=torch.float64)
        self._known_K = torch.zeros(len(self.tasks), dtype=torch.bool)
        self._warm = False

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the gradient of the objective, and count the losses where a nadir is to come of them."""
        told_K = self._means.begin_step(signals.epoch) & ~(self._known_K & self._warm)
        self._nadirs_K = torch.where(told_K, self._means.newer_K, self._nadirs_K)
        self._known_K, self._warm = self._known_K | told_K, signals.epoch >= self._warmup_epochs
        self._means.add(signals.places_P, signals.losses_P)
        logs_P = log_losses(signals.losses_P, self._epsilon)
        if not self._warm:
            return (-logs_P).exp() / len(logs_P)
        nadirs_P, known_P = self._nadirs_K[signals.places_P], self._known_K[signals.places_P]
        ratios_P = torch.where(known_P, logs_P - log_losses(nadirs_P, self._epsilon), 0.0)
        shares_P = torch.log_softmax((ratios_P - ratios_P.max()) / self._mu, 0)
        return (shares_P - logs_P).exp()

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs' means, and the nadirs so far, (K,)."""
        return {
            "means": self._means.state_dict(),
            "nadirs": self._nadirs_K.clone(),
            "known": self._known_K.clone(),
            "warm": self._warm,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._means.load_state_dict(state["means"])
        self._nadirs_K, self._known_K, self._warm = state["nadirs"].clone(), state["known"].clone(), state["warm"]
