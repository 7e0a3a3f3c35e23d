"""Fast adaptive multi-task optimisation: all losses fall at the same relative rate, from their values alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON, Learnt
from descant.balance.options import number_above, number_from
from descant.errors import UserError, nearest
from descant.lazy import torch


@balancers.register("famo")
class Famo(LossBalancer):
    """c·Σ z_i log(ℓ_i − min_i), z = softmax(w), w learnt from what a step did to the losses: FAMO (Liu et al. 2023).

    c makes the weights c·z_i/(ℓ_i − min_i) sum to 1. After the step w goes down Jᵀ(log ℓ before − log ℓ after), J of
    the softmax, by Adam. A loss at its minimum or below it counts as 1e-8 above.

    Args:
        tasks: names.
        lr: of the Adam that learns w.
        weight_decay: γ, which draws w back to 0.
        min_losses: the lowest value of each task's loss, by name; 0 for tasks that are not named.

    Raises:
        UserError: lr is not above 0, weight_decay below 0, or min_losses names no task or has no finite number.
    """

    positive = True
    needs = "the losses, before and after the step"
    cost = "one forward pass"
    reads_after = True

    def __init__(
        self,
        tasks: Sequence[str],
        lr: float = 0.025,
        weight_decay: float = 0.001,
        min_losses: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(tasks)
        lr = number_above("famo", "lr", lr, 0.0)
        self._logits = Learnt(len(self.tasks), lr, number_from("famo", "weight_decay", weight_decay, 0.0))
        self._min_losses_K = torch.zeros(len(self.tasks), dtype=torch.float64)
        for task, value in (min_losses or {}).items():
            if task not in self.tasks:
                raise UserError(
                    f"the option 'min_losses' of the balancer 'famo' names {task!r}, which is no task: "
                    f"{nearest(task, self.tasks)}"
                )
            self._min_losses_K[self.tasks.index(task)] = number_from("famo", f"min_losses.{task}", value, -1e30)

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return c·z/(ℓ − min), which is softmax(w − log(ℓ − min))."""
        logs_P = self._log_excess(signals, signals.losses_P)
        return torch.softmax(self._logits.at(signals.places_P) - logs_P, 0)

    def after_step(self, before: Signals, losses_P: Float[torch.Tensor, P]) -> None:
        """Make a step of w; a task whose loss is no longer finite is left out of it."""
        rates_P = self._log_excess(before, before.losses_P) - self._log_excess(before, losses_P)
        finite_P = losses_P.isfinite()
        places_Q, rates_Q = before.places_P[finite_P], rates_P[finite_P]
        shares_Q = torch.softmax(self._logits.at(places_Q), 0)
        self._logits.step(places_Q, shares_Q * (rates_Q - (shares_Q * rates_Q).sum()))

    def _log_excess(self, signals: Signals, losses_P: Float[torch.Tensor, P]) -> Float[torch.Tensor, P]:
        return ((losses_P.double() - self._min_losses_K[signals.places_P]).clamp(min=0.0) + EPSILON).log()

    def state_dict(self) -> dict[str, Any]:
        """Return w and Adam's memory."""
        return self._logits.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._logits.load_state_dict(state)
