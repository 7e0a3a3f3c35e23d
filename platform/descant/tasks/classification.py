"""One class out of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from descant.errors import UserError
from descant.inputs.base import View, image_view
from descant.lazy import torch
from descant.tasks import losses, metrics, ranking
from descant.tasks.headed import HeadedTask
from descant.tasks.labels import BadLabel
from descant.tasks.sides import check_sides, mirrored_order


class Classification(HeadedTask):
    """One of C classes: cross-entropy on C logits; the label is the class's index or its name.

    ``classes`` are the class names, in the order of the indices; without them the data set's are taken.
    ``flip_classes`` are the names that take each other's place in a mirrored image, such as {"left": "right"}.
    """

    classes: Sequence[str] | None = None
    flip_classes: Mapping[str, str] | None = None
    default_weight: ClassVar[float] = 0.3
    label_kinds = ("class",)
    mixup = True
    losses = {"cross_entropy": losses.cross_entropy}
    metric_makers = {
        "accuracy": lambda task: metrics.accuracy(task.class_counts()),
        "balanced_accuracy": lambda task: metrics.balanced_accuracy(task.class_names),
        "f1": lambda task: metrics.f1(task.class_names),
        "auc": lambda task: ranking.class_auc(task.class_names),
    }
    usual_metrics = ("accuracy", "balanced_accuracy")

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.class_names = tuple(self.classes) if self.classes is not None else self.field.classes
        self._index = {name: index for index, name in enumerate(self.class_names)}
        self._mirrored = mirrored_order(self.class_names, self.flip_classes)
        self._check_classes()

    @property
    def output_shape(self) -> tuple[int, ...]:
        """C logits."""
        return (len(self.class_names),)

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return class probabilities, (B, C)."""
        return output.float().softmax(-1)

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return the likeliest class and every class's probability."""
        best = int(prediction.argmax())
        probabilities = {name: round(float(p), 6) for name, p in zip(self.class_names, prediction, strict=True)}
        return {"class": self.class_names[best], "probability": float(prediction[best]), "classes": probabilities}

    def meaning(self) -> dict[str, Any]:
        """Return the class names."""
        return {"kind": "class probabilities", "classes": list(self.class_names)}

    def blank(self) -> np.ndarray:
        """Return the last class: a head with too few outputs is found out on blank samples."""
        return np.asarray(len(self.class_names) - 1, np.int64)

    def target(self, label: Any, views: Mapping[str, View]) -> np.ndarray:
        """Return the class index of an index or a class name."""
        index = self._index.get(label) if isinstance(label, str) else None
        if isinstance(label, int) and 0 <= label < len(self.field.classes):
            index = self._to_own(int(label))
        if index is None:
            raise BadLabel(
                f"{self.label} is {label!r}: allowed are 0 to {len(self.class_names) - 1} for the classes "
                f"{', '.join(self.class_names)}, and these names"
            )
        view = image_view(views)
        return np.asarray(self._mirrored[index] if view is not None and view.mirrored else index, np.int64)

    def check_mirrored(self) -> None:
        """Raise a UserError when the class does not say which classes are exchanged."""
        check_sides(self.name, "flip_classes", self.class_names, self.flip_classes)

    def class_counts(self) -> list[int]:
        """Return how often each class occurs in the training split, in the order of this task's classes."""
        counts = [0] * len(self.class_names)
        for position, count in enumerate(self.field.counts):
            index = self._to_own(position)
            if index is not None:
                counts[index] += count
        return counts if sum(counts) else []

    def _to_own(self, position: int) -> int | None:
        """Return this task's index of the data set's class at ``position``.

        Classes are matched by their names; a data set that only knows numbers has the task's own order.
        """
        name = self.field.classes[position]
        if name in self._index:
            return self._index[name]
        return position if name == str(position) and position < len(self.class_names) else None

    def _check_classes(self) -> None:
        if len(self.class_names) < 2:
            raise UserError(f"the task {self.name!r} has the classes {list(self.class_names)}: give at least two")
        if len(self._index) < len(self.class_names):
            raise UserError(f"the task {self.name!r} names a class twice in {list(self.class_names)}")
        if self.field.counts and not self.class_counts():
            raise UserError(
                f"the training split has no sample with a label {self.label!r} that the task {self.name!r} can learn: "
                f"add labels, or take the task out"
            )
        missing = [name for name, n in zip(self.class_names, self.class_counts(), strict=False) if n == 0]
        if missing:
            raise UserError(
                f"the training split has no sample of {self.label!r} {', '.join(map(repr, missing))}, which the task "
                f"{self.name!r} should learn: add samples, or take the class out of the task's classes"
            )
