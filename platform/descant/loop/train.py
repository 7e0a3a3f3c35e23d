"""The training loop. The order of operations in one step, on every rank:

1. take this rank's slice of the global batch from the loader
2. pulse: sum the label counts, and the requests to stop or save, over the ranks
3. seed the step's randomness (dropout) from (seed, step, rank)
4. with several micro-batches, if the balancer has to know the whole step: all of them once without learning
5. for each micro-batch: inputs → features → outputs → per-sample losses, masked; each task's sum is divided by its
   label count in the global batch, weighted, and sent back: at once, or if the balancer reads gradients to the
   features, and from there when it has decided (passes.py)
6. where a task's loss or gradient was not finite: all that the balancer learnt is taken back, and the batch taken again
   without the task (step.py); a task that does so too often is suspended (finite.py)
7. what serves only tasks without a label in the global batch loses its gradient; clip; optimizer step
8. if the balancer asks what the step did: the batch's losses once more
9. count the step; log, evaluate, keep the best, stop tasks by their rules, write a checkpoint where that is due
   (cadence.py, stopping.py)

A task's loss is multiplied by the recipe's weight in this epoch and by its normalisation; the balancer's weight is of
the whole loss, or of the gradient that goes into what is shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from descant.data.batch import Batch
from descant.data.order import step_seed
from descant.errors import Interrupted, StoppedTogether
from descant.loop.alignment import PROBE_STEPS
from descant.loop.balancing import Balancing
from descant.loop.batches import BatchMaker
from descant.loop.cadence import Cadence, Due
from descant.loop.checkpoints import Checkpoints
from descant.loop.courses import part_name
from descant.loop.device import loader_workers, share_cores
from descant.loop.evaluate import Scores, evaluate_split
from descant.loop.experiment import Experiment
from descant.loop.finite import Patience
from descant.loop.loader import load_batches
from descant.loop.meter import Meter
from descant.loop.objective import Objective
from descant.loop.optimizer import set_learning_rate
from descant.loop.progress import Progress
from descant.loop.pulse import Pulse
from descant.loop.quarantine import Quarantine
from descant.loop.ranks import Ranks
from descant.loop.record import Record
from descant.loop.step import Stepper
from descant.loop.stopping import Stopping
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
        self.experiment, self.ranks, self.settings = experiment, ranks, experiment.recipe.trainer
        self.reader = experiment.reader("train")
        self.order = experiment.order(self.reader, ranks)
        self.cadence = Cadence(self.settings, self.order)
        self.checkpoints = Checkpoints(folder.checkpoints)
        shards, sizes, limit = self.reader.shards, self.reader.sizes, self.settings.quarantine_limit
        self.quarantine = Quarantine(folder.quarantine, shards, sizes, limit, ranks)
        self.pulse = Pulse(ranks, list(experiment.tasks), should_stop, self.settings.checkpoint_s)
        self.stopping = Stopping(experiment, ranks)
        parts = {task: [part_name(task, part) for part in parts] for task, parts in self.stopping.parts.items()}
        self.meter = Meter(list(experiment.tasks), ranks, parts)
        self.workers = loader_workers(self.settings, ranks)
        share_cores(self.workers, ranks)
        self.objective, recipe = Objective(experiment.tasks, experiment.schedules), experiment.recipe
        main = list(experiment.tasks).index(recipe.main)
        self.balancing = Balancing(experiment.build_balancer(), recipe.balance, main, recipe.seed, ranks)
        self.stepper = Stepper(experiment.build_model(), experiment, self.objective, self.balancing, ranks, self.meter)
        self.patience = Patience(list(experiment.tasks), recipe.main, self.settings, ranks.is_first)
        self.device = self.stepper.device
        self.progress = self._resumed()

    def run(self, record: Record) -> None:
        """Train to the end, then evaluate the best checkpoint on the test split.

        Raises:
            Interrupted: the user asked to stop; the checkpoint is written.
            RunError: a loss was not finite, or too many samples are bad; the last checkpoint is a good one.
        """
        self.record = record
        record.start(self.progress, self.cadence.steps, self.order, self.stopping)
        self.quarantine.enforce()
        if not self._is_done():
            self._begin_epoch()
        self.meter.start_clock()
        for batch, wait_s in self._batches():
            beat = self.pulse.beat(batch, self.quarantine.add(batch.bad))
            self.quarantine.check(beat.bad)
            if beat.stop or beat.save:
                self._save(best=None)
            if beat.stop:
                raise Interrupted
            due, epoch = self.cadence.after(self.progress), self.progress.epoch
            seed = step_seed(self.order.seed, self.progress.step, self.ranks.rank)
            compared = self.stopping.aligned if self.progress.step % PROBE_STEPS == 0 else ()
            taken = self.stepper.take(self.progress.step, seed, batch, beat, self.weights_K, compared)
            for name in self.patience.add(taken.broken, taken.taught):
                self.stopping.suspend(name, epoch)
                self.record.suspended(name, self.stopping)
                self.stepper.train_only(self.stopping.active)
            self.stopping.add_alignments(taken.cosines)
            gradient_norm = self.stepper.update(any(taken.counts_K), measure=due.log)
            self.stepper.look_again(self.progress.step, seed, batch, taken)
            self.meter.add_step(taken.counts_K, self.progress.advance(self.order), wait_s)
            self._after_step(epoch, due, gradient_norm)
        self._test()

    @property
    def _stateful(self) -> dict[str, Any]:
        """What carries something from step to step, beside the model and the progress."""
        decides = {"balance": self.balancing, "stopping": self.stopping, "patience": self.patience}
        return {"optimizer": self.stepper.optimizer, "meter": self.meter, **decides}

    def _is_done(self) -> bool:
        return self.progress.step >= self.cadence.steps or self.stopping.ended

    def _batches(self) -> Iterator[tuple[Batch, float]]:
        """Yield what is left of the run, and how long each batch was waited for."""
        while not self._is_done():
            tasks = self.stopping.active
            for batch, wait_s in self._batches_for(tasks):
                yield batch, wait_s
                if self.stopping.active != tasks:  # labels of a task that has stopped are decoded no more
                    break

    def _batches_for(self, tasks: Sequence[str]) -> Iterator[tuple[Batch, float]]:
        experiment = self.experiment.only(tasks)
        maker = BatchMaker(self.reader, self.order, experiment.inputs, experiment.tasks, experiment.mixup)
        places = self.order.walk(self.progress.epoch, self.progress.batch, self.cadence.steps - self.progress.step)
        loader = load_batches(maker, places, self.workers, pin_memory=self.device.type == "cuda")
        while True:
            asked_s = time.perf_counter()
            batch = next(loader, None)
            if batch is None:
                return
            yield batch, time.perf_counter() - asked_s

    def _after_step(self, epoch: int, due: Due, gradient_norm: Tensor | None) -> None:
        if due.log:
            reading = self.meter.read()
            self.stopping.add_losses({**reading.losses, **reading.parts})
            self.record.step(self.progress, epoch, reading, gradient_norm)
            self.record.balance(self.balancing, draw=due.epoch_ends)
        if not due.save:
            return
        self._save(best=self._evaluated(epoch) if due.evaluate else None)
        if due.epoch_ends and not self._is_done():
            self._begin_epoch()
            self.meter.start_clock()

    def _evaluated(self, epoch: int) -> bool:
        """Score the epoch, ask the stop rules, train on with the tasks that go on; return whether it is the best yet.

        What is scored, judged and saved is the model with the heads that stopping has put back.
        """
        before = self.stopping.active
        scores = self._evaluate("validation", self.stopping.scored)
        weights = dict(zip(self.experiment.tasks, self.weights_K.tolist(), strict=True))
        decisions = self.stopping.decide(epoch, scores, weights, self.stepper.module)
        restored = self.stopping.restored(decisions)
        if restored:
            scores = scores.replaced(self._evaluate("validation", restored))
            self.stopping.rescore(decisions, scores)
        self.balancing.after_evaluation(epoch, self.experiment.tasks, scores.values)
        best = self._is_best(epoch, scores)
        self.record.evaluation(self.progress.step, epoch, "validation", scores, best)
        self.record.decisions(decisions, self.stopping)
        self.stepper.train_parts(self.stopping.parts)
        if self.stopping.active != before and not self.stopping.ended:
            self.stepper.train_only(self.stopping.active)
        return best

    def _begin_epoch(self) -> None:
        epoch = self.progress.epoch
        weights = self.objective.recipe_weights(epoch, self.cadence.epochs)
        self.weights_K = torch.tensor(weights, dtype=torch.float32, device=self.device)
        lr = self.experiment.recipe.optimizer.lr.at(epoch, self.cadence.epochs)
        set_learning_rate(self.stepper.optimizer, lr)
        self.stepper.module.begin_epoch(epoch, self.cadence.epochs)
        self.balancing.begin_epoch(epoch, self.cadence.epochs)
        self.record.epoch(self.progress, dict(zip(self.experiment.tasks, weights, strict=True)), lr)

    def _is_best(self, epoch: int, scores: Scores) -> bool:
        main = self.experiment.tasks[self.experiment.recipe.main]
        if not scores.samples[main.name]:
            raise StoppedTogether(  # every rank has the same sums
                f"no sample of the validation split has a label of the main task {main.name!r}, which chooses the "
                f"best epoch: add labels to it"
            )
        name, metric = next(iter(main.metrics().items()))
        return self.progress.improves(epoch, metric, scores.values[main.name][name], scores.values)

    def _evaluate(self, split: str, tasks: Collection[str]) -> Scores:
        module, experiment = self.stepper.module, self.experiment.only(tasks)
        scores = evaluate_split(experiment, split, module, self.device, self.ranks, self.workers)
        self.quarantine.add(scores.bad)
        return scores

    def _test(self) -> None:
        best = self.checkpoints.load("best")
        if best is None or "test" not in self.experiment.description.splits:
            return
        self.stepper.module.load_state_dict(best.model)
        chosen = self.progress.best
        assert chosen is not None, "a best checkpoint without a best epoch"
        self.record.evaluation(chosen.step, chosen.epoch, "test", self._evaluate("test", chosen.metrics), True)

    def _save(self, best: bool | None) -> None:
        self.stepper.check_weights(self.progress.step)
        self.record.count_time(self.progress)
        state = {name: part.state_dict() for name, part in self._stateful.items()}  # every rank: some are sums
        state["progress"] = self.progress.state_dict(self.order)
        if self.ranks.is_first:
            self.checkpoints.save(self.stepper.module, state, step=self.progress.step, best=best)
        self.ranks.barrier()
        self.pulse.saved()

    def _resumed(self) -> Progress:
        """Put what the last checkpoint holds into model, optimizer and balancer, and return how far it was."""
        last = self.checkpoints.load("last")
        self.stepper.train_parts(self.stopping.parts)
        if last is None:
            return Progress()
        progress = Progress.from_state_dict(last.state["progress"], self.order)
        self.stepper.module.load_state_dict(last.model)
        for name, part in self._stateful.items():
            part.load_state_dict(last.state[name])
        self.stepper.set_options(self.experiment.recipe.optimizer.options)
        self.stepper.train_parts(self.stopping.parts)
        if self.stopping.active != list(self.experiment.tasks) and not self.stopping.ended:
            self.stepper.train_only(self.stopping.active)
        return progress
