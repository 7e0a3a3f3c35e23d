"""The objective of a step: per-task losses over the labels that are there, weighted and summed.

Shapes: B samples, K tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from descant.balance import LossBalancer
from descant.data.batch import Batch
from descant.schedules import Schedule
from descant.tasks import Task


@dataclass(frozen=True)
class TaskLosses:
    """What the tasks cost on this rank.

    Attributes:
        sums_K: per task, the sum of the losses of the samples that teach it; carries the gradient.
        finite: whether every loss is finite (a tensor, so that nothing waits for the device).
        per_sample: per task, (B,), detached, 0 where the sample does not teach it.
    """

    sums_K: Tensor
    finite: Tensor
    per_sample: dict[str, Tensor]


class Objective:
    """Turns outputs into the loss of a step.

    Args:
        tasks: by name, main first.
        schedules: each task's weight over the epochs.
        balancer: what multiplies these weights at each step.
    """

    def __init__(self, tasks: Mapping[str, Task], schedules: Mapping[str, Schedule], balancer: LossBalancer) -> None:
        self.tasks, self.schedules, self.balancer = tasks, schedules, balancer

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, inputs: Mapping[str, Tensor]) -> TaskLosses:
        """Return the loss on a batch of each task that has an output; of the others it is 0.

        A task without a label in the batch gives 0 with its graph connected, so that all ranks reduce alike.
        """
        per_sample = {}
        for name, output in outputs.items():
            losses_B = _loss(self.tasks[name], output, batch, inputs)
            assert losses_B.shape == batch.valid.shape, (
                f"the loss of the task {name!r} has the shape {tuple(losses_B.shape)}, not one number a sample"
            )
            per_sample[name] = torch.where(batch.present[name], losses_B, 0.0)
        nothing = torch.zeros((), device=batch.valid.device)
        sums_K = torch.stack([per_sample[name].sum() if name in per_sample else nothing for name in self.tasks])
        detached = {name: losses_B.detach() for name, losses_B in per_sample.items()}
        return TaskLosses(sums_K, sums_K.detach().isfinite().all(), detached)

    def recipe_weights(self, epoch: int, epochs: int) -> list[float]:
        """Return the recipe's weight of each task in ``epoch``, (K,)."""
        return [schedule.at(epoch, epochs) for schedule in self.schedules.values()]


def _loss(task: Task, output: Tensor, batch: Batch, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return a task's loss of each sample, of a mixed one by both labels in proportion."""
    losses_B = task.loss(output, target_of(task, batch, inputs))
    if batch.partner is None or batch.share_B is None or task.label is None:
        return losses_B
    others_B = task.loss(output, target_of(task, batch.partner, inputs))
    return torch.where(batch.share_B == 1.0, losses_B, batch.share_B * losses_B + (1.0 - batch.share_B) * others_B)


def target_of(task: Task, batch: Batch, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return a task's target: of its own view, an input for tasks that give it back, else the stacked labels."""
    if task.own_view:
        return task.view_target(inputs, _drawn(task, batch))
    return inputs[task.input] if task.label is None and task.input is not None else batch.targets[task.name]


def views_of(tasks: Mapping[str, Task], batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return the inputs as each of those tasks sees them that make a view of their own."""
    return {name: task.view(inputs, _drawn(task, batch)) for name, task in tasks.items() if task.own_view}


def _drawn(task: Task, batch: Batch) -> Tensor:
    """Return what was drawn for each row of the inputs: the views of one sample in an evaluation have it in common."""
    drawn = batch.drawn[task.name]
    return drawn if batch.views == 1 else drawn.repeat_interleave(batch.views, 0)
