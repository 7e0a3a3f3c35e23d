"""One optimizer step over one global batch.

Shapes: B samples of this rank, K tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from descant.data.batch import Batch
from descant.errors import StoppedTogether
from descant.loop.attempt import Attempt
from descant.loop.balancing import Balancing
from descant.loop.batch_norm import globalise
from descant.loop.device import make_accelerator
from descant.loop.experiment import Experiment
from descant.loop.finite import broken_tasks
from descant.loop.look_ahead import LookAhead
from descant.loop.meter import Meter
from descant.loop.objective import Objective
from descant.loop.optimizer import build_optimizer
from descant.loop.passes import Passes
from descant.loop.pulse import Beat
from descant.loop.ranks import Ranks
from descant.loop.rehearsal import rehearse
from descant.loop.untaught import Untaught
from descant.model import MultiTaskModel


@dataclass(frozen=True)
class Taken:
    """What a step learnt from.

    Attributes:
        counts_K: how many samples of the global batch taught each task.
        taught: the tasks of which it learnt.
        broken: those that were left out since their losses were not finite, each with what to say of it.
        cosines: with the main task's gradient, of the tasks to compare.
    """

    counts_K: list[int]
    taught: list[str]
    broken: dict[str, str]
    cosines: dict[str, float]


class Stepper:
    """Turns batches into optimizer steps.

    What no task's gradient reaches is frozen, as it starts.

    Args:
        model: the network, not yet wrapped for several ranks.
        experiment: inputs, optimizer and how to train.
        objective: tasks and weights.
        balancing: what multiplies these weights at each step.
        ranks: who steps along.
        meter: what is told of the losses.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        experiment: Experiment,
        objective: Objective,
        balancing: Balancing,
        ranks: Ranks,
        meter: Meter,
    ) -> None:
        self.module, self.objective, self.balancing = model, objective, balancing
        self.settings, self.ranks, self.meter = experiment.recipe.trainer, ranks, meter
        self.tasks = dict(experiment.tasks)
        self._stopped_rows: dict[str, list[int]] = {}
        self._reach = rehearse(model, experiment.inputs, experiment.tasks)
        self._trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._untaught = Untaught(model, self._reach)
        norms = globalise(model, ranks)
        self.accelerator = make_accelerator(self.settings, ranks)
        optimizer = build_optimizer(experiment.recipe.optimizer, model.parameters())
        wrapped, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.device: torch.device = self.accelerator.device
        self.passes = Passes(model, wrapped, experiment, objective, balancing, ranks, self.accelerator, norms)
        self._ahead = LookAhead(self.passes, ranks)

    def train_only(self, tasks: Sequence[str]) -> None:
        """Train these tasks from now on: what the gradient of none of them reaches is frozen until the next call.

        A step then computes nothing for the others. Every rank calls it at the same step.
        """
        self.tasks = {name: self.objective.tasks[name] for name in tasks}
        is_wrapped = self.passes.model is not self.module  # one process alone is not: what makes it bf16 then stays
        if is_wrapped:
            self.accelerator.unwrap_model(self.passes.model, keep_fp32_wrapper=False)
            self.passes.model = self.module
            self.accelerator.free_memory()  # of the wrapper that waits for the gradients of all ranks: it is made anew
        reached = self._reached(tasks)
        for name, parameter in self._trainable.items():
            parameter.requires_grad_(name in reached)
        if is_wrapped:
            self.passes.model = self.accelerator.prepare_model(self.module)

    def train_parts(self, parts: Mapping[str, Mapping[str, bool]]) -> None:
        """Train only these parts of tasks from now on: the others' rows of weights stay as they are."""
        trains = {task: list(each.values()) for task, each in parts.items()}
        self.objective.train_parts(trains, self.device)
        stopped = {task: [row for row, goes_on in enumerate(each) if not goes_on] for task, each in trains.items()}
        self._stopped_rows = {task: rows for task, rows in stopped.items() if rows}

    def take(
        self,
        step: int,
        seed: int,
        whole: Batch,
        beat: Beat,
        recipe_weights_K: Tensor,
        compare: Sequence[str] = (),
    ) -> Taken:
        """Leave the gradients of one global batch in the parameters.

        A task whose loss or gradient is not finite spoils them; the batch is then taken again without it.

        Args:
            step: its number, for messages.
            seed: of what is random in the model, on this rank.
            whole: this rank's slice.
            beat: how many samples of the global batch teach each task.
            recipe_weights_K: per task.
            compare: tasks whose gradients are compared with the main task's; of the step's first micro-batch.
        """
        counts = dict(zip(self.objective.tasks, beat.counts_K, strict=True))
        before = None if self.balancing.way.is_static else self.balancing.state_dict()
        attempt = Attempt(step, beat.rows, recipe_weights_K, counts, list(self.tasks), compare)
        broken: dict[str, str] = {}
        while attempt.taught or not attempt.again:
            torch.manual_seed(seed)
            self._take(attempt, whole)
            found = broken_tasks(attempt, list(counts), self.balancing.spoilers, self.ranks)
            if not found:
                break
            broken |= found
            self.optimizer.zero_grad()
            if before is not None:
                self.balancing.load_state_dict(before)
            left = [name for name in attempt.tasks if name not in found]
            counts = {name: 0 if name in broken else count for name, count in counts.items()}
            attempt = Attempt(step, beat.rows, recipe_weights_K, counts, left, again=True)
        self.balancing.look_ahead(
            step, recipe_weights_K, lambda weights_K: self._slopes(attempt, whole, weights_K, seed)
        )
        self._count(attempt)
        return Taken(list(counts.values()), attempt.taught, broken, attempt.cosines)

    def _slopes(self, attempt: Attempt, whole: Batch, weights_K: Tensor, seed: int) -> Tensor:
        """Return what ``LookAhead.slopes`` finds of a step of the present learning rate."""
        lr = float(self.optimizer.param_groups[0]["lr"])
        return self._ahead.slopes(attempt, self._micro_batches(whole), weights_K, lr, seed)

    def _count(self, attempt: Attempt) -> None:
        """Tell the meter of an attempt that counts."""
        for one in attempt.micro_batches:
            self.meter.add_losses(one.losses)
        for coupling in attempt.couplings:
            self.meter.add_coupling(coupling)
        self._taught = attempt.taught

    def _take(self, attempt: Attempt, whole: Batch) -> None:
        batches = self._micro_batches(whole)
        if len(batches) > 1 and self.balancing.reads_step(attempt.step, self.passes.places(attempt.taught)):
            attempt.known = self.passes.measure(attempt, batches)
            self.optimizer.zero_grad()
        alone = attempt.again or self.balancing.way.makes_directions
        with self.passes.bare(tracking=not attempt.again) if alone else nullcontext():
            for number, batch in enumerate(batches, 1):
                last = number == len(batches)
                with nullcontext() if last else self.accelerator.no_sync(self.passes.model):
                    self.passes.take(attempt, batch, last)
        if alone:  # the bare model sums nothing over the ranks
            for parameter in self._trainable.values():
                if parameter.grad is not None:
                    self.ranks.sum(parameter.grad)
        self.passes.follow(attempt.direction)
        self._untaught.forget(attempt.taught, bool(attempt.couplings))

    def _micro_batches(self, whole: Batch) -> list[Batch]:
        rows = len(whole.keys)
        size = min(self.settings.micro_batch or rows, rows)
        return [whole.rows(start, start + size) for start in range(0, rows, size)]

    def check_weights(self, step: int) -> None:
        """Raise StoppedTogether if a weight is not finite: they are the same on every rank."""
        if not all(bool(parameter.isfinite().all()) for parameter in self.module.parameters()):
            raise StoppedTogether(
                f"the weights are not finite after step {step}: lower optimizer.lr, or set trainer.clip_norm; what was "
                f"saved before is kept"
            )

    def set_options(self, options: Mapping[str, Any]) -> None:
        """Give the optimizer the recipe's options, in the place of those of a checkpoint."""
        for group in self.optimizer.param_groups:
            group.update(options)

    def look_again(self, step: int, seed: int, whole: Batch, taken: Taken) -> None:
        """Tell a balancer that wants to know it what the step did to the losses of its batch; after ``update``.

        Args:
            step, seed, whole: as ``take`` was given.
            taken: what it returned.
        """
        if not self.balancing.reads_after(step):
            return
        counts = dict(zip(self.objective.tasks, taken.counts_K, strict=True))
        attempt = Attempt(step, 0, torch.empty(0), counts, taken.taught)
        torch.manual_seed(seed)
        self.balancing.after_step(self.passes.means(attempt, self._micro_batches(whole)))

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
