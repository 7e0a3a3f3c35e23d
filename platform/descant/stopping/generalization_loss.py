"""Stopping when the validation loss has risen from its best."""

from __future__ import annotations

import math

from descant.stopping.base import Curves, StopRule, measured, rules
from descant.stopping.options import number_from


@rules.register("generalization_loss")
class GeneralizationLoss(StopRule):
    """Stops when the validation loss is a given percentage above its lowest so far.

    The measure is the generalization loss GL(t) = 100 · (E_val(t) / min E_val[..t] − 1) of Prechelt (1998, "Early
    stopping - but when?"), whose criterion GL_α stops when it exceeds α. One bad evaluation is enough.

    After a lowest loss of 0 any higher one is infinitely worse. None after an evaluation that gave NaN or infinity,
    and where a loss was below 0, of which percentages mean nothing.

    Args:
        alpha: percent above the lowest validation loss at which the task stops; Prechelt tried 1, 2, 3 and 5.

    Raises:
        UserError: alpha is below 0.
    """

    def __init__(self, alpha: float = 5.0) -> None:
        self.threshold = number_from("generalization_loss", "alpha", alpha, 0.0)

    def measure(self, curves: Curves) -> float | None:
        """Return GL(t) in percent, from 0 to infinity."""
        latest, losses_T = measured(curves.validation_loss[-1:]), measured(curves.validation_loss)
        if not latest or min(losses_T) < 0:
            return None
        best = min(losses_T)
        if latest[0] == best:
            return 0.0
        return 100.0 * (latest[0] / best - 1.0) if best > 0 else math.inf
