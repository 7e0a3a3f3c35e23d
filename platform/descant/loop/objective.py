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
from descant.tasks.base import Task, together


@dataclass(frozen=True)
class TaskLosses:
    """What the tasks cost on this rank.

    Attributes:
        sums_K: per task, the sum of the losses of the samples that teach it; carries the gradient.
        finite: whether every loss is finite (a tensor, so that nothing waits for the device).
        together: by the tasks that were computed together, (B, tasks), detached, 0 where a sample does not teach one.
    """

    sums_K: Tensor
    finite: Tensor
    together: dict[tuple[str, ...], Tensor]

    @property
    def per_sample(self) -> dict[str, Tensor]:
        """The losses of each sample per task, (B,), detached, 0 where it does not teach the task."""
        return {name: part[:, place] for names, part in self.together.items() for place, name in enumerate(names)}


class Objective:
    """Turns outputs into the loss of a step.

    Args:
        tasks: by name, main first.
        schedules: each task's weight over the epochs.
        balancer: what multiplies these weights at each step.
    """

    def __init__(self, tasks: Mapping[str, Task], schedules: Mapping[str, Schedule], balancer: LossBalancer) -> None:
        self.tasks, self.schedules, self.balancer = tasks, schedules, balancer
        self._known_places: dict[tuple[str, ...], Tensor] = {}
        self._known_groups: dict[tuple[str, ...], list[tuple[str, ...]]] = {}

    def losses(self, outputs: Mapping[str, Tensor], batch: Batch, inputs: Mapping[str, Tensor]) -> TaskLosses:
        """Return the loss on a batch of each task that has an output; of the others it is 0.

        A task without a label in the batch gives 0 with its graph connected, so that all ranks reduce alike.
        """
        groups = self._together(outputs, batch)
        parts = [self._masked(names, outputs, batch, inputs) for names in groups]
        absent = [name for name in self.tasks if name not in outputs]
        order = [*(name for names in groups for name in names), *absent]
        sums = [
            *(part.sum(0) for part in parts),
            *([torch.zeros(len(absent), device=batch.valid.device)] * any(absent)),
        ]
        sums_K = sums[0] if len(sums) == 1 else torch.cat(sums)
        if order != list(self.tasks):
            sums_K = sums_K[self._places(tuple(order), batch.valid.device)]
        detached = {names: part.detach() for names, part in zip(groups, parts, strict=True)}
        return TaskLosses(sums_K, sums_K.detach().isfinite().all(), detached)

    def _places(self, order: tuple[str, ...], device: torch.device) -> Tensor:
        """Return where each task stands in ``order``, (K,): made once, so that no step waits for the device."""
        if order not in self._known_places:
            self._known_places[order] = torch.tensor([order.index(name) for name in self.tasks], device=device)
        return self._known_places[order]

    def _masked(
        self, names: tuple[str, ...], outputs: Mapping[str, Tensor], batch: Batch, inputs: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the losses of tasks that go together, 0 where a sample does not teach a task, (B, tasks)."""
        if len(names) == 1:
            losses_BG, present_BG = self._of_one(names[0], outputs, batch, inputs), batch.present[names[0]][:, None]
        else:
            target_BG, present_BG = batch.labels(names)
            losses_BG = self._of_several(names, outputs, target_BG)
        return torch.where(present_BG, losses_BG, 0.0)

    def _together(self, outputs: Mapping[str, Tensor], batch: Batch) -> list[tuple[str, ...]]:
        """Return the tasks with an output, those together whose losses are one function of alike outputs."""
        names = tuple(outputs)
        if batch.partner is not None:  # a mixed sample has two targets
            return [(name,) for name in names]
        if names not in self._known_groups:
            self._known_groups[names] = together({name: self.tasks[name] for name in names})
        return self._known_groups[names]

    def _of_one(self, name: str, outputs: Mapping[str, Tensor], batch: Batch, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the losses of a task that stands alone, (B, 1)."""
        losses_B = _loss(self.tasks[name], outputs[name], batch, inputs)
        assert losses_B.shape == batch.valid.shape, (
            f"the loss of the task {name!r} has the shape {tuple(losses_B.shape)}, not one number a sample"
        )
        return losses_B[:, None]

    def _of_several(self, names: tuple[str, ...], outputs: Mapping[str, Tensor], target_BG: Tensor) -> Tensor:
        """Return the losses of tasks that go together, by one call, (B, tasks)."""
        stacked = getattr(outputs, "stacked", {}).get(names)
        output_BG = torch.stack([outputs[name] for name in names], 1) if stacked is None else stacked
        losses = self.tasks[names[0]].loss(output_BG.flatten(0, 1), target_BG.flatten(0, 1))
        return losses.reshape(len(output_BG), len(names))

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
