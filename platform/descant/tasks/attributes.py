"""Several yes-or-no attributes at once, by one head."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from descant.data.description import Field
from descant.errors import UserError, nearest
from descant.inputs.base import View, image_view
from descant.lazy import torch
from descant.tasks import attribute_metrics, losses, ranking
from descant.tasks.headed import HeadedTask
from descant.tasks.labels import BadLabel
from descant.tasks.sides import check_sides, mirrored_order


class BinaryAttributes(HeadedTask):
    """A attributes, each yes or no: binary cross-entropy on A logits, averaged over the attributes that are known.

    With ``label`` they are one label, a list of A values, each 0, 1, false, true or null for unknown, and
    ``attributes`` are their names. Without it each is a label of its own, of two classes, the second of which is yes:
    those named by ``attributes``, or all that the data set has.
    ``flip_attributes`` are the names that take each other's place in a mirrored image.

    Args:
        attributes: the names, in the place of the class's own.
        given: the arguments of ``HeadedTask``.

    Attributes:
        attribute_names: the A names.
    """

    attributes: Sequence[str] = ()
    flip_attributes: Mapping[str, str] | None = None
    default_weight: ClassVar[float] = 0.3
    label_kinds = ("number", "class")
    part = "attribute"
    mixup = True
    losses = {"binary_cross_entropy": losses.binary_cross_entropy}
    metric_makers = {
        "accuracy": lambda task: attribute_metrics.accuracy(task.attribute_names),
        "balanced_accuracy": lambda task: attribute_metrics.balanced_accuracy(task.attribute_names),
        "f1": lambda task: attribute_metrics.f1(task.attribute_names),
        "auc": lambda task: ranking.attribute_auc(task.attribute_names),
        "cross_entropy": lambda task: attribute_metrics.cross_entropy(task.attribute_names),
    }

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        attributes: Sequence[str] | None = None,
        **given: Any,
    ) -> None:
        names = tuple(self.attributes if attributes is None else attributes)
        self.sources = (self.label,) if self.label is not None else _sources(name, fields, names)
        self.label = self.sources[0]
        super().__init__(name, fields, inputs, **given)
        numbers = tuple(map(str, range(math.prod(self.field.shape or (1,)))))
        self.attribute_names = names or (self.sources if self.field.kind == "class" else numbers)
        self._mirrored = mirrored_order(self.attribute_names, self.flip_attributes)
        alone = type(self).label is not None
        self._classes = {} if alone else {source: self.fields[source].classes for source in self.sources}
        self._check_counts()

    @property
    def output_shape(self) -> tuple[int, ...]:
        """A logits."""
        return (len(self.attribute_names),)

    @property
    def parts(self) -> Sequence[str]:
        """The attributes."""
        return self.attribute_names

    def part_losses(
        self, output: Float[torch.Tensor, "B A"], target: Float[torch.Tensor, "B A"]
    ) -> tuple[Float[torch.Tensor, "B A"], Bool[torch.Tensor, "B A"]]:
        """Return each attribute's loss, 0 where it is unknown (NaN), and which are known."""
        return losses.attribute_cross_entropy(output, target), ~target.isnan()

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return the probability of each attribute, (B, A)."""
        return output.float().sigmoid()

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return each attribute's probability by name."""
        return {name: round(float(p), 6) for name, p in zip(self.attribute_names, prediction, strict=True)}

    def meaning(self) -> dict[str, Any]:
        """Return the attributes' names."""
        return {"kind": "attribute probabilities", "attributes": list(self.attribute_names)}

    def blank(self) -> np.ndarray:
        """Return all attributes unknown."""
        return np.full(len(self.attribute_names), np.nan, np.float32)

    def read(self, labels: Mapping[str, Any]) -> Any:
        """Return the task's label out of those of a sample: one, or a list of several; None where it has none."""
        if len(self.sources) == 1:
            return labels.get(self.sources[0])
        values = [labels.get(source) for source in self.sources]
        return None if all(value is None for value in values) else values

    def target(self, label: Any, views: Mapping[str, View]) -> np.ndarray:
        """Return the attributes as 0, 1 or NaN."""
        values = label if isinstance(label, list) else [label]
        if len(values) != len(self.attribute_names):
            raise BadLabel(f"{self.label} is {label!r}: allowed are {len(self.attribute_names)} values of 0, 1 or null")
        target = np.asarray([self._answer(place, value) for place, value in enumerate(values)], np.float32)
        view = image_view(views)
        return target[list(self._mirrored)] if view is not None and view.mirrored else target

    def check_labels(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Raise a UserError for an attribute of a list that is the same in all samples; other labels are counted."""
        if len(self.sources) > 1 or self.field.counts:
            return
        seen_A2 = np.zeros((len(self.attribute_names), 2), bool)
        for labels in samples:
            label = self.read(labels)
            with suppress(BadLabel):
                target_A = np.full(len(seen_A2), np.nan) if label is None else self.target(label, {})
                seen_A2 |= target_A[:, None] == np.array([0, 1])
            if seen_A2.all():
                return
        constant = [name for name, both in zip(self.attribute_names, seen_A2, strict=True) if not both.all()]
        if constant:
            raise UserError(
                f"the attribute {constant[0]!r} of the task {self.name!r} is the same, or unknown, in all samples that "
                f"were looked at of the training split, so it cannot be learnt: add samples, or pack it as null"
            )

    def check_mirrored(self) -> None:
        """Raise a UserError when the class does not say which attributes are exchanged."""
        check_sides(self.name, "flip_attributes", self.attribute_names, self.flip_attributes)

    def _answer(self, place: int, value: Any) -> float:
        """Return 0, 1 or NaN; classes are matched by their names, so that another data set may have another order."""
        if value is None:
            return math.nan
        source = self.sources[place if len(self.sources) > 1 else 0]
        own, here = self._classes.get(source, ()), self.fields[source].classes
        if own and isinstance(value, int) and value in (0, 1) and value < len(here):
            value = here[value]
        if value in own:
            return float(own.index(value))
        if value not in (0, 1, "0", "1"):
            raise BadLabel(f"{source} is {value!r}: allowed are {', '.join((*own, '0'))}, 1 or null")
        return float(value)

    def _check_reads(self) -> None:
        super()._check_reads()
        for source in () if type(self).label is not None else self.sources:
            field = self.fields.get(source)
            if field is None or field.kind not in self.label_kinds or len(field.classes) not in (0, 2):
                raise UserError(
                    f"the task {self.name!r} reads {source!r} as an attribute, but the data set has no such label of "
                    f"two classes: {nearest(source, _two_classes(self.fields))}"
                )

    def _check_counts(self) -> None:
        size = math.prod(self.field.shape or (1,))
        if "attributes" in self._classes and size != len(self.attribute_names):
            raise UserError(
                f"the task {self.name!r} has {len(self.attribute_names)} attributes, but the label 'attributes' of the "
                f"data set {size} values: give 'attributes' as many names"
            )
        for source in self.sources:
            field = self.fields[source]
            if len(field.counts) == 2 and not all(field.counts):
                found = " or ".join(repr(name) for name, n in zip(field.classes, field.counts, strict=True) if n)
                raise UserError(
                    f"the label {source!r} is {found or 'absent'} in all of the training split, so the task "
                    f"{self.name!r} cannot learn it: add samples, or take it out of the task's 'attributes'"
                )


def _two_classes(fields: Mapping[str, Field]) -> tuple[str, ...]:
    return tuple(name for name, field in fields.items() if field.kind == "class" and len(field.classes) == 2)


def _sources(task: str, fields: Mapping[str, Field], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the label ``attributes`` where the data set has one; else ``names``, or all labels of two classes."""
    found = ("attributes",) if "attributes" in fields else names or _two_classes(fields)
    if not found:
        raise UserError(
            f"the task {task!r} finds no attributes: the data set has neither a label 'attributes', a list of 0, 1 or "
            f"null, nor labels of two classes; its labels are {', '.join(n for n, f in fields.items() if f.is_label)}"
        )
    return found
