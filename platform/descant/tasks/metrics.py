"""Metrics as sums of per-sample statistics, so that a split may be cut over ranks in any way.

A metric turns (prediction, target) into statistics (B, S); the evaluator sums them exactly over the split, over all
ranks, and ``value`` makes the number. Shapes: B samples, S statistics, C classes, A attributes, P points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from descant.lazy import torch


@dataclass(frozen=True)
class Metric:
    """One number over a split.

    Attributes:
        statistics: (prediction, target) → (B, S), of the valid samples only.
        value: the S sums → the metric; NaN where it is not defined.
        direction: which way is better.
        unit: what the number counts, for tables and axes.
        chance: the value that a constant answer reaches, where that is known.
        chance_of: the S sums → that value, where it hangs on the samples.
    """

    statistics: Callable[[Any, Any], torch.Tensor]
    value: Callable[[np.ndarray], float]
    direction: Literal["max", "min"] = "max"
    unit: str = ""
    chance: float | None = None
    chance_of: Callable[[np.ndarray], float] | None = None

    def better(self, value: float, than: float | None) -> bool:
        """Return whether ``value`` improves on ``than`` (anything but NaN improves on None and on NaN)."""
        if value != value:
            return False
        return than is None or than != than or (value > than if self.direction == "max" else value < than)


def mean_metric(
    per_sample: Callable[[Any, Any], torch.Tensor],
    direction: Literal["max", "min"],
    unit: str = "",
    chance: float | None = None,
) -> Metric:
    """Return the mean over samples of a per-sample number (B,)."""

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        values_B = per_sample(prediction, target).double()
        return torch.stack([values_B, torch.ones_like(values_B)], dim=1)

    return Metric(statistics, _ratio, direction, unit, chance)


def accuracy(counts: Sequence[int] = ()) -> Metric:
    """Return top-1 accuracy of class scores (B, C); chance is the commonest class's share of ``counts``."""

    def correct(scores_BC: Float[torch.Tensor, "B C"], target_B: Int[torch.Tensor, B]) -> torch.Tensor:
        return scores_BC.argmax(1) == target_B

    total = sum(counts)
    return mean_metric(correct, "max", chance=max(counts) / total if total else None)


def balanced_accuracy(classes: int) -> Metric:
    """Return the mean recall over the classes that occur: what skewed classes need beside accuracy."""

    def statistics(scores_BC: Float[torch.Tensor, "B C"], target_B: Int[torch.Tensor, B]) -> torch.Tensor:
        occurs_BC = torch.nn.functional.one_hot(target_B, classes)
        correct_B = scores_BC.argmax(1) == target_B
        return torch.cat([occurs_BC * correct_B[:, None], occurs_BC], dim=1)

    def value(sums: np.ndarray) -> float:
        correct, occurs = sums[:classes], sums[classes:]
        seen = occurs > 0
        return float((correct[seen] / occurs[seen]).mean()) if seen.any() else float("nan")

    return Metric(statistics, value, chance=1.0 / classes)


def attribute_accuracy(attributes: int) -> Metric:
    """Return the share of right answers over all known attributes; target (B, A) is 0, 1 or NaN for unknown."""

    def statistics(
        probability_BA: Float[torch.Tensor, "B A"], target_BA: Float[torch.Tensor, "B A"]
    ) -> Float[torch.Tensor, "B S"]:
        known_BA = ~target_BA.isnan()
        right_BA = ((probability_BA >= 0.5) == (target_BA >= 0.5)) & known_BA
        totals_B2 = torch.stack([right_BA.sum(1), known_BA.sum(1)], dim=1)
        return torch.cat([totals_B2, (target_BA >= 0.5) & known_BA, known_BA], dim=1).double()

    def chance_of(sums: np.ndarray) -> float:
        yes, known = sums[2 : 2 + attributes], sums[2 + attributes :]
        return float(np.maximum(yes, known - yes).sum() / sums[1]) if sums[1] else float("nan")

    return Metric(statistics, _ratio, chance_of=chance_of)


def mean_error(error: Callable[[Any, Any], torch.Tensor]) -> Metric:
    """Return the mean landmark error over the inter-ocular distance; NaN errors (coinciding eyes) are left out."""

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        error_B = error(prediction, target).double()
        known_B = ~error_B.isnan()
        return torch.stack([torch.where(known_B, error_B, 0.0), known_B], dim=1)

    return Metric(statistics, _ratio, "min", unit="inter-ocular distances")


def failure_rate(error: Callable[[Any, Any], torch.Tensor], threshold: float = 0.1) -> Metric:
    """Return the share of faces whose mean error is over ``threshold`` inter-ocular distances."""

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        error_B = error(prediction, target).double()
        return torch.stack([error_B > threshold, ~error_B.isnan()], dim=1).double()

    return Metric(statistics, _ratio, "min")


def _ratio(sums: np.ndarray) -> float:
    return float(sums[0] / sums[1]) if sums[1] else float("nan")
