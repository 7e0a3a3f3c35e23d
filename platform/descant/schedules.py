"""Numbers that change with the epoch: loss weights and learning rates.

``t`` is the epoch, from 0; ``T`` is the number of epochs of the run. A recipe gives a number, or a mapping such as
``{schedule: linear, start: 0.5, end: 0.1}``.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from descant.errors import UserError
from descant.registry import Registry


@runtime_checkable
class Schedule(Protocol):
    """A number as a function of the epoch."""

    def at(self, epoch: int, epochs: int) -> float:
        """Return the value in ``epoch`` (from 0) of a run of ``epochs``."""
        ...


schedules: Registry[Schedule] = Registry("schedule", "schedules")


@schedules.register("constant")
@dataclass(frozen=True)
class Constant:
    """The same value in every epoch."""

    value: float

    def at(self, epoch: int, epochs: int) -> float:
        """Return the value."""
        return self.value


@schedules.register("linear")
@dataclass(frozen=True)
class Linear:
    """From ``start`` in the first epoch straight to ``end`` in the last."""

    start: float
    end: float = 0.0

    def at(self, epoch: int, epochs: int) -> float:
        """Return start + (end - start) · t / (T - 1)."""
        return self.start + (self.end - self.start) * _progress(epoch, epochs)


@schedules.register("cosine")
@dataclass(frozen=True)
class Cosine:
    """From ``start`` in the first epoch to ``end`` in the last along half a cosine (Loshchilov & Hutter 2017)."""

    start: float
    end: float = 0.0

    def at(self, epoch: int, epochs: int) -> float:
        """Return end + (start - end) · (1 + cos(π t / (T - 1))) / 2."""
        return self.end + (self.start - self.end) * (1.0 + math.cos(math.pi * _progress(epoch, epochs))) / 2.0


@schedules.register("step")
@dataclass(frozen=True)
class Step:
    """``start``, multiplied by ``factor`` after each ``every`` epochs."""

    start: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        """Refuse an interval that has no meaning."""
        if self.every < 1:
            raise UserError(f"the step schedule's 'every' is {self.every}: give a whole number of epochs from 1")

    def at(self, epoch: int, epochs: int) -> float:
        """Return start · factor^⌊t / every⌋; ``every: 1, factor: 0.97`` is exponential decay."""
        return self.start * self.factor ** (epoch // self.every)


@schedules.register("linear_floor")
@dataclass(frozen=True)
class LinearFloor:
    """The auxiliary weight of the convergence article: max(0.5 · (1 - t / T), 0.1)."""

    start: float = 0.5
    floor: float = 0.1

    def at(self, epoch: int, epochs: int) -> float:
        """Return max(start · (1 - t / T), floor)."""
        return max(self.start * (1.0 - epoch / epochs), self.floor)


@schedules.register("piecewise")
@dataclass(frozen=True)
class Piecewise:
    """One of ``values`` after the other, each from its epoch in ``epochs`` on: what a population has found."""

    epochs: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        """Refuse epochs that are no order, or are not as many as the values."""
        first, order = list(self.epochs[:1]), list(self.epochs)
        if first != [0] or order != sorted(set(order)) or len(order) != len(self.values):
            raise UserError(
                f"the piecewise schedule has epochs {order} and values {list(self.values)}: give rising epochs from 0, "
                f"and a value for each"
            )

    def at(self, epoch: int, epochs: int) -> float:
        """Return the value whose epoch came last."""
        return self.values[bisect.bisect_right(self.epochs, epoch) - 1]


def parse_schedule(where: str, value: object) -> Schedule:
    """Return the schedule that a recipe gives at ``where``: a number or ``{schedule: name, …}``.

    Raises:
        UserError: an unknown schedule or option, or a value that is not a number.
    """
    if isinstance(value, Mapping):
        options = dict(value)
        name = options.pop("schedule", None)
        if not isinstance(name, str):
            raise UserError(f"{where} is a mapping without 'schedule': give a number, or one of {schedules.names()}")
        for key, number in options.items():
            options[key] = _option(f"{where}.{key}", key, number)
        return schedules.build(name, options)
    return Constant(_number(where, value))


def _option(where: str, key: str, value: object) -> Any:
    read = _whole if key in ("every", "epochs") else _number
    return [read(where, each) for each in value] if isinstance(value, list) else read(where, value)


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UserError(f"{where} is {value!r}: give a finite number, or a schedule of {schedules.names()}")
    return float(value)


def _whole(where: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{where} is {value!r}: give a whole number of epochs")
    return value


def _progress(epoch: int, epochs: int) -> float:
    return min(epoch / (epochs - 1), 1.0) if epochs > 1 else 0.0
