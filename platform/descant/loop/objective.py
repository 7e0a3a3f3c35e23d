"""The objective of a step: per-task losses over the labels that are there, weighted and summed.

Shapes: B samples, K tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from descant.data.batch import Batch
from descant.loop.ranks import Ranks
from descant.outputs import Outputs
from descant.schedules import Schedule
from descant.tasks import Task
from descant.tasks.fusion import together


@dataclass(frozen=True)
class TaskLosses:
    """What the tasks cost on this rank.

    Attributes:
        sums_K: per task, the sum of the losses of the samples that teach it; carries the gradient.
        finite_K: whether each task's losses are finite (a tensor, so that nothing waits for the device).
        together: by the tasks that were computed together, (B, tasks), detached, 0 where a sample does not teach one.
        parts: of each task whose parts stop one by one the sum of each part's losses and how many they are, (2, P).
    """

    sums_K: Tensor
    finite_K: Tensor
    together: dict[tuple[str, ...], Tensor]
    parts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def per_sample(self) -> dict[str, Tensor]:
        """The losses of each sample per task, (B,), detached, 0 where it does not teach the task."""
        return {name: part[:, place] for names, part in self.together.items() for place, name in enumerate(names)}


@dataclass(frozen=True)
class _Layout:
    """How the losses of some tasks are computed.

    Attributes:
        groups: the tasks with an output, those together whose losses are one function of alike outputs.
        absent: how many tasks have none.
        places_K: where each task stands in the groups, one after the other, and then the absent; None: in order.
    """

    groups: list[tuple[str, ...]]
    absent: int
    places_K: Tensor | None


class Objective:
    """Turns outputs into the loss of a step.

    Args:
        tasks: by name, main first.
        schedules: each task's weight over the epochs.
    """

    def __init__(self, tasks: Mapping[str, Task], schedules: Mapping[str, Schedule]) -> None:
        self.tasks, self.schedules = tasks, schedules
        self._layouts: dict[tuple[tuple[str, ...], bool], _Layout] = {}
        self._trains_P: dict[str, Tensor] = {}

    def train_parts(self, parts: Mapping[str, Sequence[bool]], device: torch.device) -> None:
        """Have only those parts add to the loss from now on; tasks that are not named have no parts of their own."""
        self._trains_P = {name: torch.tensor(list(trains), device=device) for name, trains in parts.items()}
        self._layouts.clear()

    def losses(self, outputs: Outputs, batch: Batch, inputs: Mapping[str, Tensor]) -> TaskLosses:
        """Return the loss on a batch of each task that has an output; of the others it is 0.

        A task without a label in the batch gives 0 with its graph connected, so that all ranks reduce alike.
        """
        layout = self._layout(tuple(outputs), batch)
        totals: dict[str, Tensor] = {}
        columns = [self._masked(names, outputs, batch, inputs, totals) for names in layout.groups]
        sums = [column.sum(0) for column in columns]
        if layout.absent:
            sums.append(torch.zeros(layout.absent, device=batch.valid.device))
        sums_K = sums[0] if len(sums) == 1 else torch.cat(sums)
        if layout.places_K is not None:
            sums_K = sums_K[layout.places_K]
        detached = {names: column.detach() for names, column in zip(layout.groups, columns, strict=True)}
        return TaskLosses(sums_K, sums_K.detach().isfinite(), detached, totals)

    def _layout(self, names: tuple[str, ...], batch: Batch) -> _Layout:
        """Return how the losses of these tasks are computed: found out once, so that no step waits for the device."""
        key = names, batch.partner is not None
        if key not in self._layouts:
            is_alone = {name for name in names if name in self._trains_P or batch.partner is not None}  # two targets
            groups = together({name: self.tasks[name] for name in names if name not in is_alone})
            groups += [(name,) for name in names if name in is_alone]
            absent = [name for name in self.tasks if name not in names]
            order = [*(name for group in groups for name in group), *absent]
            places = [order.index(name) for name in self.tasks]
            is_in_order = places == sorted(places)
            places_K = None if is_in_order else torch.tensor(places, device=batch.valid.device)
            self._layouts[key] = _Layout(groups, len(absent), places_K)
        return self._layouts[key]

    def _masked(
        self,
        names: tuple[str, ...],
        outputs: Outputs,
        batch: Batch,
        inputs: Mapping[str, Tensor],
        totals: dict[str, Tensor],
    ) -> Tensor:
        """Return the losses of tasks that go together, 0 where a sample does not teach a task, (B, tasks).

        What the parts of a task cost goes into ``totals``.
        """
        name = names[0]
        if name in self._trains_P:
            losses_B, totals[name] = _of_parts(self.tasks[name], self._trains_P[name], outputs[name], batch, inputs)
            losses_BG, present_BG = losses_B[:, None], batch.present[name][:, None]
        elif len(names) == 1:
            losses_BG, present_BG = self._of_one(name, outputs, batch, inputs), batch.present[name][:, None]
        else:
            target_BG, present_BG = batch.labels(names)
            losses_BG = self._of_several(names, outputs, target_BG)
        return losses_BG if names in batch.complete else torch.where(present_BG, losses_BG, 0.0)

    def _of_one(self, name: str, outputs: Outputs, batch: Batch, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return the losses of a task that stands alone, (B, 1)."""
        losses_B = _loss(self.tasks[name], outputs[name], batch, inputs)
        assert losses_B.shape == batch.valid.shape, (
            f"the loss of the task {name!r} has the shape {tuple(losses_B.shape)}, not one number a sample"
        )
        return losses_B[:, None]

    def _of_several(self, names: tuple[str, ...], outputs: Outputs, target_BG: Tensor) -> Tensor:
        """Return the losses of tasks that go together, by one call, (B, tasks)."""
        stacked = outputs.stacked.get(names)
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


def _of_parts(
    task: Task, trains_P: Tensor, output: Tensor, batch: Batch, inputs: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return each sample's loss over the parts that train, (B,), and the sums and counts of each part, (2, P).

    A sample's loss is over the number of parts that it teaches, whether they train or not: what one part does to the
    network does not hang on how many others do. A mixed sample has both labels in proportion.
    """
    own_B = torch.ones_like(batch.valid, dtype=torch.float32) if batch.share_B is None else batch.share_B
    losses_B, totals_2P = torch.zeros_like(own_B), torch.zeros(2, len(trains_P), device=own_B.device)
    for side, share_B in ((batch, own_B), (batch.partner, 1.0 - own_B)):
        if side is None:
            continue
        losses_BP, known_BP = task.part_losses(output, target_of(task, side, inputs))
        means_B = (losses_BP * trains_P).sum(1) / known_BP.sum(1).clamp(min=1)
        losses_B = losses_B + torch.where(share_B > 0, share_B * means_B, 0.0)
        counts_BP = known_BP & (batch.present[task.name] & (share_B > 0))[:, None]
        both_2BP = torch.stack([losses_BP.detach(), torch.ones_like(losses_BP)]) * share_B[:, None]
        totals_2P = totals_2P + torch.where(counts_BP, both_2BP, 0.0).sum(1)
    return losses_B, totals_2P


def target_of(task: Task, batch: Batch, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return a task's target: of its own view, an input for tasks that give it back, else the stacked labels."""
    if task.own_view:
        return task.view_target(inputs, _drawn(task, batch))
    return inputs[task.input] if task.label is None and task.input is not None else batch.targets[task.name]


def outputs_of(
    model: nn.Module,
    tasks: Mapping[str, Task],
    batch: Batch,
    inputs: Mapping[str, Tensor],
    ranks: Ranks,
    *,
    cut: bool = False,
    fuse: bool = True,
) -> Outputs:
    """Return the model's output for each of ``tasks``, which sees the inputs as it wants to.

    Args:
        model: a ``MultiTaskModel``, which may be wrapped for several ranks.
        tasks: by name.
        batch: this rank's rows.
        inputs: by name, as the trunk takes them.
        ranks: whose rows go together in tasks that hold samples against each other; all of them call it.
        cut, fuse: whether to end their graph at the features, and to compute heads as one: see
            ``MultiTaskModel.forward``.
    """
    views = {name: task.view(inputs, _drawn(task, batch)) for name, task in tasks.items() if task.own_view}
    pairs = [name for name, task in tasks.items() if task.pairs]
    outputs: Outputs = model(inputs, list(tasks), views, pairs, cut, fuse)
    held = {name: contrasted(tasks[name], outputs[name], batch.present[name], batch.views, ranks) for name in pairs}
    return Outputs(outputs.alone | held, outputs.stacked, outputs.cut) if held else outputs


def contrasted(task: Task, output: Tensor, present_B: Tensor, views: int, ranks: Ranks) -> Tensor:
    """Return a task's outputs held against those of all ranks; each sample has ``views`` rows side by side."""
    counts_N = ranks.rows_of_all(present_B.float()) > 0
    own_B = torch.arange(len(present_B), device=present_B.device) + ranks.rank * len(present_B)
    others_BN = counts_N & (torch.arange(len(counts_N), device=present_B.device) != own_B[:, None])
    others = others_BN.repeat_interleave(views, 0).repeat_interleave(views, 1)
    return task.contrast(output, ranks.rows_of_all(output), others)


def _drawn(task: Task, batch: Batch) -> Tensor:
    """Return what was drawn for each row of the inputs: the views of one sample in an evaluation have it in common."""
    drawn = batch.drawn[task.name]
    return drawn if batch.views == 1 else drawn.repeat_interleave(batch.views, 0)
