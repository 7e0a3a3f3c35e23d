"""Paired comparisons of runs: the plan, the runs side by side, the statistics and the verdicts."""

from descant.compare.compare import ArmResult, Cell, Comparison, compare_runs, group_runs

__all__ = ["ArmResult", "Cell", "Comparison", "compare_runs", "group_runs"]
