"""What stop rules go by: the course of each task, or of each part of a task, since it began or was taken up again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from descant.loop.evaluate import Scores
from descant.stopping import Curves, StopRule


def part_name(task: str, part: str) -> str:
    """Return what a part of a task is called in logs and checkpoints: ``attributes.smile``."""
    return f"{task}.{part}"


@dataclass(frozen=True)
class Subject:
    """What a rule may stop: a task, or one of its parts.

    Attributes:
        task: its name.
        part: the part's name, None for the whole task.
        row: which of the task's outputs is the part's, None for the whole task.
        share: of the task's weight that is its own: the task's loss is the mean over its parts.
    """

    task: str
    part: str | None = None
    row: int | None = None
    share: float = 1.0

    @classmethod
    def of(cls, task: str, parts: Sequence[str] | None) -> list[Subject]:
        """Return the whole task, or where ``parts`` are given each of them."""
        if parts is None:
            return [cls(task)]
        return [cls(task, part, row, 1 / len(parts)) for row, part in enumerate(parts)]

    @property
    def name(self) -> str:
        """The task's name, or that of its part."""
        return self.task if self.part is None else part_name(self.task, self.part)

    def loss(self, scores: Scores) -> float:
        """Return its loss in an evaluation."""
        return scores.values[self.task]["loss"] if self.part is None else scores.part_losses[self.task][self.part]

    def metric(self, scores: Scores) -> float:
        """Return the task's first metric, or what that is for the part; NaN without."""
        values = scores.values[self.task]
        first = next((name for name in values if name != "loss"), "")
        if self.part is None:
            return values.get(first, math.nan)
        return scores.details[self.task].get(first, {}).get(self.part, math.nan)


@dataclass(frozen=True)
class Decision:
    """What a rule said of a task, or of a part of one, after an evaluation.

    Attributes:
        name: of what it is about.
        measure: what the rule goes by, None where it is too early to tell or all is stopped.
        threshold: above which it stops.
        alignment: the mean cosine with the main task's gradient since the evaluation before, NaN without.
        stops: whether it stops now.
        revives: whether it is taken up again.
    """

    name: str
    measure: float | None = None
    threshold: float = math.inf
    alignment: float = math.nan
    stops: bool = False
    revives: bool = False


@dataclass
class Course:
    """What is known of a task, or of a part of one, that has a rule.

    Attributes:
        curves: since it began or was taken up again.
        began: in which epoch that was.
        stopped_epoch: where it stopped, None while it trains.
        loss: the validation loss where it stopped.
        head: of its best validation loss, where that may be put back.
        best_loss: that loss.
    """

    curves: Curves
    began: int = 0
    stopped_epoch: int | None = None
    loss: float = math.nan
    head: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf

    def add(self, epoch: int, trained: float, loss: float, metric: float, weight: float, aligned: float) -> None:
        """Add an evaluation; see ``Curves`` for what each number is."""
        curves = self.curves
        curves.epochs.append(epoch)
        curves.training_loss.append(trained)
        curves.validation_loss.append(loss)
        curves.metric.append(metric)
        curves.weight.append(weight)
        curves.alignment.append(aligned)

    def asked(self, rule: StopRule, epoch: int, min_epochs: int) -> tuple[float | None, bool]:
        """Return the rule's measure after the latest evaluation, and whether that stops it."""
        measure = rule.measure(self.curves)
        stops = measure is not None and measure > rule.threshold and epoch - self.began + 1 >= min_epochs
        return measure, stops


class Mean:
    """A mean over the time since the evaluation before."""

    def __init__(self, total: float = 0.0, count: float = 0.0) -> None:
        self.total, self.count = total, count

    def add(self, total: float, count: float) -> None:
        """Add what ``count`` numbers sum up to."""
        self.total, self.count = self.total + total, self.count + count

    def take(self) -> float:
        """Return the mean (NaN of nothing) and begin anew."""
        mean = self.total / self.count if self.count else math.nan
        self.total = self.count = 0.0
        return mean
