"""Impartial multi-task learning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import balancers
from descant.balance.directions import DirectionBalancer, Gradients
from descant.balance.imtl_g import impartial
from descant.balance.memory import EPSILON, LARGEST, Learnt
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("imtl")
class Imtl(DirectionBalancer):
    """IMTL-G of the gradients of e^{s_i} ℓ_i, s learnt on Σ (e^{s_i} ℓ_i − s_i), from 0: full IMTL (Liu et al. 2021).

    The direction is that of IMTL-G, as unit gradients do not know scales; s gives its length, a mean of the gradients
    of losses that s brings to 1. The tasks' own parameters learn of their losses without e^s, which the paper gives
    them. s is kept between −log 1e30 and −log 1e-8. A task alone gets e^s.

    Args:
        tasks: names.
        lr: of the Adam that learns s: a scale takes some 1/lr steps to change by a factor of e.

    Raises:
        UserError: lr is not above 0.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], lr: float = 1e-3) -> None:
        super().__init__(tasks)
        lr = number_above("imtl", "lr", lr, 0.0)
        self._log_scales = Learnt(len(self.tasks), lr, low=-math.log(LARGEST), high=-math.log(EPSILON))

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return α_i·e^{s_i}, then make a step of s."""
        log_scales_A = self._log_scales.at(gradients.places_A)
        self._log_scales.step(gradients.places_A, log_scales_A.exp() * gradients.losses_A - 1.0)
        return impartial(gradients, log_scales_A)

    def state_dict(self) -> dict[str, Any]:
        """Return s and Adam's memory."""
        return self._log_scales.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._log_scales.load_state_dict(state)
