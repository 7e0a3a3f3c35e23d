"""The numbers of runs as metrics of Ray, which every node gives to Prometheus with its own.

Prometheus knows them with Ray's prefix: ``ray_descant_number{run="…", task="…", split="…", metric="…"}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUN = ("run",)
ROW = (*RUN, "task", "split", "metric")
NUMBER = "descant_number"
GAUGES = {
    NUMBER: ("a row of metrics.jsonl; task is empty for numbers of the whole run", ROW),
    "descant_epoch": ("the epoch that the run is in", RUN),
    "descant_step": ("optimizer steps that the run has made", RUN),
    "descant_restarts": ("how often the run was started again", RUN),
}
LOST = "descant_workers_lost"


class RunGauges:
    """Gives the rows of a run to Ray, in the process of its first rank.

    Args:
        folder: the run folder.
    """

    def __init__(self, folder: Path) -> None:
        from ray.util.metrics import Gauge

        self._folder, self._run = folder, {"run": folder.name}
        self._gauges = {name: Gauge(name, help, tags) for name, (help, tags) in GAUGES.items()}
        self._is_new = True

    def row(self, row: Mapping[str, Any]) -> None:
        """Set the gauges by one row; a number that is not finite leaves its gauge as it was."""
        if self._is_new:
            starts = json.loads((self._folder / "environment.json").read_text())["starts"]
            self._gauges["descant_restarts"].set(len(starts) - 1, self._run)
            self._is_new = False
        self._gauges["descant_epoch"].set(row["epoch"], self._run)
        self._gauges["descant_step"].set(row["step"], self._run)
        if row["value"] is not None:
            of = {"task": row["task"] or "", "split": row["split"], "metric": row["metric"]}
            self._gauges[NUMBER].set(row["value"], self._run | of)


def count_lost(run: str, workers: int) -> None:
    """Add workers that a run has lost, in the process that started it."""
    from ray.util.metrics import Counter

    Counter(LOST, "workers that the run has lost", RUN).inc(workers, {"run": run})
