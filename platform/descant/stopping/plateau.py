"""Stopping when the best validation loss hardly moves."""

from __future__ import annotations

import math

from descant.stopping.base import Curves, StopRule, measured, rules
from descant.stopping.options import number_within, whole_from


@rules.register("plateau")
class Plateau(StopRule):
    """Stops when the best validation loss improved by less than a share over the last evaluations.

    With b(t) the lowest validation loss up to evaluation t, the measure is what is left of it,

        b(t) / b(t − window)  =  1 − relative improvement,

    and the task stops above 1 − tolerance. Where b(t − window) is not above 0, the improvement is relative to its
    magnitude; a best of 0 has no improvement but below 0. It watches the pace only, so it stops a task whose loss
    rises as well as one that is flat; Prechelt (1998) ends training alike when the progress of the training loss gets
    small, but his GL, PQ and UP are other criteria (GL is the rule ``generalization_loss``).

    NaN and infinity are no best. None until there was a number ``window`` evaluations ago.

    Args:
        window: evaluations over which the improvement is taken.
        tolerance: the relative improvement below which the task stops.

    Raises:
        UserError: window is below 1, or tolerance not between 0 and 1.
    """

    def __init__(self, window: int = 5, tolerance: float = 0.01) -> None:
        self.window = whole_from("plateau", "window", window, 1)
        self.threshold = 1.0 - number_within("plateau", "tolerance", tolerance, 0.0, 1.0, ends=False)

    def measure(self, curves: Curves) -> float | None:
        """Return the share of the best validation loss that is left, 1 where none has improved on it."""
        before = measured(curves.validation_loss[: -self.window])
        if not before:
            return None
        then, now = min(before), min(measured(curves.validation_loss))
        if then == now:
            return 1.0
        if then == 0:
            return -math.inf
        return now / then if then > 0 else 2.0 - now / then
