"""What a run writes down: rows, TensorBoard, the summary. The first rank writes; the others only take part in sums."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from descant.data.order import TrainingOrder
from descant.loop.balancing import Balancing
from descant.loop.conflicts import picture
from descant.loop.courses import Decision, part_name
from descant.loop.details import plain, write_details
from descant.loop.evaluate import Scores
from descant.loop.experiment import Experiment
from descant.loop.meter import Reading
from descant.loop.pictures import pairs, save_picture
from descant.loop.progress import Best, Progress
from descant.loop.quarantine import unique_rows
from descant.loop.stopping import Stopping
from descant.run.environment import write_environment
from descant.run.folder import RunFolder
from descant.run.log import MetricsLog, Row

logger = logging.getLogger("descant")


class Record:
    """Writes a run folder on the first rank and nothing elsewhere.

    Args:
        experiment: the run's recipe and tasks.
        folder: where to write.
        progress: where the run starts.
        writes: whether this is the first rank.
        world_size: how many ranks train, for the record.
        on_row: called with each row.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        progress: Progress,
        *,
        writes: bool,
        world_size: int,
        on_row: Callable[[Row], None] | None = None,
    ) -> None:
        self.experiment, self.folder = experiment, folder
        self._log = MetricsLog(folder, progress.step, on_row) if writes else None
        self._tested: dict[str, dict[str, float]] = {}
        self._chances: dict[str, dict[str, float]] = {}
        self._started_s = time.monotonic()
        self._earlier_s = progress.train_s
        self._stopped: dict[str, dict[str, Any]] = {}
        self._parts: list[str] = []  # tasks whose parts stop one by one
        if self._log is not None:
            self._starts = write_environment(folder, progress.step, world_size, experiment.recipe.seed)

    def start(self, progress: Progress, steps: int, order: TrainingOrder, stopping: Stopping) -> None:
        """Note how long the run will be, which is what a progress bar needs, and what has stopped already."""
        self._note_stopped(stopping)
        self._parts = list(stopping.parts)
        self._order = order
        self._rows(progress, progress.epoch, {"steps": float(steps), "batches": float(order.batches)})

    def epoch(self, progress: Progress, weights: Mapping[str, float], lr: float) -> None:
        """Note the weights and the learning rate of the epoch that begins."""
        self._rows(progress, progress.epoch, {"learning_rate": lr})
        for task, weight in weights.items():
            self._row("train", task, "weight", weight)

    def step(self, progress: Progress, epoch: int, reading: Reading, gradient_norm: Tensor | None) -> None:
        """Note the losses and speeds since the last such row."""
        numbers = {"throughput_samples_s": reading.samples_s, "data_wait_share": reading.wait_share}
        if reading.coupling is not None:
            numbers["coupling"] = reading.coupling
        if gradient_norm is not None:
            numbers["gradient_norm"] = float(gradient_norm)
        self._rows(progress, epoch, numbers)
        for name, (loss, samples) in (*reading.losses.items(), *reading.parts.items()):
            self._row("train", name, "loss", loss, round(samples))
        self._flush()

    def balance(self, balancing: Balancing, draw: bool) -> None:
        """Note the balancer's latest weights, and what the gradients that it saw tell; ``draw`` their cosines too."""
        if self._log is None:
            return
        for task, weight in balancing.latest_weights.items():
            self._row("train", task, "balance", weight)
        found = balancing.conflicts()
        if found is None:
            return
        for of, metric, value in found.rows():
            self._log.row("train", of, metric, value)
        if draw:
            self._log.picture("balance/cosines of gradients", picture(found.matrix, list(found.norms)))

    def evaluation(self, step: int, epoch: int, split: str, scores: Scores, best: bool) -> None:
        """Note a split's losses and metrics after ``step`` of ``epoch``, and pictures of what was given back.

        What metrics are made of is kept of the best epoch alone.
        """
        if self._log is None:
            return
        self._log.epoch, self._log.step = epoch, step
        for task, values in scores.values.items():
            for metric, value in values.items():
                self._log.row(split, task, metric, value, scores.samples[task])
        for task in self._parts:
            for part, loss in scores.part_losses.get(task, {}).items():
                self._log.row(split, part_name(task, part), "loss", loss)
        for task, both in scores.pictures.items():
            self._picture(task, split, *both)
        if best:
            write_details(self.folder, epoch, split, scores, self.experiment.tasks)
        self._chances = scores.chances
        if split == "test":
            self._tested = scores.values
        else:
            self._log.row("train", None, "quarantined", float(self._quarantined()))
        self._flush()

    def decisions(self, decisions: Sequence[Decision], stopping: Stopping) -> None:
        """Note what stop rules said after the evaluation noted last, and what trains on."""
        self._note_stopped(stopping)
        for task in stopping.parts:
            self._row("train", task, "active", float(task in stopping.active))
        for decision in decisions:
            numbers = {"active": float(stopping.trains(decision.name))}
            if decision.measure is not None:
                numbers |= {"stop_measure": decision.measure, "stop_threshold": decision.threshold}
            if not math.isnan(decision.alignment):
                numbers["alignment"] = decision.alignment
            for metric, value in numbers.items():
                self._row("train", decision.name, metric, value)
        self._flush()

    def suspended(self, task: str, stopping: Stopping) -> None:
        """Note a task that trains no more since its losses were not finite."""
        self._note_stopped(stopping)
        self._row("train", task, "active", 0.0)
        self._flush()

    def count_time(self, progress: Progress) -> None:
        """Bring the progress's seconds up to now."""
        progress.train_s = self._earlier_s + time.monotonic() - self._started_s

    def close(self, status: str, progress: Progress, error: str | None = None) -> None:
        """Write ``summary.json`` and the report, and close the log."""
        if self._log is None:
            return
        self.count_time(progress)
        self._log.close()
        summary = self._summary(status, progress)
        if error is not None:
            summary["error"] = error
        self.folder.write_json("summary.json", summary)
        from descant.report import write_run_report

        try:
            write_run_report(self.folder.path)
        except Exception as problem:  # the run itself is whole
            logger.warning("the report of the run could not be made: %s: %s", type(problem).__name__, problem)

    def _summary(self, status: str, progress: Progress) -> dict[str, Any]:
        best, main = progress.best, self.experiment.recipe.main
        return {
            "status": status,
            "main": {
                "task": main,
                "metric": next(iter(self.experiment.tasks[main].metrics())),
                "value": best.value if best and math.isfinite(best.value) else None,
                "epoch": best.epoch if best else None,
            },
            "tasks": {name: self._task_summary(name, best) for name in self.experiment.tasks},
            "data": {
                "consumed": progress.samples,
                "quarantined": self._quarantined(),
                "passes": self._passes(progress),
            },
            "resumed": self._starts - 1,
            "throughput_samples_s": progress.samples / max(progress.train_s, 1e-9),
            "wall_s": round(progress.train_s, 3),
        }

    def _quarantined(self) -> int:
        """Return how many samples could not be used so far, whichever ranks met them."""
        return len({(row["shard"], row["key"]) for row in unique_rows(self.folder.quarantine)})

    def _passes(self, progress: Progress) -> float | dict[str, float]:
        """Return how often the training split was gone through, by name where there are several data sets."""
        passes = self._order.passes(progress.epoch, int(self._order.bounds[progress.batch]))
        names = list(self.experiment.recipe.data.sources)
        return passes[0] if len(names) == 1 else dict(zip(names, passes, strict=True))

    def _task_summary(self, name: str, best: Best | None) -> dict[str, Any]:
        metrics = self.experiment.tasks[name].metrics()
        return {
            "role": self.experiment.recipe.tasks[name].role,
            "best": plain(best.metrics.get(name, {})) if best else {},
            "test": plain(self._tested.get(name, {})) or None,
            "chance": {metric: made.chance for metric, made in metrics.items() if made.chance is not None}
            | plain(self._chances.get(name, {})),
            "directions": {"loss": "min", **{metric: made.direction for metric, made in metrics.items()}},
            **self._stopped.get(name, {"stopped": None}),
        }

    def _note_stopped(self, stopping: Stopping) -> None:
        """Keep what the summary says of tasks that have stopped, and of parts that may stop one by one."""
        for name in self.experiment.tasks:
            parts = stopping.stopped_parts(name)
            also = {} if parts is None else {"stopped_parts": parts}
            self._stopped[name] = {"stopped": stopping.stopped(name), **also}

    def _picture(self, name: str, split: str, targets: Tensor, outputs: Tensor) -> None:
        task = self.experiment.tasks[name]
        assert task.input is not None and self._log is not None
        shown = [self.experiment.inputs[task.input].show(side) for side in (targets, outputs)]
        if shown[0] is None or shown[1] is None:
            return
        pixels = pairs(shown[0], shown[1])
        self._log.picture(f"{name}/{split}: inputs, and what was given back", pixels)
        save_picture(pixels, self.folder.path / "pictures" / f"{name}.png")

    def _rows(self, progress: Progress, epoch: int, numbers: Mapping[str, float]) -> None:
        if self._log is None:
            return
        self._log.epoch, self._log.step = epoch, progress.step
        for metric, value in numbers.items():
            self._log.row("train", None, metric, value)

    def _row(self, split: str, task: str, metric: str, value: float, samples: int | None = None) -> None:
        if self._log is not None:
            self._log.row(split, task, metric, value, samples)

    def _flush(self) -> None:
        if self._log is not None:
            self._log.flush()
