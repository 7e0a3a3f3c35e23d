"""Low-rank adapters of each task on one shared trunk (LoRA, Hu et al. 2021).

Shapes: B samples, R the rank, N inputs of a unit, O units.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from descant.errors import UserError, nearest
from descant.sharing.base import MakeTrunk, Shapes, Sharing, sharings
from descant.sharing.own_trunks import within

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@sharings.register("adapters")
class Adapters(Sharing):
    """One trunk, whose linear and convolutional layers have for each task the weights W + scale · B A.

    B starts at zero, so each task starts with the plain trunk. Each task with adapters is a pass of its own through
    the trunk; those without share one.

    Args:
        rank: of the deltas.
        scale: their factor, α / r in the paper.
        frozen: whether the shared weights stay as they are; the trunk then runs as in evaluation.
        main: whether the main task has adapters too, or reads the plain trunk.
        layers: the modules with adapters, or modules around them; by default all linear and convolutional layers.
    """

    def __init__(
        self,
        make_trunk: MakeTrunk,
        features: Mapping[str, str],
        inputs: Shapes,
        rank: int = 4,
        scale: float = 1.0,
        frozen: bool = False,
        main: bool = True,
        layers: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if rank < 1 or not math.isfinite(scale) or scale <= 0.0:
            raise UserError(f"sharing.rank is {rank} and sharing.scale {scale}: give a rank from 1 and a scale above 0")
        self.features, self.scale, self.frozen = dict(features), scale, frozen
        self.trunk = make_trunk()
        self.shapes = self.trunk.tap(features, inputs)
        self.layers = _layers(self.trunk, layers)
        weights = list(self._plain().values())
        with_adapters = list(features)[0 if main else 1 :]
        self.deltas = nn.ModuleDict({task: Deltas(weights, rank) for task in with_adapters})
        # Other weights make other features: what normalises those of one task is not what normalises another's.
        known = with_adapters if not frozen else []
        self.statistics = nn.ModuleDict({task: Statistics(self.trunk) for task in known})
        if frozen:
            self.trunk.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Adapters:
        """Set the mode; a frozen trunk stays in that of evaluation."""
        super().train(mode)
        if self.frozen:
            self.trunk.eval()
        return self

    def forward(self, inputs: Mapping[str, Tensor], tasks: Collection[str]) -> dict[str, Tensor]:
        """Return the feature of each of ``tasks``, of the trunk with the task's weights."""
        found: dict[str, Tensor] = {}
        plain = [task for task in tasks if task not in self.deltas]
        given = self.trunk(inputs) if plain else {}
        for task in tasks:
            features = given if task in plain else functional_call(self.trunk, self._weights(task), (inputs,))
            found[task] = features[self.features[task]]
        return found

    def _weights(self, task: str) -> dict[str, Tensor]:
        plain, deltas = self._plain(), self.deltas[task]()
        own: dict[str, Tensor] = self.statistics[task]() if task in self.statistics else {}
        changed = {
            name: weight + self.scale * delta for (name, weight), delta in zip(plain.items(), deltas, strict=True)
        }
        return own | changed

    def _plain(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = {}
        for layer in self.layers:
            weight = self.trunk.get_submodule(layer).weight
            assert isinstance(weight, Tensor)
            weights[f"{layer}.weight"] = weight
        return weights


class Statistics(nn.Module):
    """One task's running statistics of all normalisations of a trunk, which start as the trunk's."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self._names = [name for name, _ in trunk.named_buffers() if name.rpartition(".")[2] in _STATISTICS]
        for name in self._names:
            self.register_buffer(name.replace(".", "/"), trunk.get_buffer(name).clone())

    def forward(self) -> dict[str, Tensor]:
        """Return them by the names that they have in the trunk; they are updated in place."""
        return {name: self.get_buffer(name.replace(".", "/")) for name in self._names}


class Deltas(nn.ModuleList):
    """One task's adapters of all ``weights``."""

    def __init__(self, weights: Sequence[Tensor], rank: int) -> None:
        super().__init__(LowRank(weight.shape, rank) for weight in weights)

    def forward(self) -> list[Tensor]:
        """Return what each adds to its weight."""
        return [delta() for delta in self]


class LowRank(nn.Module):
    """B A in the shape of a weight (O, …): A (R, N) starts as a linear layer does, B (O, R) at zero."""

    def __init__(self, shape: Sequence[int], rank: int) -> None:
        super().__init__()
        self.shape = tuple(shape)
        inputs = math.prod(self.shape[1:])
        self.a = nn.Parameter(torch.empty(rank, inputs).uniform_(-1.0, 1.0) / math.sqrt(inputs))
        self.b = nn.Parameter(torch.zeros(self.shape[0], rank))

    def forward(self) -> Tensor:
        """Return the delta."""
        return (self.b @ self.a).reshape(self.shape)


def _layers(trunk: nn.Module, named: Sequence[str] | None) -> list[str]:
    """Return the names of the linear and convolutional layers, within ``named``.

    Raises:
        UserError: there are none.
    """
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    known = [name for name, module in trunk.named_modules() if isinstance(module, (nn.Linear, *convolutions))]
    if not known:
        raise UserError(
            f"the sharing 'adapters' needs linear or convolutional layers, and the trunk {type(trunk).__name__} has "
            f"none: take another trunk, such as mlp or a timm model"
        )
    for module in named or ():
        if not any(within(name, [module]) for name in known):
            raise UserError(
                f"the sharing 'adapters' finds no linear or convolutional layer in {module!r}: {nearest(module, known)}"
            )
    return [name for name in known if named is None or within(name, named)]
