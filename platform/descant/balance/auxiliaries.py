"""What controllers of auxiliaries share: which these are, and the reward for what a step did to the main task.

Shapes: P tasks that a step teaches, N of them auxiliaries.
"""

from __future__ import annotations

from jaxtyping import Float, Int

from descant.balance.base import Signals
from descant.balance.memory import log_losses
from descant.lazy import torch


def auxiliaries(signals: Signals) -> Int[torch.Tensor, N]:
    """Return which of the P tasks of a step are not the main one."""
    numbers_P = torch.arange(len(signals.places_P))
    return numbers_P[numbers_P != (-1 if signals.main is None else signals.main)]


def main_progress(before: Signals, losses_P: Float[torch.Tensor, P]) -> float | None:
    """Return how much a step lowered log ℓ of the main task; None where that is not known."""
    if before.main is None or not bool(losses_P[before.main].isfinite()):
        return None
    logs_P = log_losses(before.losses_P) - log_losses(losses_P.double())
    return float(logs_P[before.main])
