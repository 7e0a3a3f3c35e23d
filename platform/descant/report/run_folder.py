"""A run folder as its readers see it: recipe, environment, summary and metric rows, by the run contract."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descant.errors import UserError
from descant.report.files import read_object
from descant.run.folder import DETAILS

Curve = dict[float, float]  # epoch -> value
Bounds = tuple[float, float]  # the least and the greatest value that a metric can have
BOUNDS: dict[str, Bounds] = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "f1", "auc", "failure_rate", "error_curve_area"), (0.0, 1.0)),
    **dict.fromkeys(
        ("mean_error", "mean_absolute_error", "mean_squared_error", "cross_entropy", "excluded"), (0.0, math.inf)
    ),
}
"""Of the built-in metrics; a loss may be anything."""


@dataclass(frozen=True)
class RunRecord:
    """What one run left behind.

    ``rows`` are the lines of metrics.jsonl in order; ``broken_lines`` counts the lines that could not be read (a killed
    writer leaves at most its last one). ``data`` is dataset.json, as it was when the run began; ``details`` is what
    metrics are made of at the best epoch, details.json.
    """

    folder: Path
    recipe: Mapping[str, Any]
    environment: Mapping[str, Any]
    summary: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    broken_lines: int
    data: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed of the recipe, else of the environment, else 0."""
        return int(self.recipe.get("seed", self.environment.get("seed", 0)) or 0)

    @property
    def status(self) -> str:
        return str(self.summary.get("status", "without a summary"))

    @property
    def data_fingerprint(self) -> str:
        """The data set's fingerprint, empty where the run does not say."""
        return str(self.data.get("fingerprint", ""))

    @property
    def main(self) -> tuple[str, str]:
        """The main task and its metric."""
        main = self.summary.get("main") or {}
        return str(main.get("task", "")), str(main.get("metric", ""))

    @property
    def tasks(self) -> dict[str, Mapping[str, Any]]:
        """The summary's tasks, the main task first."""
        tasks = dict(self.summary.get("tasks") or {})
        return dict(sorted(tasks.items(), key=lambda item: item[0] != self.main[0]))

    def direction(self, task: str, metric: str) -> str | None:
        """Return "max" or "min", None where the run does not say; a loss is always to be made small."""
        given = (self.tasks.get(task, {}).get("directions") or {}).get(metric)
        return str(given) if given else ("min" if metric == "loss" else None)

    def bounds(self, task: str, metric: str) -> Bounds | None:
        """Return the least and the greatest value that a metric can have, None where that is not known."""
        return BOUNDS.get(metric) if self.tasks.get(task) else None

    def curve(self, split: str, task: str | None, metric: str) -> Curve:
        """Return the value per epoch: the sample-weighted mean of the epoch's rows, by step the latest row.

        A step written twice (before and after a resume, or again for the best checkpoint) counts once.
        """
        steps: dict[float, dict[float, tuple[float, float]]] = defaultdict(dict)
        for row in self.rows:
            if (row.get("split"), row.get("task"), row.get("metric")) != (split, task, metric):
                continue
            value, epoch = row.get("value"), row.get("epoch")
            if value is None or epoch is None or not math.isfinite(value):
                continue
            key = float(row.get("step") or 0) if split == "train" else 0.0
            steps[float(epoch)][key] = (float(value), float(row.get("samples") or 1))
        return {epoch: _weighted_mean(list(steps[epoch].values())) for epoch in sorted(steps)}

    def names(self, split: str, task: str | None) -> list[str]:
        """Return the metrics that the rows of a split have for a task, in order of appearance."""
        return list(dict.fromkeys(r["metric"] for r in self.rows if r.get("split") == split and r.get("task") == task))


def is_run(folder: Path) -> bool:
    """Say whether a folder looks like a run: it has a recipe and a summary or metric rows."""
    return (folder / "recipe.yaml").is_file() and any(
        (folder / name).is_file() for name in ("summary.json", "metrics.jsonl")
    )


def read_run(folder: Path) -> RunRecord:
    """Read a run folder; what is not there yet (a run that still goes on) is empty.

    Raises:
        UserError: the folder is no run, or one of its files is not what the run contract says.
    """
    if not is_run(folder):
        raise UserError(f"{str(folder)!r} is no run folder: it lacks recipe.yaml and summary.json or metrics.jsonl")
    rows, broken = _read_rows(folder / "metrics.jsonl")
    return RunRecord(
        folder=folder,
        recipe=_read_yaml(folder / "recipe.yaml"),
        environment=read_object(folder / "environment.json"),
        summary=read_object(folder / "summary.json"),
        rows=tuple(rows),
        broken_lines=broken,
        data=read_object(folder / "dataset.json"),
        details=read_object(folder / DETAILS),
    )


def _read_rows(path: Path) -> tuple[list[Mapping[str, Any]], int]:
    rows: list[Mapping[str, Any]] = []
    broken = 0
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in filter(str.strip, lines):
        try:
            row = json.loads(line)
        except ValueError:
            broken += 1
            continue
        if isinstance(row, dict) and "metric" in row:
            rows.append(row)
        else:
            broken += 1
    return rows, broken


def _read_yaml(path: Path) -> dict[str, Any]:
    from omegaconf import OmegaConf

    try:
        content = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:  # OmegaConf passes on the YAML reader's own classes
        raise UserError(f"{str(path)!r} is not YAML ({error}): mend the file or take another run") from error
    if not isinstance(content, dict):
        raise UserError(f"{str(path)!r} holds no YAML mapping: mend the file or take another run")
    return {str(key): value for key, value in content.items()}


def _weighted_mean(pairs: list[tuple[float, float]]) -> float:
    total = math.fsum(weight for _, weight in pairs)
    return math.fsum(value * weight for value, weight in pairs) / total
