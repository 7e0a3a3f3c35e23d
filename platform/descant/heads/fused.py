"""Linear heads of several tasks on one feature as one matrix product, with the numbers of separate ones.

Shapes: B samples, K tasks, O outputs of each, F features.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from descant.heads.mlp import LinearHead


class FusedHeads(nn.Module):
    """The heads of K tasks that read one feature and make outputs of one shape.

    Args:
        heads: by task, linear and without dropout; their weights are where these start.
    """

    def __init__(self, heads: Mapping[str, LinearHead]) -> None:
        super().__init__()
        self.tasks = list(heads)
        layers = [[*head] for head in heads.values()]
        self._place = next(place for place, layer in enumerate(layers[0]) if isinstance(layer, nn.Linear))
        linear = [head[self._place] for head in layers]
        assert all(isinstance(layer, nn.Linear) for layer in linear), "the heads are of one kind"
        self.before, self.after = nn.Sequential(*layers[0][: self._place]), nn.Sequential(*layers[0][self._place + 1 :])
        self.weight_KOF = nn.Parameter(torch.stack([layer.weight.detach() for layer in linear]))
        self.bias_KO = nn.Parameter(torch.stack([layer.bias.detach() for layer in linear]))

    def forward(self, feature: Tensor, tasks: Sequence[str]) -> Tensor:
        """Return the outputs of some of the tasks, (B, tasks, *shape)."""
        outputs = nn.functional.linear(self.before(feature), *self.rows(tasks))
        if not self.after:
            return outputs.reshape(outputs.shape[0], len(tasks), -1)
        stacked: Tensor = self.after(outputs.reshape(outputs.shape[0] * len(tasks), -1))
        return stacked.reshape(outputs.shape[0], len(tasks), *stacked.shape[1:])

    def rows(self, tasks: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return weights and biases of some of the tasks below each other, (K·O, F) and (K·O,)."""
        weight_KOF: Tensor = self.weight_KOF
        bias_KO: Tensor = self.bias_KO
        if list(tasks) != self.tasks:
            places = [self.tasks.index(task) for task in tasks]
            weight_KOF, bias_KO = weight_KOF[places], bias_KO[places]
        return weight_KOF.flatten(0, 1), bias_KO.flatten()

    def places(self, feature: Sequence[int]) -> int:
        """Return over how many places or frames of a feature of this shape, batch first, the heads average."""
        return {2: 1, 3: feature[1]}.get(len(feature)) or math.prod(feature[2:])

    def lifted(self, gradient_BF: Tensor, feature: Sequence[int]) -> Tensor:
        """Return what a gradient at the average is at a feature of this shape."""
        spread = {2: gradient_BF, 3: gradient_BF[:, None]}.get(len(feature), gradient_BF[:, :, None, None])
        return (spread / self.places(feature)).expand(*feature)

    def state_of(self, task: str) -> dict[str, Tensor]:
        """Return a task's weights, under the names that a head of its own would give them."""
        row = self.tasks.index(task)
        return {f"{self._place}.weight": self.weight_KOF[row], f"{self._place}.bias": self.bias_KO[row]}

    @torch.no_grad()
    def load_state_of(self, task: str, state: Mapping[str, Tensor]) -> None:
        """Take back what ``state_of`` gave."""
        for name, value in self.state_of(task).items():
            value.copy_(state[name])
