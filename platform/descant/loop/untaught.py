"""Leaves where it is what serves tasks alone that a step does not teach: the optimizer's momentum would move it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from descant.heads.fused import FusedHeads
from descant.model import MultiTaskModel


class Untaught:
    """What tasks have for themselves alone.

    Args:
        model: the network.
        reach: by task, the names of the parameters that its gradient reaches.
    """

    def __init__(self, model: MultiTaskModel, reach: Mapping[str, set[str]]) -> None:
        self._model = model
        self._served: dict[tuple[frozenset[str], bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                tasks = frozenset(task for task, reached in reach.items() if name in reached)
                self._served.setdefault((tasks, name.startswith("sharing.")), []).append(parameter)

    def forget(self, taught: Collection[str], is_coupled: bool) -> None:
        """Take the zero gradients from what serves none of the tasks that are ``taught``.

        What soft sharing pulls at, if the step ``is_coupled``, has a gradient still.
        """
        for (tasks, is_shared), parameters in self._served.items():
            if tasks.isdisjoint(taught) and not (is_shared and is_coupled):
                for parameter in parameters:
                    parameter.grad = None

    @contextmanager
    def leaving_alone(
        self, optimizer: torch.optim.Optimizer, tasks: Collection[str], stopped_rows: Mapping[str, Sequence[int]]
    ) -> Iterator[None]:
        """Keep the optimizer from moving fused heads of these tasks, and rows of heads that have stopped.

        Args:
            optimizer: which steps within the block.
            tasks: that are not taught.
            stopped_rows: by task, the rows of its head that are parts which have stopped.
        """
        kept: list[tuple[Tensor, Sequence[int], Tensor]] = []
        for parameter, rows in self._rows_of(tasks, stopped_rows):
            state = optimizer.state.get(parameter, {}).values()
            moving = [value for value in state if isinstance(value, Tensor) and value.shape == parameter.shape]
            kept += [(value, rows, value.detach()[rows].clone()) for value in (parameter, *moving)]
        yield
        with torch.no_grad():
            for value, rows, before in kept:
                value[rows] = before

    def _rows_of(
        self, tasks: Collection[str], stopped_rows: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[Tensor, Sequence[int]]]:
        for fused in self._model.fused:
            assert isinstance(fused, FusedHeads)
            rows = [row for row, name in enumerate(fused.tasks) if name in tasks]
            if rows:
                yield from ((fused.weight_KOF, rows), (fused.bias_KO, rows))
        for task, stopped in stopped_rows.items():
            yield from ((parameter, stopped) for parameter in self._model.head_rows(task).values())
