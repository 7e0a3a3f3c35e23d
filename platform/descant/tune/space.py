"""The search space: recipe keys, and which values each may take.

``{uniform: [low, high]}``, ``{loguniform: [low, high]}``, ``{integer: [low, high]}`` with both ends, ``{choice: […]}``
of any values, and ``{grid: […]}`` of values in an order, next to each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from descant.errors import UserError, nearest
from descant.values import written

KINDS = ("uniform", "loguniform", "integer", "choice", "grid")
_EXAMPLE = "such as {loguniform: [0.1, 10]} or {choice: [adam, sgd]}"
_OWN = ("name", "data", "data_help", "plugins", "resume", "run", "tune", "seed")
"""Keys that are the study's, and the same for all its trials."""


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; ``log`` draws their logarithm evenly, ``whole`` whole ones."""

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def unit(self, value: float) -> float:
        """Return where a value stands, from 0 at ``low`` to 1 at ``high``."""
        low, high, at = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return (at - low) / (high - low)

    def at(self, unit: float) -> float:
        """Return the value that stands at ``unit``; what lies beyond an end is the end."""
        low, high = (math.log(each) if self.log else each for each in (self.low, self.high))
        value = low + min(max(unit, 0.0), 1.0) * (high - low)
        return self.clipped(math.exp(value) if self.log else value)

    def clipped(self, value: float) -> float:
        """Return the allowed value next to ``value``."""
        inside = min(max(value, self.low), self.high)
        return round(inside) if self.whole else float(inside)

    def sample(self, rng: np.random.Generator) -> float:
        """Draw a value."""
        if self.whole:
            return int(rng.integers(int(self.low), int(self.high), endpoint=True))
        return self.at(float(rng.random()))

    def holds(self, value: object) -> bool:
        """Return whether a value is one of these."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or (self.whole and value != int(value)):
            return False
        return self.low <= value <= self.high

    def points(self) -> list[Any] | None:
        """Return all values, None where they cannot be counted."""
        return list(range(int(self.low), int(self.high) + 1)) if self.whole else None

    def plain(self) -> dict[str, Any]:
        """Return the range as a recipe writes it."""
        kind = "integer" if self.whole else "loguniform" if self.log else "uniform"
        return {kind: [self.low, self.high]}


@dataclass(frozen=True)
class Choice:
    """Some values of any kind; ``ordered``: a grid, whose neighbours are alike."""

    key: str
    values: tuple[Any, ...]
    ordered: bool = False

    def sample(self, rng: np.random.Generator) -> Any:
        """Draw a value."""
        return self.values[int(rng.integers(len(self.values)))]

    def holds(self, value: object) -> bool:
        """Return whether a value is one of these."""
        return value in self.values

    def index(self, value: object) -> int:
        """Return the place of a value."""
        return self.values.index(value)

    def points(self) -> list[Any]:
        """Return all values."""
        return list(self.values)

    def plain(self) -> dict[str, Any]:
        """Return the choice as a recipe writes it."""
        return {"grid" if self.ordered else "choice": list(self.values)}


Dimension = Range | Choice


@dataclass(frozen=True)
class Space:
    """What is searched: a dimension for each key."""

    dimensions: tuple[Dimension, ...]

    @classmethod
    def parse(cls, value: object) -> Space:
        """Return the space of a mapping from keys, dotted or nested, to what they may be.

        Raises:
            UserError: no key, a key given twice or not the recipe's, an unknown kind, an empty or a reversed range.
        """
        if not isinstance(value, Mapping) or not value:
            raise UserError(
                f"the search space is {'empty' if not value else repr(value)}: give keys of the recipe under "
                f"tune.space, {_EXAMPLE.replace('such as', 'such as tasks.smile.weight:')}"
            )
        leaves = _leaves(value, "")
        keys = [key for key, _ in leaves]
        for key in keys:
            if key.split(".")[0] in _OWN:
                raise UserError(f"the search space has {key!r}, which is the same in all trials: take it out of it")
            above = next((other for other in keys if key.startswith(f"{other}.")), None)
            if above is not None or keys.count(key) > 1:
                raise UserError(f"the search space has {key!r} and {above or key!r}, which set the same: keep one")
        return cls(tuple(_dimension(key, given) for key, given in leaves))

    @property
    def keys(self) -> list[str]:
        """The keys, in their order."""
        return [dimension.key for dimension in self.dimensions]

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw a value of each key."""
        return {dimension.key: dimension.sample(rng) for dimension in self.dimensions}

    def holds(self, params: Mapping[str, Any]) -> bool:
        """Return whether these are values of just these keys."""
        return set(params) == set(self.keys) and all(each.holds(params[each.key]) for each in self.dimensions)

    def corners(self) -> list[dict[str, Any]]:
        """Return points in which each end of a range and each value of a choice occurs."""
        ends = [
            [each.clipped(each.low), each.clipped(each.high)] if isinstance(each, Range) else list(each.values)
            for each in self.dimensions
        ]
        count = max(map(len, ends))
        return [{key: end[at % len(end)] for key, end in zip(self.keys, ends, strict=True)} for at in range(count)]

    def plain(self) -> dict[str, Any]:
        """Return the space as a recipe writes it."""
        return {dimension.key: dimension.plain() for dimension in self.dimensions}


def _leaves(value: Mapping[Any, Any], prefix: str) -> list[tuple[str, Any]]:
    """Return dotted keys and what they may be; mappings on the way are parts of keys."""
    found: list[tuple[str, Any]] = []
    for key, inner in value.items():
        dotted = f"{prefix}{key}"
        if isinstance(inner, Mapping) and inner and not set(map(str, inner)) & set(KINDS) and _goes_on(inner):
            found += _leaves(inner, f"{dotted}.")
        elif inner is not None:
            found.append((dotted, inner))
    return found


def _goes_on(inner: Mapping[Any, Any]) -> bool:
    """Whether a mapping is the middle of keys, and not the misspelt kind of a range."""
    return any(isinstance(value, Mapping) or value is None for value in inner.values())


def _dimension(key: str, given: object) -> Dimension:
    if not isinstance(given, Mapping) or len(given) != 1:
        raise UserError(f"the search space has {key}: {written(given)}; give one of {', '.join(KINDS)}, {_EXAMPLE}")
    kind, values = next(iter(given.items()))
    if kind not in KINDS:
        raise UserError(
            f"the search space has {key}: {{{kind}: …}}, which is no kind of range: {nearest(str(kind), KINDS)}"
        )
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise UserError(f"the search space has {key}: {{{kind}: {written(values)}}}, which is empty: give a list")
    return _choice(key, kind, values) if kind in ("choice", "grid") else _range(key, kind, values)


def _choice(key: str, kind: str, values: Sequence[Any]) -> Choice:
    if any(value in values[:at] for at, value in enumerate(values)):
        raise UserError(f"the search space has {key}: {{{kind}: {written(list(values))}}}, one value twice: keep one")
    return Choice(key, tuple(values), ordered=kind == "grid")


def _range(key: str, kind: str, values: Sequence[Any]) -> Range:
    said = f"the search space has {key}: {{{kind}: {written(list(values))}}}"
    whole = kind == "integer"
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(values) != 2 or len(numbers) != 2 or not all(map(math.isfinite, numbers)):
        raise UserError(f"{said}: give [low, high], two {'whole ' if whole else ''}numbers")
    if whole and any(number != int(number) for number in numbers):
        raise UserError(f"{said}: give two whole numbers")
    low, high = numbers
    if low >= high:
        raise UserError(f"{said}, which is {'empty' if low == high else 'reversed'}: give the lower number first")
    if kind == "loguniform" and low <= 0:
        raise UserError(f"{said}: logarithms need numbers above 0, so raise the lower one, or take uniform")
    return Range(key, low, high, log=kind == "loguniform", whole=whole)
