"""Numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from descant.inputs.base import View
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.base import BadLabel, Task, can_teach


class Regression(Task):
    """One number or several, from a label of kind ``number``: squared error by default, or ``l1``, ``smooth_l1``."""

    default_weight: ClassVar[float] = 0.2
    label_kinds = ("number",)
    losses = {"l2": losses.l2, "l1": losses.l1, "smooth_l1": losses.smooth_l1}
    metric_makers = {
        "mean_absolute_error": lambda task: metrics.mean_metric(losses.l1, "min"),
        "mean_squared_error": lambda task: metrics.mean_metric(losses.l2, "min"),
    }

    def __init__(self, *args: Any, hidden: Sequence[int] = (), dropout: float = 0.0, **given: Any) -> None:
        super().__init__(*args, **given)
        self._hidden, self._dropout = tuple(hidden), dropout
        self.count = math.prod(self.field.shape or (1,))

    def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
        """Return a linear or multi-layer head with one output per number."""
        from descant.heads import mlp

        return mlp(feature, self.count, self._hidden, self._dropout)

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
