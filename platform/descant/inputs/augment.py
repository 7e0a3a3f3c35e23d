"""What the augmentations of all inputs share: how a recipe's ``augment`` is read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from descant.errors import UserError
from descant.registry import check_options

T = TypeVar("T")


def read_augment(cls: type[T], where: str, given: Mapping[str, Any] | None) -> T:
    """Return ``cls`` made from what a recipe gives for the key ``where``; null and {} change nothing.

    Raises:
        UserError: an option that ``cls`` does not take (the nearest one is named), or a value of another type.
    """
    check_options(where, cls, given or {}, hidden=set(), also=())
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in (given or {}).items()})


def check_range(where: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Raise a UserError when the value of the key ``where`` is not within [``low``, ``high``]; NaN is not."""
    if not low <= value <= high:
        raise UserError(f"{where} is {value}: give {low:g} to {high:g}{unit and ' '}{unit}")


def check_pair(where: str, pair: Sequence[float], low: float, high: float, unit: str = "") -> None:
    """Raise a UserError when the key ``where`` is not [least, most] within [``low``, ``high``]."""
    if not low <= pair[0] <= pair[1] <= high:
        raise UserError(
            f"{where} is {list(pair)}: give the least and the most, within {low:g} to {high:g}{unit and ' '}{unit}"
        )
