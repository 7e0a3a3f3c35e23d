"""Stopping when nothing has improved for a while."""

from __future__ import annotations

import math
from typing import Literal

from descant.stopping.base import Curves, StopRule, rules
from descant.stopping.options import number_from, whole_from


@rules.register("patience")
class Patience(StopRule):
    """Stops after ``patience`` evaluations in a row that did not improve.

    The measure is how many evaluations have passed since the latest improvement. An evaluation improves when it is
    better by more than ``min_delta`` than the latest one that did, so that many small steps count once they add up.
    The first number improves on nothing; NaN and infinity never improve.

    Args:
        patience: evaluations without improvement after which the task stops.
        min_delta: by how much a value has to be better, in its own unit.
        watch: the validation loss, or the task's first metric in the direction in which it is better.

    Raises:
        UserError: patience is below 1 or min_delta below 0.
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0, watch: Literal["loss", "metric"] = "loss") -> None:
        self.threshold = whole_from("patience", "patience", patience, 1) - 1.0
        self.min_delta = number_from("patience", "min_delta", min_delta, 0.0)
        self.watch = watch

    def measure(self, curves: Curves) -> float | None:
        """Return the number of evaluations since the latest improvement, None before there is a number at all."""
        values_T = curves.validation_loss if self.watch == "loss" else curves.metric
        sign = -1.0 if self.watch == "metric" and curves.direction == "max" else 1.0
        best, since = math.inf, 0
        for value in values_T:
            since += 1
            if math.isfinite(value) and sign * value < best - self.min_delta:
                best, since = sign * value, 0
        return float(since) if math.isfinite(best) else None
