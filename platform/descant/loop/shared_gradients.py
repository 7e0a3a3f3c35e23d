"""The gradients that tasks send into the parameters that they share, of one step's micro-batches and over all ranks.

Shapes: K tasks, N entries of a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from descant.cut import Cut
from descant.errors import UserError, nearest
from descant.jacobian import Rows
from descant.loop.ranks import Ranks
from descant.precision import widened

_COLUMNS = 1 << 20  # of gradients that ranks sum, and that are multiplied, at once


def shared_parameters(sharing: nn.Module, layers: Sequence[str] | None) -> dict[str, nn.Parameter]:
    """Return the parameters below the features, by name, or those of some modules alone.

    Args:
        sharing: of the model.
        layers: modules by their dotted names, from any module that holds them on; None: all.

    Raises:
        UserError: there is no such module.
    """
    parameters = dict(sharing.named_parameters())
    if layers is None:
        return parameters
    for layer in layers:
        if not any(_is_within(name, layer) for name in parameters):
            known = sorted({name.rpartition(".")[0] for name in parameters})
            raise UserError(f"balance.layers has {layer!r}, which has no parameters here: {nearest(layer, known)}")
    return {
        name: parameter for name, parameter in parameters.items() if any(_is_within(name, layer) for layer in layers)
    }


def _is_within(parameter: str, layer: str) -> bool:
    return f".{layer}." in f".{parameter}"


class SharedGradients:
    """Each task's gradient of the shared parameters.

    Args:
        parameters: by name.
        tasks: whose gradients are wanted, K.
        ranks: over which they are summed; all of them call each method.
        keep: whether the gradients themselves are wanted, or added up over micro-batches: K times the parameters. If
            not, those of one parameter are multiplied, and let go of before those of the next are made.
    """

    def __init__(self, parameters: Mapping[str, Tensor], tasks: Sequence[str], ranks: Ranks, *, keep: bool) -> None:
        self._parameters, self._tasks, self._ranks, self._keep = parameters, tasks, ranks, keep
        self._names = {id(parameter): name for name, parameter in parameters.items()}
        self._held: dict[str, Tensor] = {}
        self._waiting: list[Tensor] = []
        self._gramian_KK = torch.zeros(len(tasks), len(tasks), dtype=torch.float64)

    def add(self, cut: Cut) -> None:
        """Add a micro-batch's, after its losses' backward pass."""
        cut.visit_gradients(self._tasks, self._parameters.values(), self._take)

    def gramian(self) -> Tensor:
        """Return this rank's share of the Gramian of the sums over all ranks, (K, K) float64."""
        for rows in self._held.values():
            self._multiply(rows.flatten(1))
        self._multiply_waiting()
        return self._gramian_KK

    def sums(self) -> dict[str, Tensor]:
        """Return the sums over all ranks by the parameter's name, (K, …), where any task's gradient reaches it."""
        assert self._keep, "they were not kept"
        for name in sorted(self._held):
            self._ranks.sum(self._held[name])
        return self._held

    def _take(self, parameter: Tensor, rows: Rows) -> None:
        stacked = torch.stack([parameter.new_zeros(parameter.shape) if row is None else row for row in rows])
        name = self._names[id(parameter)]
        if self._keep:
            self._held[name] = self._held[name] + stacked if name in self._held else stacked
            return
        self._waiting.append(stacked.flatten(1))
        if sum(one.shape[1] for one in self._waiting) >= _COLUMNS:
            self._multiply_waiting()

    def _multiply_waiting(self) -> None:
        if self._waiting:
            self._multiply(
                self._ranks.sum(self._waiting[0] if len(self._waiting) == 1 else torch.cat(self._waiting, 1))
            )
            self._waiting = []

    def _multiply(self, rows_KN: Tensor) -> None:
        """Add the inner products of this rank's share of the columns of what all ranks have."""
        rank, size, columns = self._ranks.rank, self._ranks.world_size, rows_KN.shape[1]
        begin, end = columns * rank // size, columns * (rank + 1) // size
        for start in range(begin, end, _COLUMNS):
            part = widened(rows_KN[:, start : min(start + _COLUMNS, end)])
            self._gramian_KK += (part @ part.T).to(self._gramian_KK)
