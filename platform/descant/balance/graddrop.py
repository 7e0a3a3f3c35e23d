"""Gradient sign dropout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from jaxtyping import Float

from descant.balance.base import Direction, GradientBalancer, Level, Signals, balancers
from descant.balance.options import number_within
from descant.lazy import torch


@balancers.register("graddrop")
class GradDrop(GradientBalancer):
    """Entry by entry only gradients of one sign, + with the chance ½(1 + Σg/Σ|g|): GradDrop (Chen et al. 2020).

    At features the sign is that of g times the sign of what a unit gives, summed over the batch, and one draw holds for
    all rows of a unit. At parameters each entry is drawn for.

    Args:
        tasks: names.
        leak: the share of each gradient that goes on whatever is drawn; 1 is the plain sum.

    Raises:
        UserError: leak is not between 0 and 1.
    """

    levels: ClassVar[tuple[Level, ...]] = ("representation", "parameter")
    needs = "the gradients' signs"
    cost = "little; at the level of parameters a backward pass for each task, and its gradients in memory"

    def __init__(self, tasks: Sequence[str], leak: float = 0.0) -> None:
        super().__init__(tasks)
        self.leak = number_within("graddrop", "leak", leak, 0.0, 1.0)

    def direction(self, signals: Signals, gradients: Mapping[str, Float[torch.Tensor, "P ..."]]) -> Direction:
        """Return Σ m_i ∘ g_i."""
        masks, weights_P = self.masks(signals, [gradients[name] for name in sorted(gradients)])
        made = {name: (mask * gradients[name]).sum(0) for name, mask in zip(sorted(gradients), masks, strict=True)}
        return Direction(made, weights_P)

    def masks(
        self, signals: Signals, sums: Sequence[Float[torch.Tensor, "P ..."]]
    ) -> tuple[list[Float[torch.Tensor, "P ..."]], Float[torch.Tensor, P]]:
        """Return m, and the mean of each task's m."""
        masks = [self._mask(signals, each) for each in sums]
        entries = sum(mask[0].numel() for mask in masks)
        left_P = torch.stack([mask.flatten(1).sum(1).double().cpu() for mask in masks]).sum(0)
        return masks, left_P / entries

    def _mask(self, signals: Signals, sums: Float[torch.Tensor, "P ..."]) -> Float[torch.Tensor, "P ..."]:
        lengths = sums.abs().sum(0)
        purity = 0.5 * (1 + sums.sum(0) / torch.where(lengths > 0, lengths, 1.0))
        drawn = torch.rand(sums.shape[1:], generator=signals.generator, dtype=torch.float64).to(sums)
        goes_on = torch.where(drawn < purity, sums > 0, sums < 0)
        return self.leak + (1 - self.leak) * goes_on.to(sums)
