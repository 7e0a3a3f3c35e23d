"""Coefficient of variation: tasks whose losses vary most, for their size, weigh most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.lazy import torch


@balancers.register("cov")
class Cov(LossBalancer):
    """w ∝ σ/μ of the ratios ℓ(t)/mean ℓ(<t), Σ w = 1: coefficient of variation (Groenendijk et al. 2021).

    Mean and deviation are of all steps before that taught the task (Welford 1962). The weights are 1/K until a task has
    had two; such a task's share stays 1/K while others have more. Losses may have any sign, but where their mean comes
    close to 0 the method has no meaning: the coefficient is then held at √n after n steps, which positive numbers do
    not exceed.

    Args:
        tasks: names.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        super().__init__(tasks)
        self._counts_K = torch.zeros(len(self.tasks), dtype=torch.int64)
        # Of the losses the mean; of the ratios the mean and the summed squares of what they deviate from it.
        self._loss_means_K, self._means_K, self._squares_K = torch.zeros(3, len(self.tasks), dtype=torch.float64)

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the weights that the steps before decided, and count this one's losses."""
        counts_P, means_P = self._counts_K[signals.places_P], self._means_K[signals.places_P].abs()
        known_P = counts_P >= 2
        deviations_P = (self._squares_K[signals.places_P] / counts_P.clamp(min=1)).sqrt()
        coefficients_P = torch.where(means_P > 0.0, deviations_P / means_P, 0.0)
        coefficients_P = torch.minimum(coefficients_P, counts_P.double().sqrt())
        weights_P = torch.full_like(means_P, 1.0 / len(means_P))
        total = coefficients_P[known_P].sum()
        if bool(total > 0.0):
            weights_P[known_P] = coefficients_P[known_P] / total * known_P.double().mean()
        self._count(signals)
        return weights_P

    def _count(self, signals: Signals) -> None:
        places_P, losses_P = signals.places_P, signals.losses_P
        counts_P, loss_means_P, means_P = (
            of_K[places_P] for of_K in (self._counts_K, self._loss_means_K, self._means_K)
        )
        ratios_P = torch.where((counts_P > 0) & (loss_means_P != 0.0), losses_P / loss_means_P, 1.0)
        ratios_P = ratios_P.clamp(-_LARGEST_RATIO, _LARGEST_RATIO)
        new_means_P = means_P + (ratios_P - means_P) / (counts_P + 1)
        self._squares_K[places_P] += (ratios_P - means_P) * (ratios_P - new_means_P)
        self._means_K[places_P] = new_means_P
        self._loss_means_K[places_P] += (losses_P - loss_means_P) / (counts_P + 1)
        self._counts_K[places_P] += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the counts, means and sums of squares, (K,) each."""
        return {
            "counts": self._counts_K.clone(),
            "loss_means": self._loss_means_K.clone(),
            "means": self._means_K.clone(),
            "squares": self._squares_K.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        self._counts_K, self._loss_means_K = state["counts"].clone(), state["loss_means"].clone()
        self._means_K, self._squares_K = state["means"].clone(), state["squares"].clone()


_LARGEST_RATIO = 1e100
"""Its square, summed over all steps of a run, still is a number in float64."""
