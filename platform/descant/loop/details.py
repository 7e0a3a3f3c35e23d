"""What metrics are made of, at the best epoch: ``details.json`` of a run folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from descant.loop.evaluate import Scores
from descant.report.files import read_object
from descant.run.folder import DETAILS, RunFolder
from descant.tasks import Task

Plain = dict[str, dict[str, dict[str, float | None]]]


def plain_details(scores: Scores) -> Plain:
    """Return by task and metric the numbers by name, of the metrics that have some; null where not defined."""
    return {
        task: {metric: plain(values) for metric, values in metrics.items()}
        for task, metrics in scores.details.items()
        if metrics
    }


def plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN and no infinity: such a value is null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def write_details(folder: RunFolder, epoch: int, split: str, scores: Scores, tasks: Mapping[str, Task]) -> None:
    """Write a split's details at the best epoch; those of another epoch do not stay beside them.

    The file is ``{"epoch", "validation": {task: {metric: {name: value}}}, "test": …, "along": {task: {metric: …}}}``;
    ``along`` says of the metrics whose details are a curve what their names count.
    """
    details = plain_details(scores)
    if not details:
        return
    kept = read_object(folder.path / DETAILS)
    content: dict[str, Any] = kept if kept.get("epoch") == epoch else {"epoch": epoch}
    along = {name: {key: metric.along for key, metric in task.metrics().items() if metric.along}
             for name, task in tasks.items()}  # fmt: skip
    content |= {split: details, "along": {name: curves for name, curves in along.items() if curves}}
    folder.write_json(DETAILS, content)
