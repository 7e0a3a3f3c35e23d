"""A metric as the evaluator makes it: from sums over the parts that a split is cut into."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from descant.tasks.metrics import Metric


def sums_of(metric: Metric, prediction: torch.Tensor, target: torch.Tensor, cuts: tuple[int, ...] = ()) -> np.ndarray:
    """The metric's sums over the parts between ``cuts``."""
    edges = [0, *sorted(cuts), len(target)]
    parts = [(start, stop) for start, stop in pairwise(edges) if stop > start]
    sums = [metric.statistics(prediction[start:stop], target[start:stop]).double().sum(0) for start, stop in parts]
    return np.sum([part.numpy() for part in sums], axis=0)


def value_of(metric: Metric, prediction: torch.Tensor, target: torch.Tensor, cuts: tuple[int, ...] = ()) -> float:
    """The metric from these sums."""
    return metric.value(sums_of(metric, prediction, target, cuts))


def details_of(metric: Metric, prediction: torch.Tensor, target: torch.Tensor) -> dict[str, float]:
    """What the metric is made of."""
    assert metric.details is not None
    return metric.details(sums_of(metric, prediction, target))
