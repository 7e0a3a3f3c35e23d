"""One optimizer step over one global batch.

Shapes: B samples of this rank, K tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from descant.cut import Cut
from descant.data.batch import Batch
from descant.loop.alignment import gradient_cosines, loss_gradient
from descant.loop.balancing import Balancing
from descant.loop.batch_norm import globalise
from descant.loop.device import make_accelerator
from descant.loop.experiment import Experiment
from descant.loop.meter import Meter
from descant.loop.objective import Objective, outputs_of
from descant.loop.optimizer import build_optimizer
from descant.loop.pulse import Beat, Pulse
from descant.loop.ranks import Ranks
from descant.loop.rehearsal import rehearse
from descant.loop.untaught import Untaught
from descant.model import MultiTaskModel


class Stepper:
    """Turns batches into optimizer steps.

    What no task's gradient reaches is frozen, as it starts.

    Args:
        model: the network, not yet wrapped for several ranks.
        experiment: inputs, optimizer and how to train.
        objective: tasks and weights.
        balancing: what multiplies these weights at each step.
        ranks: who steps along.
        pulse, meter: what is told of the losses.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        experiment: Experiment,
        objective: Objective,
        balancing: Balancing,
        ranks: Ranks,
        pulse: Pulse,
        meter: Meter,
    ) -> None:
        self.module, self.objective, self.balancing = model, objective, balancing
        self.inputs = experiment.inputs
        self.settings, self.ranks, self.pulse, self.meter = experiment.recipe.trainer, ranks, pulse, meter
        self.tasks = dict(experiment.tasks)
        self._stopped_rows: dict[str, list[int]] = {}
        self.cosines: dict[str, float] = {}
        self._reach = rehearse(model, self.inputs, experiment.tasks)
        self._trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._untaught = Untaught(model, self._reach)
        self.norms = globalise(model, ranks)
        self.accelerator = make_accelerator(self.settings, ranks)
        optimizer = build_optimizer(experiment.recipe.optimizer, model.parameters())
        self.model: nn.Module
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.device: torch.device = self.accelerator.device

    def train_only(self, tasks: Sequence[str]) -> None:
        """Train these tasks from now on: what the gradient of none of them reaches is frozen until the next call.

        A step then computes nothing for the others. Every rank calls it at the same step.
        """
        self.tasks = {name: self.objective.tasks[name] for name in tasks}
        is_wrapped = self.model is not self.module  # one process alone is not: what makes it bf16 then stays
        if is_wrapped:
            self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
            self.model = self.module
            self.accelerator.free_memory()  # of the wrapper that waits for the gradients of all ranks: it is made anew
        reached = self._reached(tasks)
        for name, parameter in self._trainable.items():
            parameter.requires_grad_(name in reached)
        if is_wrapped:
            self.model = self.accelerator.prepare_model(self.module)

    def train_parts(self, parts: Mapping[str, Mapping[str, bool]]) -> None:
        """Train only these parts of tasks from now on: the others' rows of weights stay as they are."""
        trains = {task: list(each.values()) for task, each in parts.items()}
        self.objective.train_parts(trains, self.device)
        stopped = {task: [row for row, goes_on in enumerate(each) if not goes_on] for task, each in trains.items()}
        self._stopped_rows = {task: rows for task, rows in stopped.items() if rows}

    def take(self, step: int, whole: Batch, beat: Beat, recipe_weights_K: Tensor, compare: Sequence[str] = ()) -> None:
        """Leave the gradients of one global batch in the parameters.

        Args:
            step: its number, for messages.
            whole: this rank's slice.
            beat: how many samples of the global batch teach each task.
            recipe_weights_K: per task.
            compare: tasks whose gradients are compared with the main task's, into ``cosines``; of the step's first
                micro-batch.
        """
        self._compare, self.cosines, self._is_coupled = list(compare), {}, False
        self._counts_K = torch.tensor([max(n, 1) for n in beat.counts_K], dtype=torch.float32, device=self.device)
        counts = dict(zip(self.objective.tasks, beat.counts_K, strict=True))
        self._taught = [name for name in self.tasks if counts[name]]
        rows = len(whole.keys)
        size = min(self.settings.micro_batch or rows, rows)
        for start in range(0, rows, size):
            last = start + size >= rows
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                self._micro_batch(step, whole.rows(start, start + size), beat, recipe_weights_K, last)
        self._untaught.forget(self._taught, self._is_coupled)

    def _reached(self, tasks: Iterable[str]) -> set[str]:
        """Return the names of the parameters that the gradient of any of the tasks reaches."""
        return set().union(*(self._reach[name] for name in tasks))

    def update(self, any_label: bool, measure: bool) -> Tensor | None:
        """Clip, step the optimizer (if any sample teaches anything), and forget the gradients.

        Returns:
            the norm of all gradients before clipping, if ``measure`` asks for it or clipping needs it.
        """
        parameters = [parameter for parameter in self.module.parameters() if parameter.grad is not None]
        norm: Tensor | None = None
        if self.settings.clip_norm is not None:
            norm = self.accelerator.clip_grad_norm_(parameters, self.settings.clip_norm)
        elif measure:
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if any_label:
            left_alone = self.objective.tasks.keys() - set(self._taught)
            with self._untaught.leaving_alone(self.optimizer, left_alone, self._stopped_rows):
                self.optimizer.step()
        self.optimizer.zero_grad()
        return norm

    def _micro_batch(self, step: int, batch: Batch, beat: Beat, recipe_weights_K: Tensor, last: bool) -> None:
        every_row_counts = bool(batch.valid.all())  # asked before the device has the batch: nothing waits for it
        batch = batch.to(self.device)
        inputs = self._finished(batch)
        for norm in self.norms:
            norm.valid_B = None if every_row_counts else batch.valid
        outputs = outputs_of(self.model, self.tasks, batch, inputs, self.ranks, cut=self.balancing.reads_gradients)
        losses = self.objective.losses(outputs, batch, inputs)
        means_K = losses.sums_K / self._counts_K
        self.pulse.remember(step, batch.keys, losses)  # before the backward pass, which it then does not wait for
        coupling = self._coupling(batch.valid, beat.rows, last)
        scales_K = self.balancing.scales(means_K.detach(), self._places(self._taught))
        recipe_weights_K = recipe_weights_K if scales_K is None else recipe_weights_K * scales_K
        if outputs.cut is None:
            weights_K = recipe_weights_K * self.balancing.weights(means_K.detach(), self._places(self._taught), step)
            self._measure_cosines(lambda task, shared: loss_gradient(means_K[self._places([task])[0]], shared))
            total = (weights_K * means_K).sum()
            self._backward(total if coupling is None else total + coupling)
        else:
            self._backward_in_two(step, outputs.cut, means_K, recipe_weights_K, coupling)
        self.meter.add_losses(losses)

    def _backward(self, loss: Tensor) -> None:
        """Add the gradients of this rank's share of a loss."""
        # DDP averages gradients over the ranks; the counts are global already, so the average is undone.
        self.accelerator.backward(loss * self.ranks.world_size)

    def _backward_in_two(
        self, step: int, cut: Cut, means_K: Tensor, recipe_weights_K: Tensor, coupling: Tensor | None
    ) -> None:
        """Add the gradients of the heads, have the balancer look at those of the features, and go on from there."""
        cut.expect_gradients()
        self._backward((recipe_weights_K * means_K).sum())
        decides = self.balancing.decides(step)
        gramian_KK = cut.gramian(list(self.objective.tasks)) / self.ranks.world_size**2 if decides else None
        self._measure_cosines(cut.gradient)
        reaching = [name for name in self._taught if name in cut.tasks]
        balance_K = self.balancing.weights(means_K.detach(), self._places(reaching), step, gramian_KK)
        also = None if coupling is None else coupling * self.ranks.world_size
        cut.backward(dict(zip(self.objective.tasks, balance_K.tolist(), strict=True)), also)

    def _places(self, tasks: Sequence[str]) -> list[int]:
        """Return the places of tasks in all vectors over tasks."""
        return [place for place, name in enumerate(self.objective.tasks) if name in tasks]

    def _measure_cosines(self, gradient: Callable[[str, Sequence[Tensor]], Tensor]) -> None:
        """Compare the tasks that are asked for; ``gradient`` gives that of a task, of shared parameters, flat."""
        if not self._compare:
            return
        main, shared = next(iter(self.tasks)), [p for p in self.module.sharing.parameters() if p.requires_grad]
        self.cosines = gradient_cosines(lambda task: gradient(task, shared), main, self._compare, self.ranks)
        self._compare = []

    def _coupling(self, valid_B: Tensor, rows: int, last: bool) -> Tensor | None:
        """Return this rank's part of what soft sharing adds to the loss: of the weights once a step, of rows each."""
        coupling = self.module.sharing.coupling(self.tasks)
        parts = []
        if coupling.rows_B is not None:
            parts.append(torch.where(valid_B, coupling.rows_B, 0.0).sum() / max(rows, 1))
        if coupling.weights is not None and last:
            parts.append(coupling.weights / self.ranks.world_size)
        if not parts:
            return None
        total = torch.stack(parts).sum()
        self._is_coupled = True
        self.meter.add_coupling(total)
        return total

    def _finished(self, batch: Batch) -> dict[str, Tensor]:
        """Return the inputs as the trunk takes them, mixed where the batch has partners."""
        inputs = {name: self.inputs[name].finish(arrays) for name, arrays in batch.arrays.items()}
        if batch.partner is None or batch.share_B is None:
            return inputs
        others = {name: self.inputs[name].finish(arrays) for name, arrays in batch.partner.arrays.items()}
        shares = {name: batch.share_B.reshape(-1, *[1] * (value.ndim - 1)) for name, value in inputs.items()}
        return {name: shares[name] * value + (1.0 - shares[name]) * others[name] for name, value in inputs.items()}
