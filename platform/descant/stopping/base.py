"""The contract of stop rules: a rule sees one task's curves after each evaluation, and says whether the task stops.

A rule is a pure function of the curves, so that ranks and resumed runs decide alike. What stopping does, from when on
it may happen and when it is taken back are the engine's (loop/stopping.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from descant.registry import Registry


@dataclass
class Curves:
    """What is known of one task after each evaluation since it began or was taken up again, oldest first.

    Attributes:
        direction: which way the task's metric is better.
        epochs: the epoch of each evaluation, from 0.
        training_loss: the mean over the labels seen since the evaluation before; NaN where none was.
        validation_loss: of the whole validation split.
        metric: the task's first metric on the validation split.
        weight: of the task's loss in that epoch, the λ of Zhang et al.; of one of P parts a Pth of it.
        alignment: the mean cosine of the task's and the main task's gradients of the shared parameters since the
            evaluation before; NaN where it was not measured.
    """

    direction: Literal["max", "min"] = "min"
    epochs: list[int] = field(default_factory=list)
    training_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    alignment: list[float] = field(default_factory=list)


def measured(values: Sequence[float]) -> list[float]:
    """Return the entries of a curve that are finite numbers, oldest first."""
    return [value for value in values if math.isfinite(value)]


class StopRule:
    """Decides from a task's curves. A subclass's constructor takes the recipe's options of ``tasks.<name>.stop``.

    Raises:
        UserError: from the constructor, an option out of its range.
    """

    reads_alignment: ClassVar[bool] = False
    """Whether the rule looks at ``Curves.alignment``, for which gradients have to be compared now and then."""
    threshold: float
    """The task stops when ``measure`` is above it."""

    def measure(self, curves: Curves) -> float | None:
        """Return the number that the rule goes by after the latest evaluation, None where it is too early to tell."""
        raise NotImplementedError


rules: Registry[StopRule] = Registry("stop rule", "rules")


def register_stop_rule(name: str) -> Callable[[type[StopRule]], type[StopRule]]:
    """Register a stop rule under a name that recipes use (``tasks.<task>.stop.rule: NAME``).

    >>> @register_stop_rule("solved")
    ... class Solved(StopRule):
    ...     def __init__(self, loss: float = 0.1) -> None:
    ...         self.threshold = -loss
    ...
    ...     def measure(self, curves: Curves) -> float | None:
    ...         return -curves.validation_loss[-1]
    """
    return rules.register(name)
