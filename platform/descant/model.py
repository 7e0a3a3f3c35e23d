"""The network of a recipe: shared trunk, and a head per task.

Shapes: B samples.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from descant.sharing.base import Sharing


class MultiTaskModel(nn.Module):
    """Inputs → each task's feature (sharing) → gradient gate → each task's output (head).

    Args:
        sharing: gives each task its feature.
        heads: per task, main first.
        gradients: per task, the factor on the gradient that its head sends into the trunk: 1 passes, 0 blocks.
    """

    def __init__(self, sharing: Sharing, heads: Mapping[str, nn.Module], gradients: Mapping[str, float]) -> None:
        super().__init__()
        self.sharing = sharing
        self.heads = nn.ModuleDict(heads)
        self.gradients = dict(gradients)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each task's output, batch first."""
        features = self.sharing(inputs)
        return {name: head(gate(features[name], self.gradients[name])) for name, head in self.heads.items()}


def gate(feature: Tensor, factor: float) -> Tensor:
    """Return the feature unchanged, with its gradient multiplied by ``factor`` on the way back."""
    if factor == 1.0:
        return feature
    if factor == 0.0:
        return feature.detach()
    return feature.detach() + factor * (feature - feature.detach())
