"""What a recipe's balancer takes from a step, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

from descant.balance import Balancer, GradientBalancer, LossBalancer, Static
from descant.balance.base import Level
from descant.recipe import BalanceSettings


@dataclass(frozen=True)
class BalanceWay:
    """A balancer as a recipe sets it.

    Attributes:
        balancer: which decides.
        settings: of the recipe.
    """

    balancer: Balancer
    settings: BalanceSettings

    @property
    def is_static(self) -> bool:
        """Whether no step changes anything: the weights are the recipe's, and losses are as they are."""
        is_plain = isinstance(self.balancer, Static) or len(self.balancer.tasks) == 1
        return is_plain and not self.normalises

    @property
    def normalises(self) -> bool:
        """Whether losses are put in proportion before anything else."""
        return self.settings.normalise is not None or self.balancer.log_losses

    @property
    def level(self) -> Level | None:
        """Where the balancer looks at the tasks' gradients; None where it does not."""
        levels = self.balancer.levels
        return (self.settings.level or levels[0]) if levels and len(self.balancer.tasks) > 1 else None

    @property
    def reads_gradients(self) -> bool:
        """Whether the balancer looks at the tasks' gradients."""
        return self.level is not None

    @property
    def weighs_gradients(self) -> bool:
        """Whether the balancer gives what multiplies the tasks' gradients, having looked at them."""
        return self.reads_gradients and not self.makes_directions

    @property
    def reads_losses(self) -> bool:
        """Whether the balancer looks at the tasks' losses."""
        return not isinstance(self.balancer, LossBalancer) or self.balancer.reads_losses

    @property
    def makes_masks(self) -> bool:
        """Whether the balancer decides for each unit of the features."""
        return isinstance(self.balancer, GradientBalancer) and self.level == "representation"

    @property
    def makes_directions(self) -> bool:
        """Whether the balancer gives the gradient of the shared parameters itself."""
        return isinstance(self.balancer, GradientBalancer) and self.level == "parameter"
