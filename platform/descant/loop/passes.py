"""The way of a micro-batch: inputs → features → outputs → losses → weights → gradients.

Shapes: B rows of this rank, K tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from descant.cut import Cut
from descant.data.batch import Batch
from descant.loop.alignment import gradient_cosines, loss_gradients
from descant.loop.attempt import Attempt, Decision, Known, Remembered
from descant.loop.balancing import Balancing
from descant.loop.batch_norm import GlobalBatchNorm
from descant.loop.experiment import Experiment
from descant.loop.finishing import finished
from descant.loop.look import GramianLook, Look, ParameterLook, UnitLook
from descant.loop.objective import Objective, TaskLosses, outputs_of
from descant.loop.ranks import Ranks
from descant.loop.shared_gradients import shared_parameters
from descant.model import MultiTaskModel
from descant.outputs import Outputs


class Passes:
    """Adds the gradients of micro-batches to the parameters.

    Args:
        module: the network.
        model: the same, or what wraps it for several ranks.
        experiment: inputs.
        objective: tasks and weights.
        balancing: what multiplies these weights.
        ranks: who step along.
        accelerator: which sends losses back.
        norms: of the network, which are told what rows count.

    Attributes:
        model: what forward passes go by.
    """

    def __init__(
        self,
        module: MultiTaskModel,
        model: nn.Module,
        experiment: Experiment,
        objective: Objective,
        balancing: Balancing,
        ranks: Ranks,
        accelerator: Accelerator,
        norms: Sequence[GlobalBatchNorm],
    ) -> None:
        self.module, self.model, self.inputs = module, model, experiment.inputs
        self.objective, self.balancing, self.ranks = objective, balancing, ranks
        self.accelerator, self.norms = accelerator, norms

    def take(self, attempt: Attempt, batch: Batch, last: bool) -> None:
        """Add the gradients of a micro-batch, the last one of its step or not."""
        batch, outputs, losses = self._forward(attempt, batch)
        attempt.micro_batches.append(Remembered(batch.keys, losses))  # now: the backward pass is then not waited for
        means_K = self._means(attempt, losses)
        taught, coupling = self.places(attempt.taught), self._coupling(batch.valid, attempt, last)
        known = attempt.known
        scales_K = self.balancing.scales(means_K.detach(), taught) if known is None else known.scales_K
        weights_K = attempt.weights_K if scales_K is None else attempt.weights_K * scales_K
        if outputs.cut is None:
            decision = known.decision if known else None
            if decision is None:
                decision = Decision(self.balancing.weights(means_K.detach(), taught, attempt.step))
            weights_K = weights_K * decision.weights_K
            self._compare(attempt, lambda task, shared: loss_gradients(means_K[self.places([task])[0]], shared))
            total = (weights_K * means_K).sum()
            self._backward(total if coupling is None else total + coupling)
        else:
            self._backward_in_two(attempt, outputs.cut, means_K, weights_K, coupling, last)

    def measure(self, attempt: Attempt, batches: Sequence[Batch]) -> Known:
        """Have the balancer decide from all micro-batches of a step before the first of them is learnt from.

        Gradients of heads are left behind; running statistics and random states are as before.
        """
        balancing, taught = self.balancing, self.places(attempt.taught)
        reads_gradients = balancing.way.weighs_gradients and balancing.decides(attempt.step, taught)
        look = self._look(attempt, reads_gradients, keep=True)
        devices = [self.accelerator.device] if self.accelerator.device.type == "cuda" else []
        with self.bare(), torch.random.fork_rng(devices), torch.set_grad_enabled(reads_gradients):
            for batch in batches:
                _, outputs, losses = self._forward(attempt, batch)
                means_K = self._means(attempt, losses)
                if outputs.cut is not None:
                    outputs.cut.expect_gradients()
                    torch.autograd.backward((attempt.weights_K * means_K).sum())
                look.add(means_K, outputs.cut)
        scales_K = balancing.scales(look.means_K, taught)
        if balancing.way.makes_directions:
            return Known(scales_K, None)
        factors_K = torch.ones_like(look.means_K) if scales_K is None else scales_K
        return Known(scales_K, self._decided(attempt, look, factors_K))

    def own_means(self, attempt: Attempt, batch: Batch) -> Tensor:
        """Return this rank's shares of the tasks' mean losses over a micro-batch, (K,), with their graph."""
        return self._means(attempt, self._forward(attempt, batch)[2])

    @torch.no_grad()
    def means(self, attempt: Attempt, batches: Sequence[Batch]) -> Tensor:
        """Return this rank's shares of the tasks' mean losses over a step's batches, as the model is now, (K,)."""
        with self.bare():
            return torch.stack([self.own_means(attempt, batch) for batch in batches]).sum(0)

    @contextmanager
    def bare(self, *, tracking: bool = False) -> Iterator[None]:
        """Have passes go by the bare model, of any tasks, which sums nothing over the ranks.

        Running statistics stay as they are, as they see the batch at another pass, unless they are ``tracking``.
        """
        wrapped, self.model = self.model, self.module
        try:
            with nullcontext() if tracking else self.module.not_tracking():
                yield
        finally:
            self.model = wrapped

    def _forward(self, attempt: Attempt, batch: Batch) -> tuple[Batch, Outputs, TaskLosses]:
        """Return the batch on the device, and the outputs and losses of the attempt's tasks."""
        every_row_counts = bool(batch.valid.all())  # asked before the device has the batch: nothing waits for it
        batch = batch.to(self.accelerator.device)
        inputs = finished(self.inputs, batch)
        for norm in self.norms:
            norm.valid_B = None if every_row_counts else batch.valid
        tasks = {name: self.objective.tasks[name] for name in attempt.tasks}
        cut = self.balancing.way.reads_gradients and torch.is_grad_enabled()
        fuse = not (cut and self.balancing.way.makes_masks)
        outputs = outputs_of(self.model, tasks, batch, inputs, self.ranks, cut=cut, fuse=fuse)
        return batch, outputs, self.objective.losses(outputs, batch, inputs)

    def _means(self, attempt: Attempt, losses: TaskLosses) -> Tensor:
        """Return this rank's shares of the tasks' means over the labels of the global batch, (K,)."""
        return losses.sums_K / losses.sums_K.new_tensor([max(count, 1) for count in attempt.counts.values()])

    @property
    def _spread(self) -> int:
        """What undoes DDP's average of gradients over the ranks: the counts are global already."""
        return self.ranks.world_size if self.model is not self.module else 1

    def _backward(self, loss: Tensor) -> None:
        """Add the gradients of this rank's share of a loss."""
        self.accelerator.backward(loss * self._spread)

    def _backward_in_two(
        self, attempt: Attempt, cut: Cut, means_K: Tensor, weights_K: Tensor, coupling: Tensor | None, last: bool
    ) -> None:
        """Add the gradients of the heads, have the balancer look at those of the features, and go on from there."""
        cut.expect_gradients()
        self._backward((weights_K * means_K).sum())
        self._compare(attempt, cut.gradients)
        also = None if coupling is None else coupling * self._spread
        if self.balancing.way.makes_directions:
            self._make_direction(attempt, cut, means_K, last)
            if also is not None:
                torch.autograd.backward(also)
            return
        decision = attempt.known.decision if attempt.known else None
        if decision is None:
            reaching = self.places([name for name in attempt.taught if name in cut.tasks])
            look = self._look(attempt, self.balancing.decides(attempt.step, reaching), keep=False)
            look.add(means_K, cut)
            decision = self._decided(attempt, look, torch.full_like(look.means_K, 1 / self._spread))
        cut.backward(dict(zip(self.objective.tasks, decision.weights_K.tolist(), strict=True)), also, decision.masks)

    def _look(self, attempt: Attempt, reads_gradients: bool, *, keep: bool) -> Look:
        """Return what gathers what the balancer reads at this step."""
        tasks = list(self.objective.tasks)
        if not reads_gradients:
            return Look(tasks, attempt.taught)
        if self.balancing.way.level == "parameter":
            return ParameterLook(tasks, attempt.taught, self._shared(), self.ranks, keep=keep)
        return (UnitLook if self.balancing.way.makes_masks else GramianLook)(tasks, attempt.taught)

    def _decided(self, attempt: Attempt, look: Look, factors_K: Tensor) -> Decision:
        """Have the balancer decide.

        Args:
            attempt: of the step.
            look: what was gathered.
            factors_K: what the gathered gradients are to be multiplied by.
        """
        told = look.means_K, self.places(look.reaching), attempt.step
        if isinstance(look, UnitLook):
            sums = [rows * factors_K.to(rows).reshape(-1, *[1] * (rows.ndim - 1)) for rows in look.sums]
            return Decision(torch.ones_like(factors_K), self.balancing.masks(*told, sums))
        gramian_KK = None
        if isinstance(look, (GramianLook, ParameterLook)):
            gramian_KK = look.gramian()
            gramian_KK = gramian_KK * torch.outer(factors_K, factors_K).to(gramian_KK)
        return Decision(self.balancing.weights(*told, gramian_KK))

    def _make_direction(self, attempt: Attempt, cut: Cut, means_K: Tensor, last: bool) -> None:
        """Gather the gradients of a micro-batch; at the last one, have the balancer make one of them."""
        look = attempt.look or self._look(attempt, True, keep=True)
        look.add(means_K, cut)
        attempt.look = look
        if last and isinstance(look, ParameterLook):
            reaching = self.places(look.reaching)
            attempt.direction = self.balancing.direction(look.means_K, reaching, attempt.step, look.shared)

    def _shared(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters that the balancer looks at, by name."""
        layers = self.balancing.settings.layers
        return {
            name: parameter
            for name, parameter in shared_parameters(self.module.sharing, layers).items()
            if parameter.requires_grad
        }

    def follow(self, direction: Mapping[str, Tensor]) -> None:
        """Add gradients over all ranks to those of shared parameters, by name."""
        parameters = dict(self.module.sharing.named_parameters())
        for name, gradient in direction.items():
            parameter, before = parameters[name], parameters[name].grad
            parameter.grad = gradient.to(parameter) if before is None else before + gradient.to(parameter)

    def places(self, tasks: Sequence[str]) -> list[int]:
        """Return the places of tasks in all vectors over tasks."""
        return [place for place, name in enumerate(self.objective.tasks) if name in tasks]

    def _compare(self, attempt: Attempt, gradients: Callable[[str, Sequence[Tensor]], Sequence[Tensor | None]]) -> None:
        """Compare the tasks that are asked for; ``gradients`` gives those of a task, of shared parameters."""
        if attempt.compare and not attempt.cosines:
            main, shared = attempt.tasks[0], [p for p in self.module.sharing.parameters() if p.requires_grad]
            attempt.cosines = gradient_cosines(lambda task: gradients(task, shared), main, attempt.compare, self.ranks)

    def _coupling(self, valid_B: Tensor, attempt: Attempt, last: bool) -> Tensor | None:
        """Return this rank's part of what soft sharing adds to the loss: of the weights once a step, of rows each."""
        coupling = self.module.sharing.coupling(attempt.tasks)
        parts = []
        if coupling.rows_B is not None:
            parts.append(torch.where(valid_B, coupling.rows_B, 0.0).sum() / max(attempt.rows, 1))
        if coupling.weights is not None and last:
            parts.append(coupling.weights / self.ranks.world_size)
        if not parts:
            return None
        total = torch.stack(parts).sum()
        attempt.couplings.append(total.detach())
        return total
