"""The task contract: what a task reads, where its head attaches, its head, its per-sample loss and its metrics.

Masking, weighting, reduction over ranks, early stopping and logging are the engine's.
Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from descant.data.description import Field
from descant.errors import UserError, nearest
from descant.inputs.base import View
from descant.lazy import torch
from descant.registry import Registry
from descant.tasks.metrics import Metric

Loss = Callable[[Any, Any], "torch.Tensor"]

tasks: Registry[Task]


class Task:
    """One thing to learn.

    A subclass gives ``label`` (or ``input``, for tasks that reconstruct), a head and a per-sample loss. The recipe's
    further keys of the task (``hidden``, ``loss``, ``metrics``, …) are the constructor's keyword arguments.

    Args:
        name: the task's name in the recipe.
        fields: the data set's fields by name.
        inputs: the shape of each input as the trunk sees it, without the batch.
        feature: the trunk's feature that the head reads, if not the class's own.
        loss: the name of one of ``losses``, if not the first.
        metrics: names of ``metric_makers``, if not all.

    Raises:
        UserError: the label, the loss or a metric does not exist.
    """

    label: str | None = None
    input: str | None = None
    feature: str = "pooled"
    default_weight: ClassVar[float] = 0.3
    losses: ClassVar[Mapping[str, Loss]] = {}
    metric_makers: ClassVar[Mapping[str, Callable[[Any], Metric]]] = {}
    label_kinds: ClassVar[tuple[str, ...]] = ()
    mixup: bool = False
    """Whether samples mixed with others teach it, unless the recipe says otherwise: its loss is then of both labels."""

    own_view: ClassVar[bool] = False
    """Whether it sees the inputs changed in a way of its own (``draw``, ``view``), which costs a pass of the trunk."""
    pairs: ClassVar[bool] = False
    """Whether it holds samples against each other by both views, the inputs as they are and its own (``contrast``)."""

    part: ClassVar[str | None] = None
    """What each of its parts is called in a recipe (``stop.per``), where it has some that can stop one by one."""

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Field],
        inputs: Mapping[str, tuple[int, ...]],
        *,
        feature: str | None = None,
        loss: str | None = None,
        metrics: Sequence[str] | None = None,
    ) -> None:
        self.name, self.fields, self.inputs = name, fields, inputs
        self.feature = feature or self.feature
        self._loss = self._choose("loss", loss or next(iter(self.losses), ""), self.losses) if self.losses else None
        self._metric_names = list(self.metric_makers) if metrics is None else list(metrics)
        for metric in self._metric_names:
            self._choose("metric", metric, self.metric_makers)
        self._check_reads()

    def head(self, feature: tuple[int, ...]) -> torch.nn.Module:
        """Return the head for a trunk feature of this shape (without the batch)."""
        raise NotImplementedError

    def loss(self, output: Any, target: Any) -> torch.Tensor:
        """Return the loss of each sample, (B,), not yet weighted or masked."""
        assert self._loss is not None, f"{type(self).__name__} defines neither 'losses' nor loss()"
        loss_B: torch.Tensor = self._loss(output, target)
        return loss_B

    def predict(self, output: torch.Tensor) -> torch.Tensor:
        """Return what metrics and users read, from the head's output: probabilities, coordinates, values.

        Predictions of several views of one sample are averaged.
        """
        return output

    def answer(self, prediction: np.ndarray, view: View | None) -> dict[str, Any]:
        """Return one sample's prediction as plain JSON."""
        return {"value": prediction.tolist()}

    def meaning(self) -> dict[str, Any]:
        """Return as plain JSON what the numbers are that ``predict`` gives: their kind, names and unit."""
        return {"kind": "values"}

    def metrics(self) -> dict[str, Metric]:
        """Return the metrics by name; the first is the one that chooses the best epoch of a main task."""
        return {name: self.metric_makers[name](self) for name in self._metric_names}

    @property
    def parts(self) -> Sequence[str]:
        """The names of its parts, in the order of its outputs; metrics' details of them have the same names."""
        return ()

    def part_losses(self, output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of each part, (B, P), and which parts a sample teaches; ``loss`` is the mean over these."""
        raise NotImplementedError

    def blank(self) -> np.ndarray:
        """Return the target of a sample without a label: any value of the right shape and type."""
        raise NotImplementedError

    def read(self, labels: Mapping[str, Any]) -> Any:
        """Return this task's label out of those of a sample, None where it has none."""
        assert self.label is not None
        return labels.get(self.label)

    def target(self, label: Any, views: Mapping[str, View]) -> np.ndarray:
        """Return one sample's JSON label as an array.

        Raises:
            BadLabel: the label has the wrong type or range, or would not stay finite as float32 and in a loss.
        """
        raise NotImplementedError

    def fusion_key(self) -> Hashable | None:
        """Return what tasks have in common whose heads can be one matrix product and whose losses one call.

        Tasks of one key have the same kind of linear head, output shape and targets, and one pure function as loss.
        None: the task stands alone.
        """
        return None

    def check_labels(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Raise a UserError for training labels from which nothing can be learnt; reads no more than it has to.

        Args:
            samples: the labels of the training split's samples, as they are stored; of a large split the first ones.
        """

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return what is random in one sample's own view; called in the loaders, a pure function of ``rng``."""
        raise NotImplementedError

    def view(self, inputs: Mapping[str, torch.Tensor], drawn: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the inputs as this task sees them, of the same shapes.

        Args:
            inputs: by name, (B, …), as the trunk takes them.
            drawn: what ``draw`` gave for each sample, (B, …).
        """
        raise NotImplementedError

    def view_target(self, inputs: Mapping[str, torch.Tensor], drawn: torch.Tensor) -> torch.Tensor:
        """Return the targets of a task with a view of its own, (B, …): what was drawn."""
        return drawn

    def contrast(self, output: torch.Tensor, everyone: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Return what loss and metrics read of a task with ``pairs``, (B, …): the outputs held against all others.

        In training those of the global batch (of its micro-batches, where it has some), in an evaluation those of the
        batch, which one rank computes alone.

        Args:
            output: of this rank's rows, for the inputs as they are and for its own view, (B, 2, …).
            everyone: the same of all ranks' rows, (N, 2, …); gradients flow through it to all ranks.
            others: which of these are of another sample than a row, and count, (B, N).
        """
        raise NotImplementedError

    def check_mirrored(self) -> None:
        """Raise a UserError when labels cannot follow an image that is mirrored; asked where an input mirrors.

        ``target`` finds in ``image_view(views).mirrored`` whether the one at hand is.
        """

    def read_from(self, fields: Mapping[str, Field]) -> None:
        """Read labels from another data set from now on; outputs keep the meaning that they were trained with.

        Raises:
            UserError: it lacks the label, or holds it as another kind.
        """
        self.fields = fields
        self._check_reads()

    @property
    def field(self) -> Field:
        """The data set's field of this task's label."""
        assert self.label is not None
        return self.fields[self.label]

    def _choose(self, what: str, name: str, known: Mapping[str, Any]) -> Any:
        if name not in known:
            raise UserError(f"the task {self.name!r} has no {what} {name!r}: {nearest(name, known)}")
        return known[name]

    def _check_reads(self) -> None:
        if self.input is not None and self.input not in self.inputs:
            raise UserError(
                f"the task {self.name!r} reads the input {self.input!r}, which the recipe lacks: "
                f"{nearest(self.input, self.inputs)}"
            )
        if self.label is None:
            return
        labels = [name for name, field in self.fields.items() if field.is_label]
        if self.label in self.fields and self.label not in labels:
            raise UserError(
                f"the task {self.name!r} reads the label {self.label!r}, whose values in the data set are of no one "
                f"kind (classes, numbers or points): mend them, or say what they are in dataset.json"
            )
        if self.label not in labels:
            raise UserError(
                f"the task {self.name!r} reads the label {self.label!r}, which the data set lacks: "
                f"{nearest(self.label, labels)}"
            )
        if self.label_kinds and self.field.kind not in self.label_kinds:
            raise UserError(
                f"the task {self.name!r} needs a label of kind {' or '.join(self.label_kinds)}, "
                f"but {self.label!r} is of kind {self.field.kind}"
            )


tasks = Registry("task", "tasks")


def register_task(name: str) -> Callable[[type[Task]], type[Task]]:
    """Register a task class under a name that recipes use.

    >>> @register_task("speaker")
    ... class Speaker(Classification):
    ...     label = "speaker"
    """
    return tasks.register(name)
