"""The balance contract: how the tasks of a step are weighed against each other, beyond the recipe's own weights.

The engine multiplies each task's loss by the recipe's weight and by its normalisation; the balancer's weights come on
top. A balancer never sees a task that a step does not teach (no label in the global batch, a loss that is not finite, a
task that has stopped): it decides as if there were no such task.

Shapes: K tasks of the recipe, P of them taught by the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jaxtyping import Float, Int

from descant.lazy import torch
from descant.registry import Registry

if TYPE_CHECKING:
    from torch import Generator


Level = Literal["representation", "parameter"]
"""Where the tasks' gradients are looked at: at the features that heads read, or at the shared parameters."""


@dataclass(frozen=True)
class Signals:
    """What a balancer decides from at one step: the same on every rank to the last bit, without gradient, on the CPU.

    Attributes:
        places_P: of the tasks that the step teaches, their places among the recipe's, increasing.
        losses_P: each one's mean over the labels of the global batch, float64; as normalised, without weights.
        main: the main task's place among the P, None where the step does not teach it.
        step: from 0.
        epoch: from 0.
        epochs: of the whole run.
        generator: of random numbers, a function of seed and step alone.
        gramian_PP: inner products of the tasks' gradients, float64; of the losses times the recipe's weights. None for
            balancers that do not read it.
    """

    places_P: Int[torch.Tensor, P]
    losses_P: Float[torch.Tensor, P]
    main: int | None
    step: int
    epoch: int
    epochs: int
    generator: Generator
    gramian_PP: Float[torch.Tensor, "P P"] | None = None

    @property
    def gramian(self) -> Float[torch.Tensor, "P P"]:
        """The Gramian, for balancers that read it."""
        assert self.gramian_PP is not None, "this balancer did not ask for the Gramian"
        return self.gramian_PP


class Balancer:
    """What is common to all ways of balancing. A subclass's constructor takes ``tasks`` and the recipe's options.

    Args:
        tasks: the tasks' names, in the order of all K vectors, main first.

    Raises:
        UserError: an option out of its range.
    """

    needs: ClassVar[str]
    """What the decision takes, for ``descant balancers``."""
    cost: ClassVar[str]
    """What a step costs beside a plain one, for ``descant balancers``."""
    main_first: ClassVar[bool] = False
    """Whether it serves the main task: a step that does not teach that task is balanced by equal weights."""
    reads_after: ClassVar[bool] = False
    """Whether ``after_step`` wants the losses of the same batch after the optimizer's step: one more forward pass."""

    looks_ahead: ClassVar[bool] = False
    """Whether ``after_look`` wants what a step that is tried does to the main task's loss on held-out samples."""
    needs_scores: ClassVar[bool] = False
    """Whether each task's first metric has to be from 0 to 1, and better when greater."""
    positive: ClassVar[bool] = False
    """Whether losses have to be above 0, as logarithms of losses are not."""
    levels: ClassVar[tuple[Level, ...]] = ()
    """Where it can look at gradients; the first is what a recipe gets that does not say."""
    log_losses: ClassVar[bool] = False
    """Whether the method is of the losses' logarithms: ``balance.normalise`` is ``log`` then."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = tuple(tasks)

    def after_step(self, before: Signals, losses_P: Float[torch.Tensor, P]) -> None:
        """Learn what the step did to the losses of its own batch; only where ``reads_after`` is set."""

    def after_look(self, signals: Signals, slopes_P: Float[torch.Tensor, P]) -> None:
        """Learn how the main task's held-out loss changes with each task's weight; only where ``looks_ahead`` is set.

        Args:
            signals: of the step, at which the balancer has decided.
            slopes_P: ∂ℓ/∂w, of the weights it gave; 0 for tasks that the tried step did not learn.
        """

    def after_evaluation(self, epoch: int, metrics: dict[str, float]) -> None:
        """Learn each task's first metric on the validation split, by name.

        Greater is better: a metric that is better when less comes negated. Tasks that were not scored are absent.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return all that is carried from step to step: plain values and tensors, in dicts and lists."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""


class LossBalancer(Balancer):
    """Decides the weights from the losses alone, so that a step costs one backward pass.

    A method whose objective L is not a weighted sum gives its gradient ∂L/∂ℓ_i as the weight of task i. The weights
    multiply the losses, of which the tasks' own parameters (heads) learn as well.
    """

    needs = "the losses"
    cost = "nothing"
    reads_losses: ClassVar[bool] = True
    """Whether ``weights`` looks at the losses; if not, no step waits for those of other ranks."""

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the weight of each task that the step teaches, float64; called once a step, in the order of steps."""
        raise NotImplementedError


class GramianBalancer(Balancer):
    """Decides the weights from the inner products of the tasks' gradients.

    The weights multiply the gradients that tasks send into what they share. The tasks' own parameters (heads) learn of
    their own losses, unweighted.
    """

    levels = ("representation", "parameter")
    needs_angles: ClassVar[bool] = False
    """Whether it goes by the angles to the main task's gradient alone, not by lengths too."""
    needs = "the gradients' Gramian"
    cost = "little (of parameters, a pass for each task)"

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the weight of each task that the step teaches, float64; called once a step, in the order of steps."""
        raise NotImplementedError


@dataclass(frozen=True)
class Direction:
    """What a step adds to the gradients of what is shared.

    Attributes:
        gradients: as they were given, but of all tasks together.
        weights_P: how much of each task's is in it, for the log.
    """

    gradients: Mapping[str, Float[torch.Tensor, ...]]
    weights_P: Float[torch.Tensor, P]


class GradientBalancer(Balancer):
    """Makes the direction of a step from the tasks' gradients themselves.

    The tasks' own parameters (heads) learn of their own losses, unweighted. The gradients of all tasks are in memory at
    once, and what is carried from step to step must never be changed in place: ``state_dict`` may give it as it is.
    """

    levels: ClassVar[tuple[Level, ...]] = ("parameter",)
    needs = "the gradients"
    cost = "a backward pass for each task, and its gradients in memory"

    def direction(self, signals: Signals, gradients: Mapping[str, Float[torch.Tensor, "P ..."]]) -> Direction:
        """Return what a step follows; called once a step, in the order of steps.

        Args:
            signals: with the Gramian.
            gradients: by the name of a shared parameter, of each task that the step teaches, over the global batch.
        """
        raise NotImplementedError

    def masks(
        self, signals: Signals, sums: Sequence[Float[torch.Tensor, "P ..."]]
    ) -> tuple[Sequence[Float[torch.Tensor, "P ..."]], Float[torch.Tensor, P]]:
        """Return what multiplies each task's gradient at each unit of a feature, and how much of each is left.

        Only of methods that have the level ``representation``.

        Args:
            signals: without a Gramian.
            sums: of each feature's gradients times the sign of what the unit gives, over the rows of the global batch.
        """
        raise NotImplementedError


balancers: Registry[Balancer] = Registry("balancer", "balancers")
