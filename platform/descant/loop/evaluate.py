"""Evaluation: losses and metrics of a split, identical on any number of ranks.

Batches are dealt whole to the ranks; each batch's sums are gathered and added exactly (``math.fsum`` does not depend
on the order). Shapes: B samples, V views, S statistics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from descant.data.batch import BadSample, Batch
from descant.data.order import EvaluationOrder
from descant.inputs import Input
from descant.loop.batches import BatchMaker
from descant.loop.experiment import Experiment
from descant.loop.loader import load_batches
from descant.loop.objective import outputs_of, target_of
from descant.loop.ranks import Ranks
from descant.tasks import Metric, Task
from descant.tasks.metrics import divided, named

PICTURES = 4
_PARTS = "loss of each part"  # among the names of metrics
_MOST_ROWS = 256  # of one forward pass, views counted


@dataclass(frozen=True)
class Scores:
    """What a model reaches on a split.

    Attributes:
        values: per task, ``loss`` and each metric by name.
        samples: per task, how many samples had its label.
        total: how many samples of the split could be read.
        bad: what could not be used, as this rank saw it.
        chances: per task, what a constant answer reaches on these samples, for metrics that can say so.
        details: per task and metric, what the metric is made of, by name: of each attribute or point, along a curve.
        part_losses: per task with parts, the loss of each by name.
        pictures: per task that gives an input back, this rank's first (targets, outputs), (P, *shape).
    """

    values: dict[str, dict[str, float]]
    samples: dict[str, int]
    total: int
    bad: list[BadSample] = field(default_factory=list)
    pictures: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    chances: dict[str, dict[str, float]] = field(default_factory=dict)
    details: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    part_losses: dict[str, dict[str, float]] = field(default_factory=dict)

    def replaced(self, others: Scores) -> Scores:
        """Return these scores with those of the tasks that ``others`` has in their place."""
        return replace(
            self,
            values=self.values | others.values,
            pictures=self.pictures | others.pictures,
            chances=self.chances | others.chances,
            details=self.details | others.details,
            part_losses=self.part_losses | others.part_losses,
        )


class _Sums:
    """One task's sums, batch by batch."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.metrics: dict[str, Metric] = task.metrics()
        self.rows: dict[str, list[np.ndarray]] = {"loss": [], _PARTS: [], **{name: [] for name in self.metrics}}

    def add(self, output: Tensor, target: Tensor, present_B: Tensor, views: int) -> None:
        """Add one batch; outputs (and targets that are inputs) hold the views of a sample side by side."""
        rows = present_B.nonzero()[:, 0]
        if not len(rows):
            return
        target_view = target if len(target) == len(output) else target.repeat_interleave(views, 0)
        losses_BV = self.task.loss(output, target_view).reshape(-1, views).double()
        losses_B = losses_BV.mean(1)[rows]
        self.rows["loss"].append(np.asarray([float(losses_B.sum()), len(rows)]))
        if self.task.parts:
            self._add_parts(*self.task.part_losses(output, target_view), rows, views)
        prediction = self.task.predict(output)
        if len(target) != len(output):
            prediction = prediction.reshape(-1, views, *prediction.shape[1:]).mean(1)[rows]
            target = target[rows]
        else:
            chosen = (rows[:, None] * views + torch.arange(views, device=rows.device)).flatten()
            prediction, target = prediction[chosen], target[chosen]
        for name, metric in self.metrics.items():
            statistics_BS = metric.statistics(prediction, target)
            self.rows[name].append(statistics_BS.double().sum(0).cpu().numpy())

    def _add_parts(self, losses_BP: Tensor, known_BP: Tensor, rows: Tensor, views: int) -> None:
        """Add the sums of each part's losses, the mean over the views of a sample, and how many samples teach it."""
        both_B2P = torch.stack([losses_BP * known_BP, known_BP], 1).double()
        both = both_B2P.reshape(-1, views, *both_B2P.shape[1:]).mean(1)
        self.rows[_PARTS].append(both[rows].sum(0).flatten().cpu().numpy())

    def values(self, ranks: Ranks) -> _Values:
        """Return what the sums over all ranks say."""
        gathered = [rows for rows in ranks.gather(self.rows) if isinstance(rows, dict)]
        totals = {name: _exact_sum([row for rows in gathered for row in rows[name]]) for name in self.rows}
        loss, parts = totals.pop("loss"), totals.pop(_PARTS)
        chances = {
            name: metric.chance_of(totals[name])
            for name, metric in self.metrics.items()
            if metric.chance_of is not None and totals[name].size
        }
        details = {
            name: metric.details(totals[name])
            for name, metric in self.metrics.items()
            if metric.details is not None and totals[name].size
        }
        values = {"loss": float(loss[0] / loss[1]) if loss.size and loss[1] else math.nan}
        for name, sums in totals.items():
            values[name] = self.metrics[name].value(sums) if sums.size else math.nan
        losses_P = divided(*parts.reshape(2, -1)) if parts.size else np.full(len(self.task.parts), np.nan)
        samples, part_losses = int(loss[1]) if loss.size else 0, named(self.task.parts, losses_P)
        return _Values(values, samples, chances, details, part_losses)


@dataclass(frozen=True)
class _Values:
    """One task's loss and metrics, its number of samples, chances, details and losses of parts: see ``Scores``."""

    values: dict[str, float]
    samples: int
    chances: dict[str, float]
    details: dict[str, dict[str, float]]
    part_losses: dict[str, float]


def evaluate_split(
    experiment: Experiment, split: str, model: nn.Module, device: torch.device, ranks: Ranks, loader_workers: int = 0
) -> Scores:
    """Return the scores of ``model`` on a split of the experiment's data set; every rank calls it."""
    reader = experiment.reader(split)
    order = EvaluationOrder(len(reader), _batch_size(experiment), ranks.rank, ranks.world_size)
    maker = BatchMaker(reader, order, experiment.inputs, experiment.tasks)
    batches = load_batches(maker, list(order.walk()), loader_workers)
    return evaluate(model, experiment.tasks, experiment.inputs, batches, device, ranks)


def _batch_size(experiment: Experiment) -> int:
    """Return how many samples are evaluated at once, the same on any number of ranks: what fits in training fits."""
    trainer = experiment.recipe.trainer
    views = next(iter(experiment.inputs.values())).views
    return max(min(trainer.batch_size, trainer.micro_batch or _MOST_ROWS) // views, 1)


def evaluate(
    model: nn.Module,
    tasks: Mapping[str, Task],
    inputs: Mapping[str, Input],
    batches: Iterable[Batch],
    device: torch.device,
    ranks: Ranks,
) -> Scores:
    """Return the scores of ``model`` over the batches of all ranks."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    sums = {name: _Sums(task) for name, task in tasks.items()}
    seen = _Seen()
    with torch.no_grad():
        for loaded in batches:
            _add_batch(model, tasks, inputs, loaded.to(device), sums, seen)
    for module, training in modes.items():
        module.training = training
    found = {name: task_sums.values(ranks) for name, task_sums in sums.items()}
    return Scores(
        values={name: of.values for name, of in found.items()},
        samples={name: of.samples for name, of in found.items()},
        chances={name: of.chances for name, of in found.items()},
        details={name: of.details for name, of in found.items()},
        part_losses={name: of.part_losses for name, of in found.items() if of.part_losses},
        total=sum(int(count) for count in ranks.gather(seen.readable) if isinstance(count, int)),
        bad=seen.bad,
        pictures=seen.pictures,
    )


@dataclass
class _Seen:
    """What this rank meets on its way through a split, beside losses and metrics."""

    readable: int = 0
    bad: list[BadSample] = field(default_factory=list)
    pictures: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


def _add_batch(
    model: nn.Module,
    tasks: Mapping[str, Task],
    inputs: Mapping[str, Input],
    batch: Batch,
    sums: Mapping[str, _Sums],
    seen: _Seen,
) -> None:
    seen.bad += batch.bad
    seen.readable += int(batch.valid.sum())
    ready = {name: inputs[name].finish(arrays) for name, arrays in batch.arrays.items()}
    outputs = outputs_of(model, tasks, batch, ready, Ranks())  # as one rank alone would compute it
    for name, task in tasks.items():
        target = target_of(task, batch, ready)
        sums[name].add(outputs[name], target, batch.present[name], batch.views)
        if task.label is None and not task.own_view and name not in seen.pictures:
            shown = slice(0, PICTURES * batch.views, batch.views)
            seen.pictures[name] = (target[shown].cpu(), task.predict(outputs[name][shown]).cpu())


def _exact_sum(rows: list[np.ndarray]) -> np.ndarray:
    if not rows:
        return np.zeros(0)
    return np.asarray([math.fsum(column) for column in np.stack(rows).T])
