"""Metrics of several yes-or-no attributes; details are those of each attribute.

Predictions (B, A) are probabilities, targets 0, 1 or NaN for unknown. Shapes: B samples, S statistics, A attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from descant.lazy import torch
from descant.tasks.metrics import Metric, divided, mean_of_defined, named

_LEAST = 1e-7  # probability that a cross-entropy takes seriously: float32 has none nearer to 1


def accuracy(names: Sequence[str]) -> Metric:
    """Return the share of right answers over all known attributes; chance is the commoner answer to each."""

    def chance_of(sums: np.ndarray) -> float:
        _, _, there, known = sums.reshape(4, -1)
        return _total_ratio(np.maximum(there, known - there), known)

    return Metric(
        _counts,
        lambda sums: _total_ratio(_right(sums), sums.reshape(4, -1)[3]),
        chance_of=chance_of,
        details=lambda sums: named(names, divided(_right(sums), sums.reshape(4, -1)[3])),
    )


def balanced_accuracy(names: Sequence[str]) -> Metric:
    """Return the mean over attributes of half the share of right answers among yes plus half that among no.

    An attribute of which the split has one kind only has none: NaN among the details, no part of the mean.
    """

    def each(sums: np.ndarray) -> np.ndarray:
        hit, answered, there, known = sums.reshape(4, -1)
        right_no = known - there - (answered - hit)
        recalls_2A = divided(np.stack([hit, right_no]), np.stack([there, known - there]))
        return np.asarray(recalls_2A.mean(0))

    return _mean_over_attributes(names, each, chance=0.5)


def f1(names: Sequence[str]) -> Metric:
    """Return the mean F1 of yes over the attributes; NaN, and no part of the mean, without a sample whose answer is."""

    def each(sums: np.ndarray) -> np.ndarray:
        hit, answered, there, _ = sums.reshape(4, -1)
        return np.where(there > 0, divided(2 * hit, answered + there), np.nan)

    return _mean_over_attributes(names, each)


def cross_entropy(names: Sequence[str]) -> Metric:
    """Return the mean over attributes of the binary cross-entropy: the loss of each."""

    def statistics(
        probability_BA: Float[torch.Tensor, "B A"], target_BA: Float[torch.Tensor, "B A"]
    ) -> Float[torch.Tensor, "B S"]:
        known_BA = ~target_BA.isnan()
        right_BA = torch.where(target_BA >= 0.5, probability_BA, 1.0 - probability_BA).double()
        return torch.cat([-right_BA.clamp(min=_LEAST).log() * known_BA, known_BA.double()], dim=1)

    def each(sums: np.ndarray) -> np.ndarray:
        loss, known = sums.reshape(2, -1)
        return divided(loss, known)

    return Metric(
        statistics,
        lambda sums: mean_of_defined(each(sums)),
        direction="min",
        details=lambda sums: named(names, each(sums)),
    )


def _mean_over_attributes(
    names: Sequence[str], each: Callable[[np.ndarray], np.ndarray], chance: float | None = None
) -> Metric:
    return Metric(
        _counts,
        lambda sums: mean_of_defined(each(sums)),
        chance=chance,
        details=lambda sums: named(names, each(sums)),
    )


def _counts(
    probability_BA: Float[torch.Tensor, "B A"], target_BA: Float[torch.Tensor, "B A"]
) -> Float[torch.Tensor, "B S"]:
    """Return (B, 4A): of each attribute, if yes is answered and right, is answered, is right; and if it is known."""
    known_BA = ~target_BA.isnan()
    answered_BA, there_BA = (probability_BA >= 0.5) & known_BA, (target_BA >= 0.5) & known_BA
    return torch.cat([answered_BA & there_BA, answered_BA, there_BA, known_BA], dim=1).double()


def _right(sums: np.ndarray) -> Any:
    hit, answered, there, known = sums.reshape(4, -1)
    return known - answered - there + 2 * hit


def _total_ratio(above: np.ndarray, below: np.ndarray) -> float:
    return float(above.sum() / below.sum()) if below.sum() else float("nan")
