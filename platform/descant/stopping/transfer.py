"""Stopping when a task's gradient no longer helps the main task."""

from __future__ import annotations

from statistics import mean

from descant.stopping.base import Curves, StopRule, measured, rules
from descant.stopping.options import number_within, whole_from


@rules.register("transfer")
class Transfer(StopRule):
    """Stops when the task's gradient has turned away from the main task's.

    The measure is the conflict, minus the mean cosine of both gradients of the shared parameters over the last
    ``window`` evaluations at which it was measured; the task stops above −``least``. By the sign of this cosine Du et
    al. (2018, "Adapting auxiliary losses using gradient similarity") let an auxiliary's gradient pass at each step;
    here it decides once, from a mean. Jiang et al. (2023, "ForkMerge") find that gradients in conflict say little of
    whether a task harms in the end: compare runs with and without the task before you rely on this rule.

    Evaluations without a measured cosine (NaN) are left out; None until ``window`` were measured. A task whose
    gradient does not reach the shared parameters has none and never stops.

    Args:
        window: how many measured evaluations the mean is over.
        least: the mean cosine below which the task stops.

    Raises:
        UserError: window is below 1, or least is no cosine.
    """

    reads_alignment = True

    def __init__(self, window: int = 5, least: float = 0.0) -> None:
        self.window = whole_from("transfer", "window", window, 1)
        self.threshold = 0.0 - number_within("transfer", "least", least, -1.0, 1.0, ends=True)

    def measure(self, curves: Curves) -> float | None:
        """Return minus the mean cosine: above 0 where the gradients oppose each other."""
        cosines_T = measured(curves.alignment)[-self.window :]
        return 0.0 - mean(cosines_T) if len(cosines_T) == self.window else None
