"""Random loss weighting: what any other method should beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jaxtyping import Float

from descant.balance.base import LossBalancer, Signals, balancers
from descant.lazy import torch

Distribution = Literal["normal", "uniform", "dirichlet", "bernoulli", "constrained_bernoulli"]


@balancers.register("rlw")
class Rlw(LossBalancer):
    """softmax(N(0, I)), drawn anew at each step: random loss weighting (Lin et al. 2022).

    Args:
        tasks: names.
        distribution: of the weights, which always sum to 1: softmax of standard normal or of uniform numbers, flat
            Dirichlet, equal weights of tasks drawn by coin (at least one), or all the weight on one task.
    """

    needs = "nothing"
    reads_losses = False

    def __init__(self, tasks: Sequence[str], distribution: Distribution = "normal") -> None:
        super().__init__(tasks)
        self._distribution = distribution

    def weights(self, signals: Signals) -> Float[torch.Tensor, P]:
        """Return the step's draw."""
        blank_P, generator = torch.empty_like(signals.losses_P), signals.generator
        if self._distribution == "normal":
            return torch.softmax(blank_P.normal_(generator=generator), 0)
        if self._distribution == "uniform":
            return torch.softmax(blank_P.uniform_(generator=generator), 0)
        if self._distribution == "dirichlet":
            drawn_P = blank_P.exponential_(generator=generator)
        elif self._distribution == "bernoulli":
            drawn_P = blank_P.bernoulli_(generator=generator)
            while not bool(drawn_P.any()):
                drawn_P = blank_P.bernoulli_(generator=generator)
        else:
            drawn_P = torch.zeros_like(blank_P)
            drawn_P[torch.randint(len(drawn_P), (), generator=generator)] = 1.0
        return drawn_P / drawn_P.sum()
