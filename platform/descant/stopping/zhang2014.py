"""The task-wise early stopping of the face-landmark system with auxiliary attributes."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import median

from descant.stopping.base import Curves, StopRule, measured, rules
from descant.stopping.options import number_from, whole_from


@rules.register("zhang2014")
class Zhang2014(StopRule):
    """Stops when the training loss no longer falls fast and the validation loss lies above it.

    The measure is (Zhang, Luo, Loy & Tang, ECCV 2014, "Facial landmark detection by deep multi-task learning"):

        trend = k·med E_tr[t−k..t] / (Σ E_tr[t−k..t] − k·med E_tr[t−k..t])
        gap   = (E_val(t) − min E_tr[..t]) / (λ·min E_tr[..t])
        measure = trend · gap

    The window holds both its ends, so k + 1 training losses. A flat or a straight curve has the trend k, a steep start
    that levels out a smaller one, and a loss that falls late in the window (as after a step of the learning rate) a
    larger one. λ is the weight of the task's loss in this epoch: a task of more weight trains longer.

    Where the formula has no value:
      * Σ − k·med ≤ 0: the training loss did not fall rapidly and level out; the trend counts as infinite.
      * E_val(t) ≤ min E_tr: nothing is overfitted; the measure is 0 and the task goes on, whatever the trend.
      * λ = 0 or min E_tr = 0, with E_val(t) above it: the measure is infinite, its limit as they shrink. A task without
        weight has no say, and one whose training samples are learnt by heart has nothing more to teach.
      * A training loss below 0 (of a density, say): shares of it mean nothing; None, the task goes on.
      * A training loss that is NaN or infinite (no label in that epoch) is left out: window and minimum are over the
        others. None until k + 1 are there, and after an evaluation whose validation loss is NaN or infinite.

    Args:
        k: length of the window, in evaluations.
        epsilon: the measure above which the task stops. The paper gives no value. The default stops a task whose
            training loss is flat over the default k once E_val is above min E_tr by λ of it (by 30 % for λ = 0.3).

    Raises:
        UserError: k is below 2 (the trend would always be 1) or epsilon below 0.
    """

    def __init__(self, k: int = 5, epsilon: float = 5.0) -> None:
        self.k = whole_from("zhang2014", "k", k, 2)
        self.threshold = number_from("zhang2014", "epsilon", epsilon, 0.0)

    def measure(self, curves: Curves) -> float | None:
        """Return trend · gap, from 0 to infinity."""
        training_T = [Fraction(loss) for loss in measured(curves.training_loss)]
        validation, weight = measured(curves.validation_loss[-1:]), curves.weight[-1:]
        if len(training_T) <= self.k or not validation or min(training_T) < 0:
            return None
        least = min(training_T)
        excess = Fraction(validation[0]) - least
        if excess <= 0:
            return 0.0
        window = training_T[-self.k - 1 :]
        middle = self.k * median(window)
        fall = sum(window) - middle
        if fall <= 0 or least == 0 or weight == [0]:
            return math.inf
        return _rounded(middle / fall * excess / (Fraction(weight[0]) * least))


def _rounded(exact: Fraction) -> float:
    # Exact up to here: the sign of Σ − k·med must not hang on rounding, and nothing between may overflow.
    try:
        return float(exact)
    except OverflowError:
        return math.inf
