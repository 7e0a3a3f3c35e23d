"""A bandit over the auxiliaries that is paid by the main task's metric after each evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from descant.balance.auxiliaries import auxiliaries
from descant.balance.base import LossBalancer, Signals, balancers
from descant.balance.options import number_above, number_from, number_within
from descant.lazy import torch


@balancers.register("thompson")
class Thompson(LossBalancer):
    """One auxiliary, or none, from one evaluation to the next, by Beta-Bernoulli Thompson sampling (Guo et al. 2019).

    As in AutoSeM: of the beliefs Beta(a_i, b_i) that training with auxiliary i, or with none, makes the main task
    better, one number each is drawn, and the highest one trains. The evaluation after pays 1 if the main task's first
    metric is at least that of the evaluation before, else 0: a ← (1−γ)a + γ·prior + paid for the one that trained,
    b likewise with 1 − paid; all others fade to the prior as well. One that no step taught is not paid.

    Args:
        tasks: names.
        prior: a and b at the start.
        fading: γ: how fast what was learnt is forgotten, from 0 for never to 1.
        emphasis: the weight of the auxiliary that trains; the others have 0, the main task 1.

    Raises:
        UserError: an option out of its range.
    """

    needs = "the main task's metric on the validation split"
    main_first = True
    reads_losses = False

    def __init__(self, tasks: Sequence[str], prior: float = 1.0, fading: float = 0.1, emphasis: float = 1.0) -> None:
        super().__init__(tasks)
        self._prior = number_above("thompson", "prior", prior, 0.0)
        self._fading = number_within("thompson", "fading", fading, 0.0, 1.0)
        self._emphasis = number_from("thompson", "emphasis", emphasis, 0.0)
        # The main task's place stands for training with no auxiliary.
        self._successes_K, self._failures_K = torch.full(
            (2, len(self.tasks)), self._prior, dtype=torch.float64
        ).unbind()
        self._seen: set[int] = set()
        self._arm: int | None = None
        self._trained = False
        self._metric: float | None = None

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return 1 for the main task, the emphasis for the auxiliary that trains, 0 for the others."""
        assert signals.main is not None, "main first"
        self._seen.update(signals.places_P.tolist())
        weights_P = torch.ones_like(signals.losses_P)
        numbers_N = auxiliaries(signals)
        if not len(numbers_N):
            return weights_P
        if self._arm is None:
            self._arm = self._draw(signals.generator)
        is_arm_P = signals.places_P == self._arm
        weights_P[numbers_N] = self._emphasis * is_arm_P[numbers_N].double()
        self._trained = self._trained or bool(is_arm_P.any())
        return weights_P

    def _draw(self, generator: torch.Generator) -> int:
        """Return the place of which the highest number was drawn, of all that a step has taught so far."""
        random, places = np.random.default_rng(int(torch.randint(2**62, (), generator=generator))), sorted(self._seen)
        drawn = random.beta(self._successes_K[places].numpy(), self._failures_K[places].numpy())
        return places[int(drawn.argmax())]

    def after_evaluation(self, epoch: int, metrics: dict[str, float]) -> None:
        """Pay what trained since the last evaluation, by the main task's metric, better when greater; NaN pays none."""
        metric = metrics.get(self.tasks[0], float("nan"))
        if metric == metric:
            if self._metric is not None and self._arm is not None and self._trained:
                self._successes_K += self._fading * (self._prior - self._successes_K)
                self._failures_K += self._fading * (self._prior - self._failures_K)
                (self._successes_K if metric >= self._metric else self._failures_K)[self._arm] += 1.0
            self._metric = metric
        self._arm, self._trained = None, False

    def state_dict(self) -> dict[str, Any]:
        """Return the beliefs, (K,) each, what trains now, and the last evaluation's metric."""
        return {
            "successes": self._successes_K.clone(),
            "failures": self._failures_K.clone(),
            "seen": sorted(self._seen),
            "arm": self._arm,
            "trained": self._trained,
            "metric": self._metric,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._successes_K, self._failures_K = state["successes"].clone(), state["failures"].clone()
        self._seen = set(state["seen"])
        self._arm, self._trained, self._metric = state["arm"], state["trained"], state["metric"]
