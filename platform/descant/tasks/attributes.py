"""Several yes-or-no attributes at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from descant.inputs.base import View, image_view
from descant.lazy import torch
from descant.tasks import losses, metrics
from descant.tasks.base import BadLabel, Task
from descant.tasks.sides import check_sides, mirrored_order


class BinaryAttributes(Task):
    """A attributes, each yes or no: binary cross-entropy on A logits, averaged over the attributes that are known.

    The label is a list of A values, each 0, 1, false, true or null for unknown. ``attributes`` are their names.
    ``flip_attributes`` are the names that take each other's place in a mirrored image.
    """

    attributes: Sequence[str] = ()
    flip_attributes: Mapping[str, str] | None = None
    default_weight: ClassVar[float] = 0.3
    label_kinds = ("number", "class")
    mixup = True
    losses = {"binary_cross_entropy": losses.binary_cross_entropy}
    metric_makers = {"accuracy": lambda task: metrics.attribute_accuracy(len(task.attribute_names))}

    def __init__(self, *args: Any, hidden: Sequence[int] = (), dropout: float = 0.0, **given: Any) -> None:
        super().__init__(*args, **given)
        self._hidden, self._dropout = tuple(hidden), dropout
        count = len(self.attributes) or math.prod(self.field.shape or (1,))
        self.attribute_names = tuple(self.attributes) or tuple(str(index) for index in range(count))
        self._mirrored = mirrored_order(self.attribute_names, self.flip_attributes)

    def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
        """Return a linear or multi-layer head with A outputs."""
        from descant.heads import mlp

        return mlp(feature, len(self.attribute_names), self._hidden, self._dropout)

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the probability of each attribute, (B, A)."""
        return output.float().sigmoid()

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return each attribute's probability by name."""
        return {name: round(float(p), 6) for name, p in zip(self.attribute_names, prediction, strict=True)}

    def blank(self) -> np.ndarray:
        """Return all attributes unknown."""
        return np.full(len(self.attribute_names), np.nan, np.float32)

    def target(self, label: Any, views: Mapping[str, View]) -> np.ndarray:
        """Return the attributes as 0, 1 or NaN."""
        values = label if isinstance(label, list) else [label]
        if len(values) != len(self.attribute_names) or any(value not in (0, 1, None) for value in values):
            raise BadLabel(f"{self.label} is {label!r}: allowed are {len(self.attribute_names)} values of 0, 1 or null")
        target = np.asarray([np.nan if value is None else float(value) for value in values], np.float32)
        view = image_view(views)
        return target[list(self._mirrored)] if view is not None and view.mirrored else target

    def check_mirrored(self) -> None:
        """Raise a UserError when the class does not say which attributes are exchanged."""
        check_sides(self.name, "flip_attributes", self.attribute_names, self.flip_attributes)
