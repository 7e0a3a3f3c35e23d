"""Paired comparisons of runs: the plan, the runs side by side, the statistics and the verdicts."""

from descant.compare.compare import compare_runs
from descant.compare.group import group_runs
from descant.compare.results import ArmResult, Cell, Comparison

__all__ = ["ArmResult", "Cell", "Comparison", "compare_runs", "group_runs"]
