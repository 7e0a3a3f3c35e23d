"""A policy over the auxiliaries' weights that learns from the main task's progress at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.auxiliaries import auxiliaries, main_progress
from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.options import number_above
from descant.lazy import torch


@balancers.register("policy_gradient")
class PolicyGradient(LossBalancer):
    """w = (N+1)·softmax(a, 0), a ~ N(θ, σ²I), θ learnt from the main task's progress: REINFORCE (Williams 1992).

    A small controller of the N auxiliaries' weights at each step. The softmax has one more entry, held at 0, which no
    task has: so all weights are about 1 at first, and all together can fall to 0; the main task's is 1. The reward is
    how much the step lowered log ℓ of the main task on its own batch; its advantage A is over the running mean, in
    running standard deviations, from −3 to 3: θ ← θ + lr·A·(a−θ)/σ². Auxiliaries that the step does not teach take no
    part.

    Args:
        tasks: names.
        lr: step size of θ.
        sigma: how far it explores.
        window: of how many steps the running mean and deviation of the reward are, about.

    Raises:
        UserError: an option out of its range.
    """

    needs = "the main task's loss, before and after the step"
    cost = "one forward pass"
    main_first = True
    reads_after = True

    def __init__(self, tasks: Sequence[str], lr: float = 0.01, sigma: float = 0.5, window: float = 100.0) -> None:
        super().__init__(tasks)
        self._lr = number_above("policy_gradient", "lr", lr, 0.0)
        self._sigma = number_above("policy_gradient", "sigma", sigma, 0.0)
        self._keep = 1.0 - 1.0 / number_above("policy_gradient", "window", window, 1.0)
        self._theta_K = torch.zeros(len(self.tasks), dtype=torch.float64)
        self._mean, self._square, self._share = 0.0, 0.0, 0.0  # running, and how much of them is not from the start
        self._noise: tuple[int, torch.Tensor] | None = None  # at which step, (a − θ)/σ of its auxiliaries

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return 1 for the main task, and weights drawn from the policy for the others."""
        weights_P = torch.ones_like(signals.losses_P)
        numbers_N = auxiliaries(signals)
        if len(numbers_N):
            noise_N = torch.randn(len(numbers_N), dtype=torch.float64, generator=signals.generator)
            actions_N = self._theta_K[signals.places_P[numbers_N]] + self._sigma * noise_N
            shares = torch.softmax(torch.cat([actions_N, actions_N.new_zeros(1)]), 0)
            weights_P[numbers_N] = (len(shares) * shares)[:-1]
            self._noise = signals.step, noise_N
        return weights_P

    def after_step(self, before: Signals, losses_P: Float[torch.Tensor, P]) -> None:
        """Make a step of the policy that drew this step's weights."""
        reward = main_progress(before, losses_P)
        if self._noise is None or self._noise[0] != before.step or reward is None:
            return
        places_N = before.places_P[auxiliaries(before)]
        self._theta_K[places_N] += self._lr * self._advantage(reward) * self._noise[1] / self._sigma

    def _advantage(self, reward: float) -> float:
        """Return the reward over the mean of those before, in their standard deviations, and count it."""
        advantage = 0.0
        if self._share > 0.0:
            mean = self._mean / self._share
            deviation = max(self._square / self._share - mean * mean, 0.0) ** 0.5
            advantage = min(max((reward - mean) / deviation, -3.0), 3.0) if deviation > 0.0 else 0.0
        self._mean = self._keep * self._mean + (1.0 - self._keep) * reward
        self._square = self._keep * self._square + (1.0 - self._keep) * reward * reward
        self._share = self._keep * self._share + (1.0 - self._keep)
        return advantage

    def state_dict(self) -> dict[str, Any]:
        """Return θ, (K,), and the running moments of the reward."""
        return {"theta": self._theta_K.clone(), "rewards": [self._mean, self._square, self._share]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._theta_K = state["theta"].clone()
        self._mean, self._square, self._share = state["rewards"]
