"""What a comparison showed, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from descant.report.numbers import interval

if TYPE_CHECKING:
    from descant.compare.compare import ArmResult, Cell, Comparison

INTERVAL_NOTE = (
    "Mean over seeds [95 % t interval]; difference from the baseline over the seeds that both have, with its 95 % "
    "interval and the p value of the paired t-test. Each verdict speaks of its own row: with many rows a few "
    "differences come by chance."
)


def findings(comparison: Comparison) -> list[str]:
    """Say what the baseline reached in the main metric, then of each other arm how it differs."""
    task, metric = comparison.main
    cell = _main_cell(comparison, comparison.baseline)
    estimate = cell.estimate if cell else None
    if cell is None or estimate is None:
        return [f"The baseline {comparison.baseline.name} has no value of {task} {metric}."]
    value = interval(estimate.mean, estimate.low, estimate.high)
    said = [f"Baseline {comparison.baseline.name}: {task} {metric} {value} on {cell.split} ({_count(estimate.n)})."]
    return said + [_finding(comparison, arm) for arm in comparison.arms[1:]]


def _finding(comparison: Comparison, arm: ArmResult) -> str:
    cell = _main_cell(comparison, arm)
    difference = cell.difference if cell else None
    if cell is None or difference is None:
        return f"{arm.name}: it shares no finished seed with the baseline."
    change = interval(difference.mean, difference.low, difference.high, signed=True)
    return f"{arm.name}: {cell.verdict}, {change} ({_count(difference.n)})."


def _main_cell(comparison: Comparison, arm: ArmResult) -> Cell | None:
    return arm.tasks.get(comparison.main[0], {}).get(comparison.main[1])


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
