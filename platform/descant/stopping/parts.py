"""What several stop rules share: options within their range, and the entries of a curve that are numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from descant.errors import UserError


def whole_from(rule: str, option: str, value: int, least: int) -> int:
    """Return ``value``.

    Raises:
        UserError: it is below ``least``.
    """
    if value < least:
        raise UserError(f"{_where(rule, option)} is {value}: give a whole number of evaluations from {least}")
    return value


def number_from(rule: str, option: str, value: float, least: float) -> float:
    """Return ``value``.

    Raises:
        UserError: it is below ``least`` or not finite.
    """
    if not least <= value < math.inf:
        raise UserError(f"{_where(rule, option)} is {value}: give a finite number from {least:g}")
    return float(value)


def number_within(rule: str, option: str, value: float, low: float, high: float, *, ends: bool) -> float:
    """Return ``value``.

    Raises:
        UserError: it is not between ``low`` and ``high``, which are allowed where ``ends`` says so.
    """
    if not low <= value <= high or (value in (low, high) and not ends):
        allowed = f"from {low:g} to {high:g}" if ends else f"above {low:g} and below {high:g}"
        raise UserError(f"{_where(rule, option)} is {value}: give a number {allowed}")
    return float(value)


def measured(values: Sequence[float]) -> list[float]:
    """Return the entries that are finite numbers, oldest first."""
    return [value for value in values if math.isfinite(value)]


def _where(rule: str, option: str) -> str:
    return f"the option {option!r} of the stop rule {rule!r}"
