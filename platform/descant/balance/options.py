"""What the balancers' constructors share: options within their range."""

from __future__ import annotations

import math

from descant.errors import UserError


def number_from(balancer: str, option: str, value: float, least: float) -> float:
    """Return ``value``.

    Raises:
        UserError: it is below ``least`` or not finite.
    """
    if not least <= value < math.inf:
        raise UserError(f"{_where(balancer, option)} is {value}: give a finite number from {least:g}")
    return float(value)


def number_above(balancer: str, option: str, value: float, bound: float) -> float:
    """Return ``value``.

    Raises:
        UserError: it is not above ``bound``, or not finite.
    """
    if not bound < value < math.inf:
        raise UserError(f"{_where(balancer, option)} is {value}: give a finite number above {bound:g}")
    return float(value)


def number_within(balancer: str, option: str, value: float, low: float, high: float) -> float:
    """Return ``value``.

    Raises:
        UserError: it is not between ``low`` and ``high``, both of which are allowed.
    """
    if not low <= value <= high:
        raise UserError(f"{_where(balancer, option)} is {value}: give a number from {low:g} to {high:g}")
    return float(value)


def whole_from(balancer: str, option: str, value: int, least: int) -> int:
    """Return ``value``.

    Raises:
        UserError: it is below ``least``.
    """
    if value < least:
        raise UserError(f"{_where(balancer, option)} is {value}: give a whole number from {least}")
    return value


def _where(balancer: str, option: str) -> str:
    return f"the option {option!r} of the balancer {balancer!r}"
