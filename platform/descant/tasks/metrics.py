"""Metrics as sums of per-sample statistics, so that a split may be cut over ranks in any way.

A metric turns (prediction, target) into statistics (B, S); the evaluator sums them exactly over the split, over all
ranks, and ``value`` makes the number. Those of attributes and landmarks have files of their own.
Shapes: B samples, S statistics, C classes, N bins.
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
    """One number over a split, and what it is made of.

    Attributes:
        statistics: (prediction, target) → (B, S), of the valid samples only.
        value: the S sums → the metric; NaN where it is not defined.
        direction: which way is better.
        unit: what the number counts, for tables and axes.
        chance: the value that a constant answer reaches, where that is known.
        chance_of: the S sums → that value, where it hangs on the samples.
        details: the S sums → further numbers by name, in order: of each attribute, of each point, along a curve.
        along: of details that are a curve, what their names count; empty where they are names.
    """

    statistics: Callable[[Any, Any], torch.Tensor]
    value: Callable[[np.ndarray], float]
    direction: Literal["max", "min"] = "max"
    unit: str = ""
    chance: float | None = None
    chance_of: Callable[[np.ndarray], float] | None = None
    details: Callable[[np.ndarray], dict[str, float]] | None = None
    along: str = ""

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

    return Metric(statistics, ratio, direction, unit, chance)


def accuracy(counts: Sequence[int] = ()) -> Metric:
    """Return top-1 accuracy of class scores (B, C); chance is the commonest class's share of ``counts``."""

    def correct(scores_BC: Float[torch.Tensor, "B C"], target_B: Int[torch.Tensor, B]) -> torch.Tensor:
        return scores_BC.argmax(1) == target_B

    total = sum(counts)
    return mean_metric(correct, "max", chance=max(counts) / total if total else None)


def balanced_accuracy(names: Sequence[str]) -> Metric:
    """Return the mean recall over the classes that occur: what skewed classes need beside accuracy.

    Details: each class's recall.
    """

    def recall_C(sums: np.ndarray) -> np.ndarray:
        correct, _, occurs = sums.reshape(3, -1)
        return divided(correct, occurs)

    def value(sums: np.ndarray) -> float:
        return mean_of_defined(recall_C(sums))

    return Metric(
        _counts(len(names)), value, chance=1.0 / len(names), details=lambda sums: named(names, recall_C(sums))
    )


def f1(names: Sequence[str]) -> Metric:
    """Return the mean F1 over the classes that occur or are answered (macro F1); details: each class's."""

    def f1_C(sums: np.ndarray) -> np.ndarray:
        correct, answered, occurs = sums.reshape(3, -1)
        return divided(2 * correct, answered + occurs)

    return Metric(
        _counts(len(names)), lambda sums: mean_of_defined(f1_C(sums)), details=lambda sums: named(names, f1_C(sums))
    )


def _counts(classes: int) -> Callable[[Any, Any], torch.Tensor]:
    """Return the statistics (B, 3C): for each class whether it is rightly answered, answered, and there."""

    def statistics(scores_BC: Float[torch.Tensor, "B C"], target_B: Int[torch.Tensor, B]) -> torch.Tensor:
        answered_BC = torch.nn.functional.one_hot(scores_BC.argmax(1), classes)
        occurs_BC = torch.nn.functional.one_hot(target_B, classes)
        return torch.cat([answered_BC * occurs_BC, answered_BC, occurs_BC], dim=1)

    return statistics


def ratio(sums: np.ndarray) -> float:
    """Return the first sum over the second, NaN where that is 0."""
    return float(sums[0] / sums[1]) if sums[1] else float("nan")


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return ``above`` over ``below``, NaN where that is 0."""
    shares: np.ndarray = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return shares


def mean_of_defined(values: np.ndarray) -> float:
    """Return the mean of what is not NaN, NaN where there is nothing."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def named(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    """Return values by name."""
    return {name: float(value) for name, value in zip(names, values, strict=True)}
