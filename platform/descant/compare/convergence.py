"""How fast an arm's main task converges beside the baseline's, by the validation loss of runs with the same seed.

A curve is smoothed by the mean of each evaluation and the two before. The loss to reach, L*, is the best of the
baseline's smoothed curve. What never comes to L* has no number of epochs: means are of the seeds that do, and say so.

Epochs e(L*) are counted from 1. The speed-up is e_baseline(L*) / e_arm(L*). At equal epochs the loss ratio is
ℓ_arm / ℓ_baseline, and the relative reduction 1 - ratio: at a quarter, at half, and at the end of the shorter run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from descant.compare.results import Cell, Values
from descant.compare.statistics import Direction
from descant.report.run_folder import Curve, RunRecord

WINDOW = 3  # evaluations
PARTS = {"quarter": 0.25, "half": 0.5, "end": 1.0}
MEASURES: dict[str, Direction] = {
    "epochs_to_baseline_best": "min",
    "steps_to_baseline_best": "min",
    "seconds_to_baseline_best": "min",
    "speed_up": "max",
    **{f"loss_ratio_{part}": "min" for part in PARTS},
    **{f"loss_reduction_{part}": "max" for part in PARTS},
}
"""What is measured, and which way is better."""


@dataclass(frozen=True)
class _Reached:
    """When a run came to a loss: after which epoch, from 1, at which step, and after how many seconds of the run.

    ``seconds`` is None of a run that was resumed, whose clock stood still or went twice.
    """

    epochs: float
    step: float | None
    seconds: float | None


def converged(arm: Mapping[int, RunRecord], baseline: Mapping[int, RunRecord], task: str) -> dict[str, Cell]:
    """Return a cell per measure of ``task`` over the seeds that both arms have; none where there is no curve."""
    found: dict[str, Values] = {}
    reference: dict[str, Values] = {}
    for seed in sorted(arm.keys() & baseline.keys()):
        for run, values in ((arm[seed], found), (baseline[seed], reference)):
            for name, value in _measured(run, baseline[seed], task).items():
                values.setdefault(name, {})[seed] = value
    return {
        name: Cell("validation", direction, None).filled(found[name], None if arm is baseline else reference[name])
        for name, direction in MEASURES.items()
        if name in found
    }


def smoothed(curve: Curve) -> Curve:
    """Return the mean of each evaluation and the two before, by epoch."""
    epochs = list(curve)
    return {
        epoch: sum(curve[one] for one in near) / len(near)
        for place, epoch in enumerate(epochs)
        if (near := epochs[max(0, place + 1 - WINDOW) : place + 1])
    }


def _measured(run: RunRecord, baseline: RunRecord, task: str) -> dict[str, float | None]:
    """Return the measures of one run beside the baseline's of the same seed; nothing where one has no curve."""
    own, its = (smoothed(one.curve("validation", task, "loss")) for one in (run, baseline))
    if not own or not its:
        return {}
    best = min(its.values())
    reached, before = _reach(run, own, task, best), _reach(baseline, its, task, best)
    assert before is not None, "a curve that does not reach its own best"
    measured: dict[str, float | None] = {
        "epochs_to_baseline_best": None if reached is None else reached.epochs,
        "steps_to_baseline_best": None if reached is None else reached.step,
        "seconds_to_baseline_best": None if reached is None else reached.seconds,
        "speed_up": None if reached is None else before.epochs / reached.epochs,
    }
    last = min(max(own), max(its))
    for part, share in PARTS.items():
        at = _nearest(own.keys() & its.keys(), share * (last + 1) - 1)
        ratio = None if at is None or its[at] <= 0 else own[at] / its[at]
        measured |= {f"loss_ratio_{part}": ratio, f"loss_reduction_{part}": None if ratio is None else 1 - ratio}
    return measured


def _reach(run: RunRecord, curve: Curve, task: str, loss: float) -> _Reached | None:
    """Return when a run's smoothed curve first came to ``loss``, None if never."""
    epoch = next((epoch for epoch, value in curve.items() if value <= loss), None)
    if epoch is None:
        return None
    known = {"split": "validation", "task": task, "metric": "loss", "epoch": epoch}
    row = next(row for row in run.rows if known.items() <= row.items())
    times = [float(row["time"]) for row in run.rows if row.get("time") is not None]
    is_whole = not run.summary.get("resumed") and all(one <= other for one, other in pairwise(times))
    seconds = float(row["time"]) - times[0] if is_whole and row.get("time") is not None else None
    step = row.get("step")
    return _Reached(epoch + 1, None if step is None else float(step), seconds)


def _nearest(epochs: set[float], wanted: float) -> float | None:
    """Return the epoch that both runs evaluated nearest to the one that is wanted, the earlier of two."""
    return min(sorted(epochs), key=lambda epoch: abs(epoch - wanted), default=None)
