"""The training loop. The order of operations in one step, on every rank:

1. take this rank's slice of the global batch from the loader
2. pulse: sum the label counts, and the requests to stop or save, over the ranks
3. seed the step's randomness (dropout) from (seed, step, rank)
4. for each micro-batch: inputs → features → outputs → per-sample losses, masked; each task's sum is divided by its
   label count in the global batch, weighted, and sent back
5. heads of tasks without a label in the global batch lose their gradient; clip; optimizer step
6. count the step; log; at the end of an epoch evaluate, keep the best, write a checkpoint

A task's weight is (recipe's weight in this epoch) × (balancer's weight at this step).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from descant.data.batch import Batch
from descant.data.batches import BatchMaker, make_loader
from descant.data.order import EvaluationOrder, TrainingOrder, step_seed
from descant.errors import Interrupted, StoppedTogether
from descant.loop.batch_norm import globalise
from descant.loop.checkpoints import Checkpoints
from descant.loop.device import loader_workers, make_accelerator
from descant.loop.evaluate import Scores, evaluate
from descant.loop.experiment import Experiment
from descant.loop.meter import Meter
from descant.loop.objective import Objective
from descant.loop.optimizer import build_optimizer, set_learning_rate
from descant.loop.progress import Best, Progress
from descant.loop.pulse import Beat, Pulse
from descant.loop.quarantine import Quarantine
from descant.loop.ranks import Ranks
from descant.loop.record import Record
from descant.run.folder import RunFolder


class Training:
    """One run of one recipe on this rank.

    Args:
        experiment: the recipe bound to its data.
        folder: the run folder; its last checkpoint is where the run goes on.
        ranks: who trains along.
        should_stop: whether the user asked to stop; looked at before each step.
    """

    def __init__(
        self, experiment: Experiment, folder: RunFolder, ranks: Ranks, should_stop: Callable[[], bool]
    ) -> None:
        recipe, self.settings = experiment.recipe, experiment.recipe.trainer
        self.experiment, self.folder, self.ranks = experiment, folder, ranks
        self.tasks, self.names = experiment.tasks, list(experiment.tasks)
        self.accelerator = make_accelerator(self.settings, ranks)
        self.device: torch.device = self.accelerator.device
        self.reader = experiment.reader("train")
        self.order = TrainingOrder(
            recipe.seed,
            experiment.description.fingerprint,
            len(self.reader),
            self.settings.batch_size,
            ranks.rank,
            ranks.world_size,
        )
        model = experiment.build_model()
        self.norms = globalise(model) if ranks.world_size > 1 else []
        optimizer = build_optimizer(recipe.optimizer, model.parameters())
        self.objective = Objective(self.tasks, experiment.schedules, experiment.build_balancer())
        self.checkpoints = Checkpoints(folder.checkpoints)
        self.progress = Progress()
        self._resume(model, optimizer)
        self.module = model
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.pulse = Pulse(ranks, self.names, should_stop, self.settings.checkpoint_s)
        self.meter = Meter(self.names, ranks)
        shards = experiment.description.splits["train"].shards
        self.quarantine = Quarantine(folder.quarantine, shards, len(self.reader), self.settings.quarantine_limit, ranks)
        self.workers = loader_workers(self.settings, ranks)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        steps = self.settings.epochs * self.order.batches
        return steps if self.settings.steps is None else min(steps, self.settings.steps)

    @property
    def epochs(self) -> int:
        """Epochs of the whole run, the last one perhaps cut short by ``trainer.steps``."""
        return -(-self.steps // self.order.batches)

    def run(self, record: Record) -> None:
        """Train to the end, then evaluate the best checkpoint on the test split.

        Raises:
            Interrupted: the user asked to stop; the checkpoint is written.
            RunError: a loss was not finite, or too many samples are bad; the last checkpoint is a good one.
        """
        self.record = record
        record.start(self.progress, self.steps, self.order)
        self.quarantine.enforce()
        self._begin_epoch()
        self.meter.restart()
        for batch, wait_s in self._batches():
            beat = self.pulse.beat(batch, self.quarantine.add(batch.bad))
            self.quarantine.check(beat.bad)
            if beat.stop:
                self._save(best=None)
                raise Interrupted
            if beat.save:
                self._save(best=None)
            self._step(batch, beat)
            self._after_step(batch, beat, wait_s)
        self._test()

    def _batches(self) -> Iterator[tuple[Batch, float]]:
        maker = BatchMaker(self.reader, self.order, self.experiment.inputs, self.tasks)
        places = self.order.walk(self.progress.epoch, self.progress.batch, self.steps - self.progress.step)
        loader = iter(make_loader(maker, list(places), self.workers, pin_memory=self.device.type == "cuda"))
        while True:
            asked_s = time.perf_counter()
            batch = next(loader, None)
            if batch is None:
                return
            yield batch, time.perf_counter() - asked_s

    def _step(self, whole: Batch, beat: Beat) -> None:
        torch.manual_seed(step_seed(self.order.seed, self.progress.step, self.ranks.rank))
        counts_K = torch.tensor([max(count, 1) for count in beat.counts_K], dtype=torch.float32, device=self.device)
        rows = len(whole.keys)
        size = min(self.settings.micro_batch or rows, rows)
        for start in range(0, rows, size):
            last = start + size >= rows
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                self._micro_batch(whole.rows(start, start + size), counts_K)
        for name, count in zip(self.names, beat.counts_K, strict=True):
            if not count:
                for parameter in self.module.heads[name].parameters():
                    parameter.grad = None
        self._clip()
        if any(beat.counts_K):
            self.optimizer.step()
        self.optimizer.zero_grad()

    def _micro_batch(self, batch: Batch, counts_K: Tensor) -> None:
        batch = batch.to(self.device)
        inputs = {name: self.experiment.inputs[name].finish(arrays) for name, arrays in batch.arrays.items()}
        for norm in self.norms:
            norm.valid_B = None if bool(batch.valid.all()) else batch.valid
        losses = self.objective.losses(self.model(inputs), batch, inputs)
        means_K = losses.sums_K / counts_K
        weights_K = self.weights_K * self.objective.balancer.weights(means_K.detach())
        # DDP averages gradients over the ranks; the counts are global already, so the average is undone.
        self.accelerator.backward((weights_K * means_K).sum() * self.ranks.world_size)
        self.pulse.remember(self.progress.step, batch, losses)
        self.meter.add_losses(losses)

    def _clip(self) -> None:
        self.gradient_norm: Tensor | None = None
        if self.settings.clip_norm is not None:
            self.gradient_norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.settings.clip_norm)

    def _after_step(self, batch: Batch, beat: Beat, wait_s: float) -> None:
        epoch = self.progress.epoch
        positions = min(self.order.batch_size, self.order.samples - self.progress.batch * self.order.batch_size)
        ended = self.progress.advance(self.order, positions)
        self.meter.add_step(beat.counts_K, positions, wait_s)
        done = self.progress.step == self.steps
        if ended or done or self.progress.step % self.settings.log_steps == 0:
            self.record.step(self.progress, epoch, self.meter, self.gradient_norm)
        every = self.settings.checkpoint_steps
        if ended or done:
            self._end_epoch(epoch, done)
        elif every is not None and self.progress.step % every == 0:
            self.pulse.beat(None)
            self._save(best=None)

    def _begin_epoch(self) -> None:
        epoch = self.progress.epoch
        weights = self.objective.recipe_weights(epoch, self.epochs)
        self.weights_K = torch.tensor(weights, dtype=torch.float32, device=self.device)
        lr = self.experiment.recipe.optimizer.lr.at(epoch, self.epochs)
        set_learning_rate(self.optimizer, lr)
        self.record.epoch(self.progress, dict(zip(self.names, weights, strict=True)), lr)

    def _end_epoch(self, epoch: int, done: bool) -> None:
        self.pulse.beat(None)
        best = None
        if done or (epoch + 1) % self.settings.evaluate_epochs == 0:
            scores = self._evaluate("validation")
            best = self._is_best(epoch, scores)
            self.record.evaluation(self.progress, epoch, "validation", scores)
        self._save(best=best)
        if not done:
            self._begin_epoch()
        self.meter.restart()

    def _is_best(self, epoch: int, scores: Scores) -> bool:
        main = self.names[0]
        name, metric = next(iter(self.tasks[main].metrics().items()))
        value, best = scores.values[main][name], self.progress.best
        self.progress.evaluated = scores.values
        if best is not None and not metric.better(value, best.value):
            return False
        self.progress.best = Best(epoch, value, scores.values)
        return True

    def _evaluate(self, split: str) -> Scores:
        reader = self.experiment.reader(split)
        order = EvaluationOrder(len(reader), self.settings.batch_size, self.ranks.rank, self.ranks.world_size)
        maker = BatchMaker(reader, order, self.experiment.inputs, self.tasks)
        batches = make_loader(maker, list(order.walk()), self.workers)
        scores = evaluate(self.module, self.tasks, self.experiment.inputs, batches, self.device, self.ranks)
        self.quarantine.add(scores.bad)
        return scores

    def _test(self) -> None:
        best = self.checkpoints.load("best")
        if best is None or "test" not in self.experiment.description.splits:
            return
        self.module.load_state_dict(best.model)
        assert self.progress.best is not None
        self.record.evaluation(self.progress, self.progress.best.epoch, "test", self._evaluate("test"))

    def _save(self, best: bool | None) -> None:
        if not all(bool(parameter.isfinite().all()) for parameter in self.module.parameters()):
            raise StoppedTogether(  # every rank holds the same weights
                f"the weights are not finite after step {self.progress.step}: lower optimizer.lr, or set "
                f"trainer.clip_norm; what was saved before is kept"
            )
        self.record.count_time(self.progress)
        if self.ranks.is_first:
            state = {**self.progress.state_dict(self.order), "balance": self.objective.state_dict()}
            self.checkpoints.save(self.module, self.optimizer.state_dict(), state, best=best)
        self.ranks.barrier()
        self.pulse.saved()

    def _resume(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        last = self.checkpoints.load("last")
        if last is None:
            return
        model.load_state_dict(last.model)
        optimizer.load_state_dict(last.optimizer)
        state: dict[str, Any] = last.state
        self.progress = Progress.from_state_dict(state, self.order)
        self.objective.load_state_dict(state["balance"])
