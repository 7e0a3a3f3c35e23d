"""Numbers within their range: what classes that recipes name check of their options."""

from __future__ import annotations

import math

from descant.errors import UserError


class Ranges:
    """Checks the options of classes of one kind; each check returns the value, or raises a UserError.

    Args:
        kind: what the classes are, for messages: ``balancer``.
        of: what whole numbers count, for messages: `` of evaluations``.
    """

    def __init__(self, kind: str, of: str = "") -> None:
        self.kind, self.of = kind, of

    def whole_from(self, name: str, option: str, value: int, least: int) -> int:
        """Return a whole number that is not below ``least``."""
        if value < least:
            raise self._error(name, option, value, f"a whole number{self.of} from {least}")
        return value

    def number_from(self, name: str, option: str, value: float, least: float, below: float = math.inf) -> float:
        """Return a number that is not below ``least``, but below another, or finite."""
        if not least <= value < below:
            allowed = (
                f"a finite number from {least:g}" if below == math.inf else f"a number from {least:g} up to {below:g}"
            )
            raise self._error(name, option, value, allowed)
        return float(value)

    def number_above(self, name: str, option: str, value: float, bound: float) -> float:
        """Return a finite number above ``bound``."""
        if not bound < value < math.inf:
            raise self._error(name, option, value, f"a finite number above {bound:g}")
        return float(value)

    def number_within(
        self, name: str, option: str, value: float, low: float, high: float, *, ends: bool = True
    ) -> float:
        """Return a number between ``low`` and ``high``, which are allowed where ``ends`` says so."""
        if not low <= value <= high or (value in (low, high) and not ends):
            allowed = f"from {low:g} to {high:g}" if ends else f"above {low:g} and below {high:g}"
            raise self._error(name, option, value, f"a number {allowed}")
        return float(value)

    def _error(self, name: str, option: str, value: float, allowed: str) -> UserError:
        return UserError(f"the option {option!r} of the {self.kind} {name!r} is {value}: give {allowed}")
