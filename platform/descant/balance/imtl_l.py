"""The loss part of impartial multi-task learning: learnt scales that bring all losses to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import EPSILON, LARGEST, Learnt
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("imtl_l")
class ImtlL(LossBalancer):
    """Σ (e^{s_i} ℓ_i − s_i), the log scales s learnt, from 0: impartial loss balance IMTL-L (Liu et al. 2021).

    The weight e^s moves towards 1/ℓ. s is kept from −log 1e30 to −log 1e-8, so that losses of 0, and negative ones,
    for which the objective has no lowest s, end at the weight 1e8 and no higher.

    Args:
        tasks: names.
        lr: of the Adam that learns s: a weight takes some 1/lr steps to change by a factor of e.

    Raises:
        UserError: lr is not above 0.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], lr: float = 1e-3) -> None:
        super().__init__(tasks)
        lr = number_above("imtl_l", "lr", lr, 0.0)
        self._log_scales = Learnt(len(self.tasks), lr, low=-math.log(LARGEST), high=-math.log(EPSILON))

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return e^s, then make a step of s."""
        weights_P = self._log_scales.at(signals.places_P).exp()
        self._log_scales.step(signals.places_P, weights_P * signals.losses_P - 1.0)
        return weights_P

    def state_dict(self) -> dict[str, Any]:
        """Return s and Adam's memory."""
        return self._log_scales.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._log_scales.load_state_dict(state)
