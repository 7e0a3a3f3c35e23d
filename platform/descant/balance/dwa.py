"""Dynamic weight average: tasks whose losses fall slowly weigh more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import LARGEST, EpochMeans
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("dwa")
class Dwa(LossBalancer):
    """K·softmax(r/T), r_i = ℓ_i(t−1)/ℓ_i(t−2) of epochs' mean losses: dynamic weight average (Liu et al. 2019).

    A task's mean is over the steps that taught it, and its epochs t−1 and t−2 are its last two with any such step. Its
    rate r is 1 until it has had two, so all weights are 1 in the first two epochs; and where one of the two means is 0
    or negative, since no rate follows from these.

    Args:
        tasks: names.
        temperature: T; the higher it is, the more equal the weights are.

    Raises:
        UserError: the temperature is not above 0.
    """

    positive = True

    def __init__(self, tasks: Sequence[str], temperature: float = 2.0) -> None:
        super().__init__(tasks)
        self._temperature = number_above("dwa", "temperature", temperature, 0.0)
        self._means = EpochMeans(len(self.tasks))

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the weights that the epochs before decided, and count the losses for those to come."""
        self._means.begin_step(signals.epoch)
        self._means.add(signals.places_P, signals.losses_P)
        newer_P, older_P = self._means.newer_K[signals.places_P], self._means.older_K[signals.places_P]
        has_rate_P = (self._means.ended_K[signals.places_P] >= 2) & (newer_P > 0.0) & (older_P > 0.0)
        rates_P = torch.where(has_rate_P, newer_P / older_P, 1.0).clamp(max=LARGEST)
        return len(rates_P) * torch.softmax((rates_P - rates_P.max()) / self._temperature, 0)

    def state_dict(self) -> dict[str, Any]:
        """Return the epochs' means."""
        return self._means.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._means.load_state_dict(state)
