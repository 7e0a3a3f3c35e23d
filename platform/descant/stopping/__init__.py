"""Task-wise early stopping: rules that say when a task has taught what it can."""

from descant.stopping.base import Curves, StopRule, rules

__all__ = ["Curves", "StopRule", "rules"]
