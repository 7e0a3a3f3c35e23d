"""What a comparison gives: a cell per arm, task and metric, and the object that ``compare --json`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from descant.compare.statistics import (
    Direction,
    Estimate,
    PairedDifference,
    Verdict,
    finite,
    mean_interval,
    paired_difference,
    verdict,
    within,
)
from descant.report.run_folder import Bounds, RunRecord

Values = dict[int, float | None]  # by seed


@dataclass(frozen=True)
class Cell:
    """One arm, task and metric: values by seed, their mean, and what sets them apart from the baseline's.

    ``bounds`` are the least and the greatest value that the metric can have, None where that is not known.
    """

    split: str
    direction: Direction | None
    bounds: Bounds | None
    values: Mapping[int, float | None] = field(default_factory=dict)
    estimate: Estimate | None = None
    difference: PairedDifference | None = None
    verdict: Verdict = "baseline"

    def filled(self, values: Values, reference: Values | None) -> Cell:
        """Return the cell with an arm's values; ``reference`` holds the baseline's, None where the arm is it."""
        estimate = mean_interval(list(finite(values).values()))
        if reference is None:
            return replace(self, values=values, estimate=estimate)
        difference = paired_difference(values, reference)
        told = verdict(difference, self.direction)
        return replace(self, values=values, estimate=estimate, difference=difference, verdict=told)

    @property
    def shown_estimate(self) -> Estimate | None:
        """The estimate with its interval cut at the metric's bounds."""
        return self.estimate and within(self.estimate, self.bounds)

    @property
    def shown_difference(self) -> PairedDifference | None:
        """The difference with its interval cut at the widest difference that the metric's bounds leave."""
        if self.difference is None or self.bounds is None:
            return self.difference
        widest = self.bounds[1] - self.bounds[0]
        return within(self.difference, (-widest, widest))

    def to_json(self) -> dict[str, Any]:
        estimate, difference = self.estimate, self.difference
        return {
            "mean": estimate and estimate.mean,
            "low": estimate and estimate.low,
            "high": estimate and estimate.high,
            "median": estimate and estimate.median,
            "n": estimate.n if estimate else 0,
            "difference": difference and difference.mean,
            "difference_low": difference and difference.low,
            "difference_high": difference and difference.high,
            "difference_median": difference and difference.median,
            "pairs": difference.n if difference else 0,
            "p": difference and difference.p,
            "verdict": self.verdict,
            "direction": self.direction,
            "split": self.split,
            "values": {
                str(seed): value if value is not None and math.isfinite(value) else None
                for seed, value in sorted(self.values.items())
            },
        }


@dataclass(frozen=True)
class ArmResult:
    """One arm: its finished runs by seed, why others are missing, and its cells by task and metric and by cost.

    ``convergence`` has those of the main task's curve beside the baseline's.
    """

    name: str
    runs: Mapping[int, RunRecord]
    missing: Mapping[int, str]
    tasks: Mapping[str, Mapping[str, Cell]]
    cost: Mapping[str, Cell]
    convergence: Mapping[str, Cell]


@dataclass(frozen=True)
class Comparison:
    """Arms side by side; the first is the baseline.

    ``main`` is (task, metric) of the baseline's main task; ``notes`` are sentences that the reader has to know.
    """

    main: tuple[str, str]
    arms: tuple[ArmResult, ...]
    recipe: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def baseline(self) -> ArmResult:
        return self.arms[0]

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``compare --json`` prints; what is not known is null."""
        arms = {
            arm.name: {
                "tasks": {
                    task: {metric: cell.to_json() for metric, cell in cells.items()}
                    for task, cells in arm.tasks.items()
                },
                "cost": {name: cell.to_json() for name, cell in arm.cost.items()},
                "convergence": {name: cell.to_json() for name, cell in arm.convergence.items()},
                "runs": {str(seed): str(run.folder) for seed, run in arm.runs.items()},
                "missing": {str(seed): reason for seed, reason in arm.missing.items()},
            }
            for arm in self.arms
        }
        main = {"task": self.main[0], "metric": self.main[1]}
        return {"recipe": self.recipe, "baseline": self.baseline.name, "main": main, "arms": arms,
                "notes": list(self.notes)}  # fmt: skip
