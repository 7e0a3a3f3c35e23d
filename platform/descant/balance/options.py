"""Options of balancers within their range."""

from __future__ import annotations

import math

from descant.errors import UserError


def number_from(method: str, option: str, value: float, least: float, *, included: bool = True) -> float:
    """Return ``value``.

    Raises:
        UserError: it is below ``least``, or at it where that is not ``included``, or not finite.
    """
    if not least <= value < math.inf or (value == least and not included):
        allowed = f"from {least:g}" if included else f"above {least:g}"
        raise UserError(f"{_where(method, option)} is {value}: give a finite number {allowed}")
    return float(value)


def number_within(method: str, option: str, value: float, low: float, high: float) -> float:
    """Return ``value``.

    Raises:
        UserError: it is not between ``low`` and ``high``, both allowed.
    """
    if not low <= value <= high:
        raise UserError(f"{_where(method, option)} is {value}: give a number from {low:g} to {high:g}")
    return float(value)


def whole_from(method: str, option: str, value: int, least: int) -> int:
    """Return ``value``.

    Raises:
        UserError: it is below ``least``.
    """
    if value < least:
        raise UserError(f"{_where(method, option)} is {value}: give a whole number from {least}")
    return value


def _where(method: str, option: str) -> str:
    return f"the option {option!r} of the balancer {method!r}"
