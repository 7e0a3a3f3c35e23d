"""Numbers as a reader wants them: as many digits as tell something."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MINUS, DASH, INFINITY = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{INFINITY}"


def number(value: float | int | None, signed: bool = False, decimals: int | None = None) -> str:
    """Return a number with about three telling digits, or ``decimals`` of them; a missing one is a dash."""
    if value is None or not math.isfinite(value):
        return DASH if value is None or math.isnan(value) else (INFINITY if value > 0 else MINUS + INFINITY)
    size = abs(value)
    if decimals is None and size and (size < 0.001 or size >= 1e7):
        text = f"{size:.2e}"
    else:
        text = f"{size:,.{_decimals(size) if decimals is None else decimals}f}"
    zero = not any(digit in text for digit in "123456789")
    sign = "" if zero else MINUS if value < 0 else "+" if signed else ""
    return sign + text


def interval(
    mean: float | None, low: float | None, high: float | None, signed: bool = False, decimals: int | None = None
) -> str:
    """Return ``mean [low, high]`` with ``decimals`` or those the interval asks for; without one the mean alone."""
    if mean is None or low is None or high is None:
        return number(mean, signed, decimals)
    if decimals is None:
        decimals = decimals_of([(high - low) / 2])
    if decimals is None:
        decimals = _decimals(max(abs(mean), 0.1))  # an interval without width
    mean_text, low_text, high_text = (number(value, signed, decimals) for value in (mean, low, high))
    return f"{mean_text} [{low_text}, {high_text}]"


def decimals_of(halves: Sequence[float]) -> int | None:
    """Return the decimals that show two digits of the middle one of these half widths of intervals.

    A much narrower one gets a decimal more, so that an interval about zero is not rounded to one that begins there.
    """
    told = sorted(half for half in halves if 1e-6 < half < math.inf)
    if not told:
        return None
    middle, narrowest = (max(0, 1 - math.floor(math.log10(half))) for half in (told[len(told) // 2], told[0]))
    return min(narrowest, middle + 1)


def same(one: Mapping[Any, float | None], other: Mapping[Any, float | None]) -> bool:
    """Say whether two curves are the same numbers but for their rounding; two without numbers are not."""
    return bool(one) and one.keys() == other.keys() and all(_near(one[at], other[at]) for at in one)


def _near(one: float | None, other: float | None) -> bool:
    return one is other if one is None or other is None else math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-9)


def whole(value: float | int | None) -> str:
    """Return a count, an epoch or a number of passes: whole where it is, else with its digits."""
    return number(value, decimals=0) if value is not None and float(value).is_integer() else number(value)


def _decimals(size: float) -> int:
    steps = ((1000, 0), (100, 1), (10, 2), (0.1, 3))
    return next((decimals for least, decimals in steps if size >= least), 4 if size else 0)


def counted(count: int, thing: str) -> str:
    """Return a count with its noun: ``1 time``, ``2 times``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def probability(p: float | None) -> str:
    """Return a p value with three decimals, ``<0.001`` below that."""
    return DASH if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float | int | None) -> str:
    """Return a time span: ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
