"""Numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from descant.inputs.base import View
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.headed import HeadedTask
from descant.tasks.labels import BadLabel, can_teach


class Regression(HeadedTask):
    """One number or several, from a label of kind ``number``: squared error by default, or ``l1``, ``smooth_l1``.

    A label of shape (T,) or (T, …) may stand for the frames of a sequence, each of which has a number or several: the
    head ``sequence`` with ``average: false`` gives these.
    """

    default_weight: ClassVar[float] = 0.2
    label_kinds = ("number",)
    losses = {"l2": losses.l2, "l1": losses.l1, "smooth_l1": losses.smooth_l1}
    metric_makers = {
        "mean_absolute_error": lambda task: metrics.mean_metric(losses.l1, "min"),
        "mean_squared_error": lambda task: metrics.mean_metric(losses.l2, "min"),
    }

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.count = math.prod(self.output_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the label."""
        return self.field.shape or (1,)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the chosen loss of each sample over all its numbers, (B,)."""
        return super().loss(output.flatten(1), target)

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the numbers side by side, (B, N)."""
        return output.float().flatten(1)

    def meaning(self) -> dict[str, Any]:
        """Return which label the numbers are."""
        return {"kind": "numbers", "label": self.label}

    def blank(self) -> np.ndarray:
        """Return zeros."""
        return np.zeros(self.count, np.float32)

    def target(self, label: Any, views: Mapping[str, View]) -> np.ndarray:
        """Return the numbers as a flat float32 array."""
        allowed = f"{self.label} is {label!r}: allowed are {self.count} finite numbers up to 1e15 in size"
        try:
            values = np.asarray(label)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadLabel(allowed) from error
        if values.dtype.kind not in "biuf" or values.size != self.count or not can_teach(values):
            raise BadLabel(allowed)
        return values.astype(np.float32).reshape(-1)
