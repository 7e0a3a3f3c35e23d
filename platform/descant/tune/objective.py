"""What a study makes as good as it can: metrics of tasks on the validation split."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from descant.errors import UserError, nearest

if TYPE_CHECKING:
    from descant.tasks import Task

Values = dict[str, float]
"""By ``TASK.METRIC``."""


@dataclass(frozen=True)
class Objective:
    """A metric of a task, and which way it is better."""

    task: str
    metric: str
    direction: Literal["max", "min"]

    @property
    def name(self) -> str:
        """``TASK.METRIC``."""
        return f"{self.task}.{self.metric}"

    def score(self, value: float) -> float:
        """Return a number that is greater when the value is better; no number is the worst."""
        if not math.isfinite(value):
            return -math.inf
        return value if self.direction == "max" else -value

    def plain(self) -> dict[str, str]:
        """Return the objective as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """One look at the validation split: after how many epochs and steps, and each task's metrics and loss."""

    epochs: int
    step: int
    values: Values

    def of(self, objective: Objective) -> float:
        """Return an objective's value, NaN where it has none."""
        return self.values.get(objective.name, math.nan)


def objectives(
    tasks: Mapping[str, Task], main: str, asked: Sequence[str] | None, of_all_tasks: bool
) -> tuple[Objective, ...]:
    """Return what a study goes by: ``asked``, each a task or TASK.METRIC, else the main task's first metric.

    Args:
        tasks: by name.
        main: the main task's name.
        asked: in the order of their importance.
        of_all_tasks: without ``asked``, take the first metric of every task.

    Raises:
        UserError: a metric that no task reports.
    """
    known = {task: _directions(made) for task, made in tasks.items()}
    first = {task: next(iter(names)) for task, names in known.items()}
    if not asked:
        asked = [main, *(task for task in tasks if task != main)] if of_all_tasks else [main]
    found = []
    for name in asked:
        task, _, metric = name.partition(".")
        metric = metric or first.get(task, "")
        if metric not in known.get(task, {}):
            names = [f"{task}.{metric}" for task, metrics in known.items() for metric in metrics]
            raise UserError(f"no task reports the metric {name!r} of tune.metric: {nearest(name, names)}")
        found.append(Objective(task, metric, known[task][metric]))
    if len(set(found)) < len(found):
        raise UserError(f"tune.metric names {found[0].name!r} twice: name each metric once")
    return tuple(found)


def _directions(task: Task) -> dict[str, Literal["max", "min"]]:
    """Return which way each number is better that a task's evaluation reports, the metric that it is known by first."""
    return {**{name: metric.direction for name, metric in task.metrics().items()}, "loss": "min"}


def evaluations(rows: Iterable[Mapping[str, Any]]) -> list[Evaluation]:
    """Return the evaluations that stand in rows of ``metrics.jsonl``, in their order.

    Only the validation split counts: nothing that a study decides goes by any other.
    """
    found: dict[tuple[int, int], Values] = {}
    for row in rows:
        if row["split"] == "validation" and row["task"] is not None:
            value = math.nan if row["value"] is None else float(row["value"])
            found.setdefault((row["epoch"] + 1, row["step"]), {})[f"{row['task']}.{row['metric']}"] = value
    return [Evaluation(epochs, step, values) for (epochs, step), values in found.items()]


def best(found: Sequence[Evaluation], by: Objective) -> Evaluation | None:
    """Return the best evaluation by the main task's metric, whose checkpoint the run has kept; the first of equals."""
    return max(found, key=lambda each: by.score(each.of(by)), default=None)
