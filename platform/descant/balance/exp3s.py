"""A bandit over the auxiliaries that is paid by the main task's progress at each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float, Int

from descant.balance.auxiliaries import auxiliaries, main_progress
from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.options import number_from, number_within
from descant.lazy import torch

_MOST_REWARDS = 1000
"""How many of the latest rewards the quantiles are of."""
_QUANTILES = (0.2, 0.8)


@balancers.register("exp3s")
class Exp3S(LossBalancer):
    """One auxiliary per step, drawn by the bandit EXP3.S, paid by the main task's progress (Graves et al. 2017).

    The policy is π = (1−ε)·softmax(w) + ε/N over the step's N auxiliaries; the drawn one has the weight ``emphasis``,
    the others 0, the main task 1. The reward is how much the step lowered log ℓ of the main task on its own batch,
    scaled to [−1, 1] from the 20 % to the 80 % quantile of the last 1000, over the drawn one's π:
    w_i ← log((1−α)·e^{w_i + η r_i} + α/(N−1)·Σ_{j≠i} e^{w_j + η r_j}), α = 1/t. Auxiliaries that the step does not
    teach take no part.

    Args:
        tasks: names.
        eta: η, the step size.
        epsilon: ε, the share of draws without preference.
        emphasis: the drawn auxiliary's weight; null is N, so that without preference each has the weight 1 on average.

    Raises:
        UserError: an option out of its range.
    """

    needs = "the main task's loss, before and after the step"
    cost = "one forward pass"
    main_first = True
    reads_after = True

    def __init__(
        self, tasks: Sequence[str], eta: float = 0.001, epsilon: float = 0.05, emphasis: float | None = None
    ) -> None:
        super().__init__(tasks)
        self._eta = number_from("exp3s", "eta", eta, 0.0)
        self._epsilon = number_within("exp3s", "epsilon", epsilon, 0.0, 1.0)
        self._emphasis = None if emphasis is None else number_from("exp3s", "emphasis", emphasis, 0.0)
        self._logits_K = torch.zeros(len(self.tasks), dtype=torch.float64)
        self._rewards: list[float] = []
        self._updates = 0
        self._drawn: tuple[int, int] | None = None  # at which step, which of its auxiliaries

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return 1 for the main task, the emphasis for the drawn auxiliary, 0 for the others."""
        weights_P = torch.ones_like(signals.losses_P)
        numbers_N = auxiliaries(signals)
        if len(numbers_N):
            policy_N = self._policy(signals.places_P[numbers_N])
            drawn = int(torch.multinomial(policy_N, 1, generator=signals.generator))
            weights_P[numbers_N] = 0.0
            weights_P[numbers_N[drawn]] = len(numbers_N) if self._emphasis is None else self._emphasis
            self._drawn = signals.step, drawn
        return weights_P

    def after_step(self, before: Signals, losses_P: Float[torch.Tensor, P]) -> None:
        """Pay the auxiliary that was drawn for this step."""
        progress = main_progress(before, losses_P)
        if self._drawn is None or self._drawn[0] != before.step or progress is None:
            return
        places_N = before.places_P[auxiliaries(before)]
        gains_N = torch.zeros(len(places_N), dtype=torch.float64)
        gains_N[self._drawn[1]] = self._eta * self._scaled(progress) / self._policy(places_N)[self._drawn[1]]
        self._updates += 1
        self._logits_K[places_N] = _mixed(self._logits_K[places_N] + gains_N, 1.0 / self._updates)

    def _policy(self, places_N: Int[torch.Tensor, N]) -> Float[torch.Tensor, N]:
        return (1.0 - self._epsilon) * torch.softmax(self._logits_K[places_N], 0) + self._epsilon / len(places_N)

    def _scaled(self, reward: float) -> float:
        """Return the reward from −1 to 1, by the quantiles of the last ones; 0 where these do not differ."""
        self._rewards = [*self._rewards, reward][-_MOST_REWARDS:]
        rewards, ends = torch.tensor(self._rewards, dtype=torch.float64), torch.tensor(_QUANTILES, dtype=torch.float64)
        low, high = rewards.quantile(ends).tolist()
        return min(max(2.0 * (reward - low) / (high - low) - 1.0, -1.0), 1.0) if high > low else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return w, (K,), the last rewards, and how many there were."""
        return {"logits": self._logits_K.clone(), "rewards": list(self._rewards), "updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._logits_K, self._rewards = state["logits"].clone(), list(state["rewards"])
        self._updates = state["updates"]


def _mixed(logits_N: Float[torch.Tensor, N], alpha: float) -> Float[torch.Tensor, N]:
    """Return log((1−α)·e^{x_i} + α/(N−1)·Σ_{j≠i} e^{x_j}); one auxiliary alone stays as it is."""
    count = len(logits_N)
    if count == 1:
        return logits_N
    shares_NN = torch.full((count, count), math.log(alpha / (count - 1)), dtype=torch.float64)
    shares_NN.fill_diagonal_(math.log1p(-alpha) if alpha < 1.0 else -math.inf)
    return torch.logsumexp(shares_NN + logits_N, 1)
