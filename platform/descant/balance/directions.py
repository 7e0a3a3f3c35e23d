"""What the methods that decide from the Gramian share: tasks without a gradient left out, lengths apart from angles.

Shapes: K tasks of the recipe, P of them taught by the step, A of those with a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxtyping import Float, Int

from descant.balance.base import GramianBalancer, Signals
from descant.balance.memory import LARGEST
from descant.lazy import torch

if TYPE_CHECKING:
    from torch import Generator

_LEAST = 2.3e-308  # float64 holds smaller squares with fewer bits


@dataclass(frozen=True)
class Gradients:
    """The gradients of the tasks that have one.

    Attributes:
        places_A: the tasks' places among the recipe's, increasing.
        lengths_A: ‖g_i‖.
        cosines_AA: of the angles between them; 1 on the diagonal.
        losses_A: each task's mean loss.
        main: the main task's place among the A, None where it is not there.
        generator: of random numbers.
    """

    places_A: Int[torch.Tensor, A]
    lengths_A: Float[torch.Tensor, A]
    cosines_AA: Float[torch.Tensor, "A A"]
    losses_A: Float[torch.Tensor, A]
    main: int | None
    generator: Generator


class DirectionBalancer(GramianBalancer):
    """Decides from the gradients' lengths and angles.

    A task whose gradient is zero is left out, as if the step did not teach it; as its weight is without effect, it
    gets the others' mean. A recipe of one task is trained as it is, with weight 1; so is every task where none has a
    gradient or where a method that serves the main task finds that one without.
    """

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the weight of each task that the step teaches, float64."""
        gradients = _gradients(signals)
        ones_P = torch.ones_like(signals.losses_P)
        if len(self.tasks) == 1 or not len(gradients.places_A) or (self.main_first and gradients.main is None):
            return ones_P
        weights_A = self.decide(gradients)
        weights_A = weights_A / max(float(weights_A.abs().max()) / LARGEST, 1.0)
        if len(weights_A) == len(ones_P):
            return weights_A
        weights_P = ones_P * weights_A.mean()
        weights_P[torch.isin(signals.places_P, gradients.places_A)] = weights_A
        return weights_P

    def decide(self, gradients: Gradients) -> Float[torch.Tensor, A]:
        """Return the weight of each task that has a gradient, float64."""
        raise NotImplementedError


def _gradients(signals: Signals) -> Gradients:
    """Return the gradients that are not zero."""
    squares_P = signals.gramian.diagonal()
    there_A = (squares_P > _LEAST).nonzero()[:, 0]
    places = there_A.tolist()
    lengths_A = squares_P[there_A].sqrt()
    cosines_AA = (signals.gramian[there_A][:, there_A] / lengths_A / lengths_A[:, None]).clamp_(-1, 1)
    cosines_AA.fill_diagonal_(1)
    assert cosines_AA.isfinite().all(), "the Gramian has entries that are no numbers"
    return Gradients(
        places_A=signals.places_P[there_A],
        lengths_A=lengths_A,
        cosines_AA=(cosines_AA + cosines_AA.T) / 2,
        losses_A=signals.losses_P[there_A],
        main=places.index(signals.main) if signals.main in places else None,
        generator=signals.generator,
    )
