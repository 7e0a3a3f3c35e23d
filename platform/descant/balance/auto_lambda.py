"""Weights that lower the main task's loss on samples that the step did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.memory import Learnt
from descant.balance.options import number_above, number_from
from descant.lazy import torch


@balancers.register("auto_lambda")
class AutoLambda(LossBalancer):
    """ℓ_main + Σ λ_i ℓ_i, λ down ∂ℓ_main(θ − η∇Σλℓ)/∂λ on held-out samples, by Adam: Auto-λ (Liu et al. 2022).

    Half of each batch that decides, by the samples' keys, takes a plain step of the optimizer's learning rate η, tried
    and taken back; the other half says how the main task's loss there changes with λ, by finite differences along its
    gradient. λ stays from 0. The paper draws the held-out samples anew and learns the main task's λ too, here 1.

    Args:
        tasks: names, main first.
        lr: of the Adam that learns λ.
        initial: λ at the start.

    Raises:
        UserError: lr is not above 0, or initial below it.
    """

    main_first = True
    looks_ahead = True
    reads_losses = False
    needs = "the main task's loss on held-out samples, after a step that is tried"
    cost = "two backward passes and two forward passes more, at the steps that decide"

    def __init__(self, tasks: Sequence[str], lr: float = 1e-3, initial: float = 0.1) -> None:
        super().__init__(tasks)
        self.initial = number_from("auto_lambda", "initial", initial, 0.0)
        lr = number_above("auto_lambda", "lr", lr, 0.0)
        self._learnt = Learnt(len(self.tasks), lr, low=-self.initial)

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return λ."""
        weights_P = self.initial + self._learnt.at(signals.places_P)
        weights_P[signals.main] = 1.0
        return weights_P

    def after_look(self, signals: Signals, slopes_P: Float[torch.Tensor, P]) -> None:
        """Make a step of λ."""
        self._learnt.step(signals.places_P, slopes_P)

    def state_dict(self) -> dict[str, Any]:
        """Return λ and Adam's memory."""
        return self._learnt.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._learnt.load_state_dict(state)
