"""Uncertainty weighting: each task's loss over a variance that is learnt along with the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON, LARGEST, Learnt
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("uncertainty")
class Uncertainty(LossBalancer):
    """Σ ½(e^{−s_i} ℓ_i + s_i), the log variances s learnt, from 0: uncertainty weighting (Kendall et al. 2018).

    The weight ½e^{−s} moves towards 1/(2ℓ). s is kept from log 1e-8 to log 1e30, so that losses of 0, and negative
    ones, for which the objective has no lowest s, end at the weight ½e8 and no higher.

    Args:
        tasks: names.
        lr: of the Adam that learns s: a weight takes some 1/lr steps to change by a factor of e.

    Raises:
        UserError: lr is not above 0.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], lr: float = 1e-3) -> None:
        super().__init__(tasks)
        lr = number_above("uncertainty", "lr", lr, 0.0)
        self._log_variances = Learnt(len(self.tasks), lr, low=math.log(EPSILON), high=math.log(LARGEST))

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return ½e^{−s}, then make a step of s."""
        weights_P = 0.5 * (-self._log_variances.at(signals.places_P)).exp()
        self._log_variances.step(signals.places_P, 0.5 - weights_P * signals.losses_P)
        return weights_P

    def state_dict(self) -> dict[str, Any]:
        """Return s and Adam's memory."""
        return self._log_variances.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._log_variances.load_state_dict(state)
