"""Metrics of landmarks, in inter-ocular distances. Faces whose eyes coincide have none: left out, and counted.

``distances`` gives (prediction, target) → each point's distance, (B, P), NaN for such a face; a face's error e is their
mean. Shapes: B samples, P points, S statistics, N thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from descant.lazy import torch
from descant.tasks.metrics import Metric, divided, named, ratio

Distances = Callable[[Any, Any], "torch.Tensor"]
THRESHOLD = 0.1
_STEP, _STEPS = 0.005, 60  # of the curve, which ends at 0.3


def mean_error(distances: Distances, names: Sequence[str]) -> Metric:
    """Return the mean error; details: the mean distance of each point."""

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> Float[torch.Tensor, "B S"]:
        error_BP, known_B1 = _known(distances(prediction, target))
        return torch.cat([error_BP.mean(1, keepdim=True), known_B1, error_BP], dim=1)

    return Metric(
        statistics,
        ratio,
        "min",
        unit="inter-ocular distances",
        details=lambda sums: named(names, _mean_of(sums)),
    )


def failure_rate(distances: Distances, threshold: float = THRESHOLD) -> Metric:
    """Return the share of faces with e > ``threshold``."""

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> Float[torch.Tensor, "B S"]:
        error_BP, known_B1 = _known(distances(prediction, target))
        failed_B1 = (error_BP.mean(1, keepdim=True) > threshold) * known_B1
        return torch.cat([failed_B1, known_B1], dim=1)

    return Metric(statistics, ratio, "min")


def error_curve_area(distances: Distances, threshold: float = THRESHOLD) -> Metric:
    """Return the area under the cumulative error curve up to ``threshold``, as a share of the most that it can be.

    The curve at t is the share of faces with e ≤ t, so the area is exactly the mean of max(0, threshold - e) /
    threshold. Details: the curve itself, each 0.005 up to 0.3, by the text of t.
    """
    steps_N = [round(_STEP * step, 3) for step in range(_STEPS + 1)]

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> Float[torch.Tensor, "B S"]:
        error_BP, known_B1 = _known(distances(prediction, target))
        error_B1 = error_BP.mean(1, keepdim=True)
        curve_BN = (error_B1 <= torch.tensor(steps_N, dtype=error_B1.dtype, device=error_B1.device)) * known_B1
        return torch.cat([(1.0 - error_B1 / threshold).clamp(min=0.0) * known_B1, known_B1, curve_BN], dim=1)

    return Metric(
        statistics,
        ratio,
        details=lambda sums: named([f"{step:.3f}" for step in steps_N], _mean_of(sums)),
        along="share of faces, by their error in inter-ocular distances",
    )


def excluded(distances: Distances) -> Metric:
    """Return how many faces have no error, since their eyes coincide."""

    def statistics(prediction: torch.Tensor, target: torch.Tensor) -> Float[torch.Tensor, "B S"]:
        _, known_B1 = _known(distances(prediction, target))
        return torch.cat([1.0 - known_B1, torch.ones_like(known_B1)], dim=1)

    return Metric(statistics, lambda sums: float(sums[0]) if sums[1] else float("nan"), "min", unit="faces")


def _mean_of(sums: np.ndarray) -> np.ndarray:
    """Return what comes after the first two sums, over the second of them: the number of faces with an error."""
    return divided(sums[2:], np.full(len(sums) - 2, sums[1]))


def _known(distance_BP: torch.Tensor) -> tuple[Float[torch.Tensor, "B P"], Float[torch.Tensor, "B 1"]]:
    """Return the distances, 0 for faces that have none, and which have some, as 0 and 1."""
    known_B1 = ~distance_BP.isnan().any(1, keepdim=True)
    return torch.where(known_B1, distance_BP.double(), 0.0), known_B1.double()
