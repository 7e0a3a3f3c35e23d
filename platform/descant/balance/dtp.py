"""Dynamic task prioritisation: tasks that are scored badly weigh more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON
from descant.balance.options import number_from, number_within
from descant.errors import UserError
from descant.lazy import torch


@balancers.register("dtp")
class Dtp(LossBalancer):
    """−(1−κ)^γ log κ, κ the running mean of a validation metric: dynamic task prioritisation (Guo et al. 2018).

    κ is of the task's first metric, which must be from 0 to 1 and better when greater, and counts as at least 1e-8.
    Before a task is first scored its weight is 1; at κ = 1 it is 0.

    Args:
        tasks: names.
        gamma: how much more the bad tasks weigh.
        alpha: the share of the latest evaluation in κ, above 0 and at most 1.

    Raises:
        UserError: an option out of its range.
    """

    needs = "metrics from 0 to 1 of the validation split"
    reads_losses = False
    needs_scores = True

    def __init__(self, tasks: Sequence[str], gamma: float = 1.0, alpha: float = 0.5) -> None:
        super().__init__(tasks)
        self._gamma = number_from("dtp", "gamma", gamma, 0.0)
        self._alpha = number_within("dtp", "alpha", alpha, EPSILON, 1.0)
        self._scores: dict[str, float] = {}

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the weights that follow from the evaluations so far."""
        weights_P = torch.ones_like(signals.losses_P)
        for number, place in enumerate(signals.places_P.tolist()):
            score = self._scores.get(self.tasks[place])
            if score is not None:
                kappa = torch.tensor(score, dtype=torch.float64).clamp(min=EPSILON)
                weights_P[number] = -((1.0 - kappa) ** self._gamma) * kappa.log()
        return weights_P

    def after_evaluation(self, epoch: int, metrics: dict[str, float]) -> None:
        """Learn the metrics; NaN, where one is not defined, tells nothing.

        Raises:
            UserError: one is not from 0 to 1.
        """
        for task, value in metrics.items():
            if value != value:
                continue
            if not 0.0 <= value <= 1.0:
                raise UserError(
                    f"the first metric of the task {task!r} is {value:g}, but the balancer 'dtp' needs one from 0 to 1 "
                    f"that is better when greater: name such a metric first, or take another balancer"
                )
            before = self._scores.get(task, value)
            self._scores[task] = before + self._alpha * (value - before)

    def state_dict(self) -> dict[str, Any]:
        """Return each scored task's κ, by name."""
        return {"scores": dict(self._scores)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._scores = dict(state["scores"])
